//! An example app as a child process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running app; ends when dropped.
#[derive(Debug)]
pub struct App {
    process: Child,
    /// The address it listens on.
    pub address: String,
    /// The first line of its output.
    pub(crate) listening: String,
}

impl App {
    /// Starts `program` with its data in `data_dir`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(program: &str, data_dir: &Path) -> Self {
        Self::start_with(program, data_dir, &[])
    }

    /// Starts `program` like [`start`](Self::start), with additional environment variables.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_with(program: &str, data_dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut process = Command::new(program)
            .env("PORT", "0")
            .env("HOST", "127.0.0.1")
            .env("DATA_DIR", data_dir)
            .env_remove("DATABASE_URL")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut first).unwrap();
        let port = first.trim().rsplit(':').next().unwrap();
        let address = format!("127.0.0.1:{port}");
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Self {
            process,
            address,
            listening: first,
        }
    }

    /// The whole response to a `GET` with the header lines in `field`.
    pub(crate) fn get(&self, path: &str, field: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{field}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Stops it with SIGTERM, like an operator.
    pub(crate) fn stop(&mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
