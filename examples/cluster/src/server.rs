//! A temporary PostgreSQL or Redis server: a real one, started from an installed program, in a
//! temporary directory.
//!
//! 1. Acknowledged writes survive the process, so it may be killed and restarted. They need not
//!    survive the machine.
//! 2. It listens only on the loopback interface, on a free port.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

const READY_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// An error for the terminal.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The kind of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// Redis or Valkey.
    Redis,
}

impl Kind {
    /// The name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }

    /// Whether it is installed on this machine.
    #[must_use]
    pub fn is_installed(self) -> bool {
        match self {
            Self::Postgres => find("initdb").is_some(),
            Self::Redis => find("redis-server").is_some(),
        }
    }
}

/// A running server.
pub struct Server {
    kind: Kind,
    port: u16,
    // Declared before the directory, so that it is dropped first.
    process: Child,
    directory: TempDir,
    owner: Option<(u32, u32)>,
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub async fn start(kind: Kind) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("auth-").tempdir()?;
        let owner = match kind {
            Kind::Postgres => make_database(directory.path()).await?,
            Kind::Redis => None,
        };
        let port = free_port().await?;
        let process = spawn(kind, directory.path(), port, owner)?;
        let mut server = Self {
            kind,
            port,
            process,
            directory,
            owner,
        };
        server.ready().await?;
        Ok(server)
    }

    /// The kind of the server.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The address on which it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the server, or of a proxy for it at another port.
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        match self.kind {
            Kind::Postgres => format!("postgres://auth@127.0.0.1:{port}/postgres"),
            Kind::Redis => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// Kills the server, as in a crash, without closing its connections.
    ///
    /// # Errors
    /// If the process cannot be signalled.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        match (self.kind, self.process.id()) {
            // "Immediate shutdown" requires a recovery at the next start, as after a crash. After a
            // plain SIGKILL, its children would run for a while and keep the next server from
            // starting.
            (Kind::Postgres, Some(id)) => {
                Command::new("kill")
                    .arg("-QUIT")
                    .arg(id.to_string())
                    .status()
                    .await?;
                self.process.wait().await?;
            }
            _ => self.process.kill().await?,
        }
        Ok(())
    }

    /// Starts the server again with the same data, at the same port.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&mut self) -> Result<(), Failure> {
        self.process = spawn(self.kind, self.directory.path(), self.port, self.owner)?;
        self.ready().await
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let ready = async {
            loop {
                if let Some(status) = self.process.try_wait()? {
                    let log = std::fs::read_to_string(self.directory.path().join("log"));
                    let log = log.unwrap_or_default();
                    return Err(format!("{} ended: {status}\n{log}", self.kind.name()).into());
                }
                let answers = match self.kind {
                    Kind::Postgres => accepts_connections(self.port).await?,
                    Kind::Redis => answers_ping(self.port).await.unwrap_or(false),
                };
                if answers {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(READY_WITHIN, ready)
            .await
            .unwrap_or_else(|_| Err("the server does not become ready".into()))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("kind", &self.kind)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

fn spawn(
    kind: Kind,
    directory: &Path,
    port: u16,
    owner: Option<(u32, u32)>,
) -> Result<Child, Failure> {
    let log = std::fs::File::create(directory.join("log"))?;
    let mut command = match kind {
        Kind::Postgres => postgres(directory, port)?,
        Kind::Redis => redis(directory, port)?,
    };
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    let child = command
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C must reach this program only, which stops the servers.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

fn postgres(directory: &Path, port: u16) -> Result<Command, Failure> {
    let mut command = Command::new(found("postgres")?);
    command.arg("-D").arg(directory.join("db"));
    command.arg("-k").arg(directory);
    command.arg("-p").arg(port.to_string());
    for setting in [
        "listen_addresses=127.0.0.1",
        "max_connections=100",
        // Written at each commit, but not flushed to the disk: a killed process loses no write.
        "synchronous_commit=on",
        "fsync=off",
        "full_page_writes=off",
    ] {
        command.arg("-c").arg(setting);
    }
    Ok(command)
}

fn redis(directory: &Path, port: u16) -> Result<Command, Failure> {
    let mut command = Command::new(found("redis-server")?);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "yes"])
        // Every acknowledged write is in the file.
        .args(["--appendfsync", "always", "--dir"])
        .arg(directory);
    Ok(command)
}

/// Initializes a database directory. Returns its owner, if that is not the current user.
async fn make_database(directory: &Path) -> Result<Option<(u32, u32)>, Failure> {
    let mut command = Command::new(found("initdb")?);
    // PostgreSQL refuses to run as root.
    let owner = match number_of("-u", None).await {
        Some(0) => unprivileged().await,
        _ => None,
    };
    if let Some((user, group)) = owner {
        std::os::unix::fs::chown(directory, Some(user), Some(group))?;
        command.uid(user).gid(group);
    }
    let made = command
        .arg("-D")
        .arg(directory.join("db"))
        .args(["-U", "auth", "-A", "trust", "-E", "UTF8", "--locale=C"])
        .arg("--no-sync")
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .await?;
    if !made.status.success() {
        return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)).into());
    }
    Ok(owner)
}

async fn unprivileged() -> Option<(u32, u32)> {
    for name in ["postgres", "nobody"] {
        let user = number_of("-u", Some(name)).await;
        if let (Some(user), Some(group)) = (user, number_of("-g", Some(name)).await) {
            return Some((user, group));
        }
    }
    None
}

async fn number_of(what: &str, name: Option<&str>) -> Option<u32> {
    let output = Command::new("id")
        .arg(what)
        .args(name)
        .output()
        .await
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

async fn accepts_connections(port: u16) -> Result<bool, Failure> {
    let status = Command::new(found("pg_isready")?)
        .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
        .status()
        .await?;
    Ok(status.success())
}

/// A server that is still reading its file answers with an error.
async fn answers_ping(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == b"+PONG")
}

async fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    Ok(listener.local_addr()?.port())
}

fn found(program: &str) -> Result<PathBuf, Failure> {
    find(program).ok_or_else(|| format!("{program} is not installed").into())
}

/// Finds a program in the path, or in the places where distributions install PostgreSQL.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions.flatten().map(|version| version.path()).collect();
        versions.sort();
        places.extend(versions.iter().rev().map(|version| version.join("bin")));
    }
    places
        .into_iter()
        .map(|place| place.join(program))
        .find(|file| file.is_file())
}
