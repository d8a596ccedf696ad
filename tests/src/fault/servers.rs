//! Stores that the program starts itself, so that it may stop, freeze and kill them.
//!
//! They are durable against the end of their processes, which is all that can be made to happen
//! here: Postgres writes its log before it acknowledges (`synchronous_commit`), Redis its
//! append-only file. Neither needs to reach the disk for that, unless a rate is to be measured.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Outcome, signal};

const START: Duration = Duration::from_secs(60);

/// Whether a disk flush is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// As a production server does.
    Real,
    /// The operating system keeps what was written.
    Skipped,
}

/// What a plug can be pulled from.
pub trait Server: Send {
    /// The store's URL.
    fn url(&self) -> String;
    /// The port.
    fn port(&self) -> u16;
    /// Freezes it (SIGSTOP), with all that belongs to it.
    ///
    /// # Errors
    /// If that cannot be done.
    fn freeze(&mut self) -> Outcome<()>;
    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// If that cannot be done.
    fn thaw(&mut self) -> Outcome<()>;
    /// Kills it, the hard way.
    ///
    /// # Errors
    /// If that cannot be done.
    fn kill(&mut self) -> Outcome<()>;
    /// Stops it the way an operator would.
    ///
    /// # Errors
    /// If that cannot be done.
    fn stop(&mut self) -> Outcome<()>;
    /// Starts it again, on what it had.
    ///
    /// # Errors
    /// If it does not come up.
    fn start(&mut self) -> Outcome<()>;
}

/// A Redis server of our own.
#[derive(Debug)]
pub struct Redis {
    dir: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Redis {
    /// Starts one; `None` if this machine has none.
    ///
    /// # Errors
    /// If there is one that does not come up.
    pub fn begin() -> Outcome<Option<Self>> {
        if !on_path("redis-server") {
            return Ok(None);
        }
        let mut server = Self {
            dir: tempfile::tempdir()?,
            port: free_port()?,
            process: None,
        };
        server.start()?;
        Ok(Some(server))
    }

    fn pid(&self) -> Outcome<u32> {
        Ok(self.process.as_ref().ok_or("Redis is not running")?.id())
    }

    fn end(&mut self, how: &str) -> Outcome<()> {
        if let Some(mut process) = self.process.take() {
            signal::send(how, process.id())?;
            process.wait()?;
        }
        Ok(())
    }
}

impl Server for Redis {
    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn freeze(&mut self) -> Outcome<()> {
        signal::send("STOP", self.pid()?)
    }

    fn thaw(&mut self) -> Outcome<()> {
        signal::send("CONT", self.pid()?)
    }

    fn kill(&mut self) -> Outcome<()> {
        self.end("KILL")
    }

    fn stop(&mut self) -> Outcome<()> {
        self.end("TERM")
    }

    fn start(&mut self) -> Outcome<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))?;
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always", "--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.process = Some(process);
        let port = self.port.to_string();
        wait_until("redis-server", || {
            let asked = Command::new("redis-cli")
                .args(["-p", &port, "ping"])
                .output();
            asked.is_ok_and(|answer| answer.stdout.starts_with(b"PONG"))
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.end("KILL");
    }
}

/// A PostgreSQL server of our own.
#[derive(Debug)]
pub struct Postgres {
    dir: TempDir,
    bin: PathBuf,
    port: u16,
    flush: Flush,
    process: Option<Child>,
}

impl Postgres {
    /// Makes and starts one; `None` if this machine has none.
    ///
    /// # Errors
    /// If there is one that does not come up.
    pub fn begin(flush: Flush) -> Outcome<Option<Self>> {
        let Some(bin) = postgres_bin() else {
            return Ok(None);
        };
        let dir = tempfile::tempdir()?;
        let mut server = Self {
            dir,
            bin,
            port: free_port()?,
            flush,
            process: None,
        };
        server.make()?;
        server.start()?;
        Ok(Some(server))
    }

    /// A command as the user that the server runs as: it refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = match owner() {
            None => Command::new(program),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={user}"))
                    .arg(format!("--regid={group}"))
                    .arg("--clear-groups")
                    .arg(program);
                command
            }
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    fn make(&self) -> Outcome<()> {
        if let Some((user, _)) = owner() {
            let made = Command::new("chown")
                .arg(user)
                .arg(self.dir.path())
                .status()?;
            if !made.success() {
                return Err("cannot give the directory to the server's user".into());
            }
        }
        let made = self
            .command("initdb")
            .arg("-D")
            .arg(self.data())
            .args([
                "-U",
                "auth",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .output()?;
        if made.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&made.stderr).into())
    }

    fn pid(&self) -> Outcome<u32> {
        Ok(self.process.as_ref().ok_or("Postgres is not running")?.id())
    }

    fn end(&mut self, how: &str) -> Outcome<()> {
        if let Some(mut process) = self.process.take() {
            signal::send(how, process.id())?;
            process.wait()?;
        }
        Ok(())
    }

    /// Kills one of the processes that serve connections: the server restarts all of them and
    /// recovers.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn kill_one_backend(&self) -> Outcome<()> {
        let asked = Command::new(self.bin.join("psql"))
            .args(["-h", "127.0.0.1", "-U", "auth", "-p", &self.port.to_string()])
            .args(["-Atc", "SELECT pid FROM pg_stat_activity WHERE datname IS NOT NULL AND backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1", "postgres"])
            .output()?;
        match String::from_utf8_lossy(&asked.stdout).trim().parse() {
            Ok(pid) => signal::send("KILL", pid),
            Err(_) => Ok(()),
        }
    }
}

impl Server for Postgres {
    fn url(&self) -> String {
        format!("postgres://auth@127.0.0.1:{}/postgres", self.port)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn freeze(&mut self) -> Outcome<()> {
        let server = self.pid()?;
        signal::send("STOP", server)?;
        for child in signal::children(server) {
            // One that has just ended is as good as frozen.
            let _ = signal::send("STOP", child);
        }
        Ok(())
    }

    fn thaw(&mut self) -> Outcome<()> {
        let server = self.pid()?;
        for child in signal::children(server) {
            let _ = signal::send("CONT", child);
        }
        signal::send("CONT", server)
    }

    /// The server's own emergency exit, which saves nothing: SIGKILL would leave its children
    /// behind, and they would keep the next one from starting.
    fn kill(&mut self) -> Outcome<()> {
        self.end("QUIT")
    }

    fn stop(&mut self) -> Outcome<()> {
        self.end("INT")
    }

    fn start(&mut self) -> Outcome<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))?;
        let fsync = match self.flush {
            Flush::Real => "fsync=on",
            Flush::Skipped => "fsync=off",
        };
        let process = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(self.dir.path())
            .args(["-c", "listen_addresses=127.0.0.1", "-c", fsync])
            .args(["-c", "max_connections=200", "-c", "synchronous_commit=on"])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.process = Some(process);
        let ready = self.bin.join("pg_isready");
        let port = self.port.to_string();
        wait_until("postgres", || {
            let mut asked = Command::new(&ready);
            asked.args(["-q", "-h", "127.0.0.1", "-U", "auth", "-p", &port]);
            asked.status().is_ok_and(|answer| answer.success())
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.end("QUIT");
    }
}

fn owner() -> Option<(&'static str, &'static str)> {
    let root = Path::new("/root").read_dir().is_ok();
    root.then_some(("postgres", "postgres"))
}

fn postgres_bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut bins: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    bins.sort();
    bins.pop()
}

fn on_path(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|answer| answer.status.success())
}

/// A port that nothing listens on just now.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn wait_until(what: &str, ready: impl Fn() -> bool) -> Outcome<()> {
    let began = Instant::now();
    while !ready() {
        if began.elapsed() > START {
            return Err(format!("{what} does not come up").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
