//! [`SqliteStore`]: sessions in an SQLite file.
//!
//! 1. Write-ahead log, `synchronous=FULL`: an acknowledged write survives a power cut.
//! 2. Writes go through one [writer](writer), which flushes once for all waiting callers. Reads use a
//!    small pool and do not wait for writes.
//! 3. Several processes may use one file; each waits for the others' transactions up to its
//!    timeout.
//! 4. The file is created with access for its owner only, regardless of the umask.

mod feed;
mod job;
mod keys;
mod open;
mod schema;
mod store;
mod write;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::Timestamp;
use auth_core::session::SessionId;
use auth_core::store::{
    InsertOutcome, LoadedSession, NewSession, RaisedSubjectVersion, RefreshStore, RevokeSession,
    RevokeSubject, Revoked, RotateSession, RotatedAt, SessionRecord, StoreError, StoreErrorKind,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};
use tokio::sync::{mpsc, oneshot, watch};

use self::job::Job;
use self::job::OwnedAdvance;
use self::job::OwnedEnd;
use self::job::OwnedSession;
use self::job::Write;
use self::job::Written;
use self::job::gone;
use self::job::now;
use self::writer::Writer;
use crate::sql::{SessionRow, row, signed, store_error, timed_out, unsigned};
use crate::{OpenError, StoreOptions};

/// Maximum number of queued writes. Further callers wait for a place.
const QUEUE: usize = 1024;

/// Sessions and revocations in an SQLite file: the store for one machine.
///
/// Cloning shares the connections.
///
/// ```
/// # async fn open() -> Result<(), auth_store::OpenError> {
/// use auth_store::SqliteStore;
///
/// let store = SqliteStore::open("app.db").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore(Arc<SqliteInner>);

struct SqliteInner {
    readers: SqlitePool,
    jobs: mpsc::Sender<Job>,
    revoked: watch::Receiver<u64>,
    options: StoreOptions,
}

impl SqliteStore {
    /// Opens or creates the file and brings its schema up to date. A missing file and folder are created
    /// with access for this user only. A file that other users can read logs a warning.
    ///
    /// Call it on a runtime that lives as long as the app: the writer is a task of that runtime.
    ///
    /// # Errors
    /// [`OpenError`] if the file cannot be opened, is not a database, or stays locked.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, StoreOptions::new()).await
    }

    /// Opens the file like [`open`](Self::open), with these options.
    ///
    /// # Errors
    /// The same as for [`open`](Self::open).
    pub async fn open_with(
        path: impl AsRef<Path>,
        options: StoreOptions,
    ) -> Result<Self, OpenError> {
        let path = path.as_ref();
        open::prepare(path).map_err(|error| open::cannot_open(error.into()))?;
        let file = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(options.timeout)
            .disable_statement_logging();
        let connection = open::first_connection(&file, &options).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.timeout)
            .connect_with(file)
            .await
            .map_err(open::cannot_open)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (tell, revoked) = watch::channel(0);
        let writer = Writer {
            connection,
            options: options.clone(),
            jobs: queue,
            revoked: tell,
        };
        tokio::spawn(writer.run());
        Ok(Self(Arc::new(SqliteInner {
            readers,
            jobs,
            revoked,
            options,
        })))
    }

    /// The SQL of the schema, one text per step, in order.
    ///
    /// For [`StoreOptions::without_migrations`]: run each step once, in a transaction. A step
    /// records itself in the table `auth_schema`. Steps never change; a new version may append one.
    #[must_use]
    pub fn migrations() -> &'static [&'static str] {
        schema::STEPS
    }

    async fn write(&self, write: Write) -> Result<Written, StoreError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.0
                .jobs
                .send(Job { write, reply })
                .await
                .map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        };
        self.bounded(asked).await
    }

    async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(self.0.options.timeout, call)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    }

    fn now(&self) -> i64 {
        now(&self.0.options)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

row! {
    struct SqliteRow {
        current_subject_version: i64 = "subject_epoch",
        ..session: SessionRow,
    }
}

#[async_trait]
impl RefreshStore for SqliteStore {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        self.bounded(async {
            let subject_version: Option<i64> =
                sqlx::query_scalar("SELECT epoch FROM auth_subjects WHERE subject = ?")
                    .bind(subject)
                    .fetch_optional(&self.0.readers)
                    .await
                    .map_err(store_error)?;
            unsigned(subject_version.unwrap_or(0))
        })
        .await
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        let write = Write::Insert(Box::new(OwnedSession::new(session)?));
        match self.write(write).await? {
            Written::InsertOutcome(Some(inserted)) => Ok(inserted),
            // A row with this id exists, so the id was not new.
            _ => Err(StoreError::new(StoreErrorKind::Corrupt)),
        }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        self.bounded(async {
            let row: Option<SqliteRow> = sqlx::query_as(
                "SELECT s.*, coalesce(j.epoch, 0) AS subject_epoch
                 FROM auth_sessions s LEFT JOIN auth_subjects j ON j.subject = s.subject
                 WHERE s.id = ?",
            )
            .bind(id.as_bytes().as_slice())
            .fetch_optional(&self.0.readers)
            .await
            .map_err(store_error)?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(LoadedSession {
                record: row.session.into_record()?,
                current_subject_version: unsigned(row.current_subject_version)?,
                now: Timestamp::from_millis(self.now()),
            }))
        })
        .await
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        match self
            .write(Write::RotateSession(OwnedAdvance::new(step)?))
            .await?
        {
            Written::RotatedAt(advanced) => Ok(advanced),
            _ => Err(gone()),
        }
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        match self.write(Write::RevokeSession(*revoke)).await? {
            Written::Revoked(revoked) => Ok(revoked),
            _ => Err(gone()),
        }
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        match self.write(Write::RevokeSubject(OwnedEnd::new(end))).await? {
            Written::Ended(raised) => Ok(raised),
            _ => Err(gone()),
        }
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        let write = Write::RaiseEpoch {
            subject: subject.to_owned(),
            at_least: signed(at_least)?,
        };
        match self.write(write).await? {
            Written::EpochRaised(subject_version) => Ok(subject_version),
            _ => Err(gone()),
        }
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        let write = Write::RaiseLifetime {
            issuer: issuer.to_owned(),
            lifetime,
        };
        match self.write(write).await? {
            Written::LongestLifetime(longest) => Ok(longest),
            _ => Err(gone()),
        }
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        self.bounded(async {
            let rows: Vec<SessionRow> = sqlx::query_as(
                "SELECT * FROM auth_sessions
                 WHERE subject = ?1 AND revoked_at IS NULL
                     AND idle_expires_at > ?2 AND absolute_expires_at > ?2
                     AND epoch = coalesce((SELECT epoch FROM auth_subjects WHERE subject = ?1), 0)
                 ORDER BY last_used_at DESC, created_at DESC, id DESC LIMIT ?3",
            )
            .bind(subject)
            .bind(self.now())
            .bind(limit)
            .fetch_all(&self.0.readers)
            .await
            .map_err(store_error)?;
            rows.into_iter().map(SessionRow::into_record).collect()
        })
        .await
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        match self.write(Write::Purge { kept, batch }).await? {
            Written::Purged(removed) => Ok(removed),
            _ => Err(gone()),
        }
    }
}
