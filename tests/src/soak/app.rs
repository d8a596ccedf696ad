//! The example apps as processes, until dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::fault::RefreshOutcome;

/// The apps that there are.
pub const FRAMEWORKS: [&str; 2] = ["axum", "actix"];

/// The password of all their users; of no worth outside of this test.
pub const PASSWORD: &str = "the soak's password";

/// How long their access tokens live, in seconds, less what each app takes off by chance.
const ACCESS: &str = "60";

const START: Duration = Duration::from_secs(60);

/// An app.
#[derive(Debug)]
pub struct App {
    framework: &'static str,
    address: SocketAddr,
    process: Child,
}

impl App {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// If it has not been built, ends, or does not get so far in a minute.
    pub async fn start(framework: &'static str, store: &str, data: &Path) -> RefreshOutcome<Self> {
        let program = std::env::current_exe()?.with_file_name(format!("example-{framework}"));
        if !program.exists() {
            return Err(
                "build the apps first: cargo build -p example-axum -p example-actix".into(),
            );
        }
        std::fs::create_dir_all(data)?;
        let mut process = Command::new(program)
            .env("HOST", "127.0.0.1")
            .env("PORT", "0")
            .env("DATA_DIR", data)
            .env("DATABASE_URL", store)
            .env("DEMO_PASSWORD", PASSWORD)
            .env("ACCESS_SECONDS", ACCESS)
            .env("KEY_SECONDS", "720")
            // Full within the first half, so that the second shows what grows without a bound.
            .env("CACHE_TOKENS", "500")
            // glibc keeps what hashing passwords took, 19 MiB for each of many threads: what is
            // mapped goes back at once, and the app's own memory can be seen.
            .env("MALLOC_MMAP_THRESHOLD_", "1048576")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(START, lines.next_line()).await??;
        let port: u16 = first
            .as_deref()
            .and_then(|line| line.rsplit_once(':'))
            .and_then(|(_, port)| port.parse().ok())
            .ok_or_else(|| format!("example-{framework} does not start"))?;
        // Nobody may write to a pipe that nobody reads.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            framework,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            process,
        })
    }

    /// Its framework.
    #[must_use]
    pub fn framework(&self) -> &'static str {
        self.framework
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    ///
    /// # Errors
    /// If that has ended.
    pub fn pid(&self) -> RefreshOutcome<u32> {
        Ok(self.process.id().ok_or("the app has ended")?)
    }
}
