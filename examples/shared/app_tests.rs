//! Either example app as a process of its own, `super::PROGRAM`: it keeps its keys to itself and publishes their public half.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

pub struct App {
    process: Child,
    pub address: String,
    /// What it printed first.
    listening: String,
}

impl App {
    fn start(data_dir: &std::path::Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    pub fn start_with(data_dir: &std::path::Path, settings: &[(&str, &str)]) -> Self {
        let mut process = Command::new(super::PROGRAM)
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

    fn get(&self, path: &str, field: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{field}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// As an operator would.
    fn stop(&mut self) {
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

#[test]
fn f11_the_public_keys_are_served_for_caching_and_outlive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut app = App::start(data.path());
    let jwks = "/.well-known/jwks.json";
    let answer = app.get(jwks, "");
    let (head, document) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(
        head.contains("cache-control: public, max-age=300"),
        "{head}"
    );
    for private in ["\"d\"", "\"k\"", "oct"] {
        assert!(!document.contains(private));
    }
    // The tag as it came: its case counts.
    let tag = answer.lines().find_map(|line| {
        line.split_once(": ")
            .filter(|(name, _)| name.eq_ignore_ascii_case("etag"))
    });
    let (_, tag) = tag.unwrap();
    let again = app.get(jwks, &format!("if-none-match: {tag}\r\n"));
    assert!(again.starts_with("HTTP/1.1 304"), "{again}");
    app.stop();

    let restarted = App::start(data.path());
    assert!(restarted.get(jwks, "").ends_with(document));
}

#[test]
fn it_says_that_it_lives_and_that_it_is_ready_and_shows_no_metrics_unasked() {
    let data = tempfile::tempdir().unwrap();
    let app = App::start(data.path());
    let alive = app.get("/health", "");
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    let ready = app.get("/ready", "");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(
        ready.ends_with(r#"{"reasons":[],"status":"ready"}"#),
        "{ready}"
    );
    let metrics = app.get("/metrics", "");
    assert!(metrics.starts_with("HTTP/1.1 404"), "{metrics}");
}

/// That browsers reach it so is shown by `tests/browser`.
#[test]
fn l03_tls_on_serves_https_and_nothing_in_the_clear() {
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(data.path(), &[("TLS", "on")]);
    assert!(app.listening.starts_with("listening https://localhost:"));
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    // An alert, and then the end of the connection.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"));
}

#[cfg(unix)]
#[test]
fn the_keys_are_in_a_file_that_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let _app = App::start(data.path());
    let about = std::fs::metadata(data.path().join("keys")).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
}
