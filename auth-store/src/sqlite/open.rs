//! Opening the file, with access for its owner only, and concurrently by several processes.
//!
//! 1. SQLite creates a file with the umask's mode, and gives its `-wal` and `-shm` the mode of the
//!    file. So the file is created here, with mode 0600 before it has its name. It is not opened
//!    under its name for that: closing it would release the locks that SQLite holds on it elsewhere
//!    in this process.
//! 2. A file that other users can read logs a warning and is used: this may be intended, for example
//!    for a group.
//! 3. To switch a new file to the write-ahead log, SQLite turns a read lock into a write lock. If two
//!    connections do this at once, one gets "busy" immediately, because waiting would be a deadlock.
//!    It then starts again, until the timeout.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::time::Instant;

use super::schema;
use crate::file::{beside, is_exposed, make_directory, make_private};
use crate::{OpenError, StoreOptions};

/// SQLite's code for a lock of another connection, in the last eight bits.
const BUSY: u32 = 5;
const PAUSE: Duration = Duration::from_millis(5);

/// Creates the folder and the file, if they are missing, with access for this user only.
pub(super) fn prepare(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        make_directory(folder)?;
    }
    if !path.exists() {
        make_private(path)?;
    }
    warn_if_exposed(path);
    Ok(())
}

/// Opens the first connection, with the write-ahead log on and the schema up to date.
pub(super) async fn first_connection(
    file: &SqliteConnectOptions,
    options: &StoreOptions,
) -> Result<SqliteConnection, OpenError> {
    let deadline = Instant::now() + options.timeout;
    let (connection, complete) = loop {
        match connect(file, options.migrates).await {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            done => break done.map_err(cannot_open)?,
        }
    };
    if !complete {
        return Err(OpenError::advice(
            "the schema is missing or older than this version, and migrations are off: run those \
             steps of SqliteStore::migrations() that are not in the table auth_schema yet",
        ));
    }
    Ok(connection)
}

pub(super) fn cannot_open(error: sqlx::Error) -> OpenError {
    OpenError::from_sql("the session file cannot be opened", error)
}

async fn connect(
    file: &SqliteConnectOptions,
    migrates: bool,
) -> sqlx::Result<(SqliteConnection, bool)> {
    let mut connection = file.connect().await?;
    let complete = schema::bring_up_to_date(&mut connection, migrates).await?;
    Ok((connection, complete))
}

fn is_busy(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xFF == BUSY)
}

fn warn_if_exposed(path: &Path) {
    let exposed = ["", "-wal", "-shm"]
        .into_iter()
        .any(|suffix| fs::metadata(beside(path, suffix)).is_ok_and(|about| is_exposed(&about)));
    if exposed {
        tracing::warn!(
            target: "auth::store",
            store = "sqlite",
            "other users can read the session file: chmod 600 it, its -wal and its -shm",
        );
    }
}
