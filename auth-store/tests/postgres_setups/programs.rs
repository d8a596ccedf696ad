//! Server programs for a test, in a temporary directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::time::Instant;

/// Time for a program to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A directory that is writable for programs that refuse to run as root.
pub(crate) fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    directory
}

/// Reports that the caller's test is skipped, which CI does not accept.
pub(crate) fn skip(what: &str) {
    use std::io::Write;
    assert!(std::env::var_os("CI").is_none(), "{what} is not installed");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what} is not installed");
}

pub(crate) fn find(program: &str, places: &[&str]) -> Option<PathBuf> {
    places
        .iter()
        .map(|place| Path::new(place).join(program))
        .find(|path| path.exists())
}

/// The directory of PostgreSQL's programs.
pub(crate) fn postgres_bin() -> Option<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut places: Vec<PathBuf> = installed
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .chain([PathBuf::from("/usr/local/pgsql/bin")])
        .filter(|bin| bin.join("pg_basebackup").exists() && bin.join("initdb").exists())
        .collect();
    places.sort();
    places.pop()
}

/// The program, run by a user that is not root.
pub(crate) fn unprivileged(program: &Path) -> Command {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = if is_root {
        let known = Command::new("id").arg("postgres").output().unwrap();
        let user = if known.status.success() {
            "postgres"
        } else {
            "nobody"
        };
        let group = Command::new("id").args(["-g", user]).output().unwrap();
        let group = String::from_utf8(group.stdout).unwrap();
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={}", group.trim()))
            .arg("--clear-groups")
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

pub(crate) fn run(command: &mut Command) {
    let ended = command.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {said}");
}

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A program that ends with the test.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Ends it like SIGINT: immediately, and in order.
    pub(crate) fn stop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        let id = self.0.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let _ = self.0.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until the address accepts Postgres connections.
pub(crate) async fn await_server(url: &str) -> PgConnection {
    let begin = Instant::now();
    loop {
        match PgConnection::connect(url).await {
            Ok(connection) => return connection,
            Err(error) => assert!(begin.elapsed() < START, "{url}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
