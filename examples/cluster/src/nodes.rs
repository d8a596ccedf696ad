//! The nodes: the example apps as processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use example_cluster::server::Failure;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Settings shared by the nodes. The keys are in the store, so every node accepts the tokens of
/// all.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Directory of the key-encryption key.
    pub data_dir: &'a Path,
    /// URL of the store.
    pub database_url: &'a str,
    /// Password of all users.
    pub password: &'a str,
}

/// A running node, stopped when dropped.
pub struct Node {
    /// Name of the node.
    pub name: &'static str,
    /// Framework of the node.
    pub framework: &'static str,
    /// Address on which it listens.
    pub address: SocketAddr,
    _process: Child,
}

/// Builds the apps if this program was started by cargo.
pub async fn build() -> Result<(), Failure> {
    let Some(cargo) = std::env::var_os("CARGO") else {
        return Ok(());
    };
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "-p",
        "example-axum",
        "-p",
        "example-actix",
    ]);
    if directory()?.ends_with("release") {
        command.arg("--release");
    }
    if !command.status().await?.success() {
        return Err("the example apps cannot be built".into());
    }
    Ok(())
}

/// The directory of cargo's binaries: this program and the apps.
fn directory() -> Result<PathBuf, Failure> {
    let ours = std::env::current_exe()?;
    Ok(ours.parent().ok_or("a program is in a directory")?.into())
}

impl Node {
    /// Starts a node, and waits until it listens.
    pub async fn start(
        name: &'static str,
        framework: &'static str,
        setting: Setting<'_>,
    ) -> Result<Self, Failure> {
        let mut process = Command::new(directory()?.join(format!("example-{framework}")))
            .env("HOST", "127.0.0.1")
            .env("PORT", "0")
            .env("DATA_DIR", setting.data_dir)
            .env("DATABASE_URL", setting.database_url)
            .env("DEMO_PASSWORD", setting.password)
            .env("ACCESS_SECONDS", "600")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next_line().await?;
        let port = first
            .as_deref()
            .and_then(|line| line.rsplit_once(':'))
            .and_then(|(_, port)| port.parse().ok())
            .ok_or_else(|| format!("node {name} does not start"))?;
        // Keeps reading, because a full pipe would block the node.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        println!("node {name}: {framework}, port {port}");
        Ok(Self {
            name,
            framework,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            _process: process,
        })
    }
}
