//! Server processes: started, asked, killed, started again on the same port.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use auth_core::Timestamp;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::app::Setup;
use super::backend::Counts;
use super::client::Client;
use super::{Failure, Outcome};

const START: Duration = Duration::from_secs(30);
const CONTROL: Duration = Duration::from_secs(10);

/// Where the program `node` is.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// This file.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The one beside the program that runs now.
    ///
    /// # Errors
    /// If it has not been built.
    pub fn beside_this() -> Outcome<Self> {
        let path = std::env::current_exe()?.with_file_name("node");
        if path.exists() {
            return Ok(Self(path));
        }
        Err("build the program `node` first: cargo build -p auth-tests --bins".into())
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

/// A server process.
#[derive(Debug)]
pub struct Node {
    program: Program,
    setup: Setup,
    largest_file: Option<u64>,
    process: Option<Child>,
}

impl Node {
    /// Starts a process and waits until it listens.
    ///
    /// # Errors
    /// If it ends, or does not get so far in half a minute.
    pub async fn start(program: &Program, setup: Setup) -> Outcome<Self> {
        let mut node = Self {
            program: program.clone(),
            setup,
            largest_file: None,
            process: None,
        };
        node.launch().await?;
        Ok(node)
    }

    /// Starts a process that may write files up to so many KiB only: to it, the disk is full
    /// beyond that.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with_small_disk(program: &Program, setup: Setup, kib: u64) -> Outcome<Self> {
        let mut node = Self {
            program: program.clone(),
            setup,
            largest_file: Some(kib),
            process: None,
        };
        node.launch().await?;
        Ok(node)
    }

    /// Lifts the bound of [`start_with_small_disk`](Self::start_with_small_disk), or sets another.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn resize_disk(&mut self, kib: Option<u64>) -> Outcome<()> {
        let soft = kib.map_or("unlimited".to_owned(), |kib| (kib * 1024).to_string());
        let status = std::process::Command::new("prlimit")
            .arg(format!("--pid={}", self.pid()?))
            .arg(format!("--fsize={soft}:"))
            .status()?;
        if status.success() {
            return Ok(());
        }
        Err("prlimit cannot change the largest size of a file".into())
    }

    async fn launch(&mut self) -> Outcome<()> {
        let mut command = match self.largest_file {
            None => Command::new(self.program.path()),
            Some(kib) => {
                // Without the signal, a write beyond the bound fails like one to a full disk.
                let mut shell = Command::new("bash");
                shell
                    .arg("-c")
                    .arg(format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$0\""))
                    .arg(self.program.path());
                shell
            }
        };
        let mut process = command
            .env("AUTH_NODE", serde_json::to_string(&self.setup)?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = process.stdout.take().ok_or("a node without output")?;
        let mut line = String::new();
        let mut out = BufReader::new(out);
        let read = out.read_line(&mut line);
        tokio::time::timeout(START, read).await??;
        self.setup.port = line
            .trim()
            .parse()
            .map_err(|_| Failure::from("the node ended before it listened"))?;
        self.process = Some(process);
        Ok(())
    }

    fn pid(&self) -> Outcome<u32> {
        let process = self.process.as_ref();
        Ok(process.and_then(Child::id).ok_or("the node has ended")?)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.setup.port).into()
    }

    /// How it was set up.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Kills it (SIGKILL).
    ///
    /// # Errors
    /// If that cannot be done.
    pub async fn kill(&mut self) -> Outcome<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Waits until it has ended itself.
    ///
    /// # Errors
    /// If it does not within half a minute.
    pub async fn ended(&mut self) -> Outcome<()> {
        if let Some(mut process) = self.process.take() {
            tokio::time::timeout(START, process.wait()).await??;
        }
        Ok(())
    }

    /// Starts it again on the same port, with `death` as said.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(&mut self) -> Outcome<()> {
        self.kill().await?;
        self.setup.death = None;
        self.launch().await
    }

    /// What its store was asked for since it started.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn counts(&self) -> Outcome<Counts> {
        let reply = Client::new(self.address(), CONTROL)
            .send("GET", "/control/counts", "", "")
            .await?;
        Ok(serde_json::from_slice(&reply.body)?)
    }

    /// Sets its driven clock.
    ///
    /// # Errors
    /// If it does not answer, or has none.
    pub async fn set_clock(&self, now: Timestamp) -> Outcome<()> {
        let millis = now.as_millis().to_string();
        let reply = Client::new(self.address(), CONTROL)
            .send("POST", "/control/clock", "", &millis)
            .await?;
        if reply.status == 204 {
            return Ok(());
        }
        Err("the node's clock cannot be set".into())
    }
}
