//! [`PostgresStore`]: sessions for many nodes.
//!
//! 1. Each operation is one statement, or one transaction that holds the subject's row first and
//!    session rows after it; nothing takes them in another order, so nothing deadlocks.
//! 2. The server stamps every moment, so skewed nodes do not matter.
//! 3. Serialization failures and deadlocks are tried again, twice at most: the transaction has
//!    certainly been undone. A connection that breaks is another matter: the write may have
//!    happened, so only what may happen twice is tried again.

mod feed;
mod keys;
mod schema;
mod statements;
mod transaction;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::Timestamp;
use auth_core::session::{
    Advance, Advanced, EndAll, Inserted, Loaded, NewSession, RefreshStore, Revoke, SessionId,
    SessionRecord, StoreError, StoreErrorKind,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, PgPool};

use self::feed::Wakeup;
use self::transaction::Transaction;
use crate::StoreOptions;
use crate::sql::{SessionRow, corrupt, row, session_id, signed, store_error, timed_out, unsigned};

/// Tries after the first one.
const RETRIES: u32 = 2;

/// Sessions and revocations in PostgreSQL (13 or later): the store for many nodes.
///
/// Cloning shares the connections. `url` must name the primary: a replica that lags would take a
/// retry for a thief.
///
/// ```no_run
/// # async fn open() -> Result<(), auth_core::session::StoreError> {
/// use auth_store::PostgresStore;
///
/// let store = PostgresStore::connect("postgres://app:secret@db/app").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    pool: PgPool,
    options: StoreOptions,
    wakeup: Wakeup,
}

impl PostgresStore {
    /// Connects and brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] if the URL is none, or the server cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, StoreOptions::new()).await
    }

    /// [`connect`](Self::connect), with other than the default options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        // The server gives up as well, so that an abandoned statement holds no lock for long.
        let bound = options.timeout.as_millis().to_string();
        let server = PgConnectOptions::from_str(url)
            .map_err(store_error)?
            .options([("statement_timeout", bound)])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.timeout)
            .connect_lazy_with(server.clone());
        let opening = async {
            let mut connection = server.connect().await?;
            schema::bring_up_to_date(&mut connection).await
        };
        match tokio::time::timeout(options.timeout, opening).await {
            Ok(done) => done.map_err(store_error)?,
            Err(_) => return Err(timed_out()),
        }
        let wakeup = Wakeup::new(pool.clone());
        Ok(Self(Arc::new(Inner {
            pool,
            options,
            wakeup,
        })))
    }

    /// Runs `call` within the bound, and again if the server has undone it; with
    /// [`Again::IfBroken`] also if the connection broke.
    async fn run<T, F>(&self, again: Again, mut call: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        let tries = async {
            let mut tried = 0;
            loop {
                match call().await {
                    Err(error) if tried < RETRIES && again.applies_to(&error) => tried += 1,
                    done => return done.map_err(store_error),
                }
            }
        };
        let ended = tokio::time::timeout(self.0.options.timeout, tries).await;
        ended.unwrap_or_else(|_| Err(timed_out()))
    }

    /// The time that a test drives.
    fn driven(&self) -> Option<i64> {
        self.0.options.clock.driven_now().map(Timestamp::as_millis)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

/// When a call may be made once more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Only if the first one certainly had no effect.
    IfUndone,
    /// Also if it may have had: a second one does no harm.
    IfBroken,
}

impl Again {
    fn applies_to(self, error: &sqlx::Error) -> bool {
        match error {
            sqlx::Error::Database(error) => match error.code().as_deref() {
                Some("40001" | "40P01") => true,
                Some("57P01" | "57P02" | "57P03") => self == Self::IfBroken,
                _ => false,
            },
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => self == Self::IfBroken,
            _ => false,
        }
    }
}

row! {
    struct LoadedRow {
        subject_epoch: i64,
        now: i64,
        ..session: SessionRow,
    }
}

/// A duration in milliseconds, short enough to be added to any moment without overflow.
fn interval(duration: Duration) -> i64 {
    const LONGEST: i64 = i64::MAX / 4;
    i64::try_from(duration.as_millis())
        .unwrap_or(LONGEST)
        .min(LONGEST)
}

#[async_trait]
impl RefreshStore for PostgresStore {
    async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        let epoch: Option<i64> = self
            .run(Again::IfBroken, || {
                sqlx::query_scalar(statements::EPOCH)
                    .bind(subject)
                    .fetch_optional(&self.0.pool)
            })
            .await?;
        unsigned(epoch.unwrap_or(0))
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<Inserted, StoreError> {
        let row = NewRow {
            epoch: signed(session.epoch)?,
            details: session.details.encode()?,
        };
        let made = self
            .run(Again::IfUndone, || async {
                let mut transaction = Transaction::begin(&self.0.pool).await?;
                let connection = transaction.connection()?;
                let made = row.insert(connection, session, self.driven()).await;
                let stays = |made: &Made| matches!(made, Made::Done(_));
                transaction.end(made, stays).await
            })
            .await?;
        match made {
            Made::Done(inserted) => inserted,
            Made::EpochMoved => Ok(Inserted::EpochMoved),
            // A new id that is there already: it was not new.
            Made::NotNew => Err(corrupt()),
        }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let row: Option<LoadedRow> = self
            .run(Again::IfBroken, || {
                sqlx::query_as(statements::LOAD)
                    .bind(self.driven())
                    .bind(id.as_bytes().as_slice())
                    .fetch_optional(&self.0.pool)
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Loaded {
            record: row.session.into_record()?,
            subject_epoch: unsigned(row.subject_epoch)?,
            now: Timestamp::from_millis(row.now),
        }))
    }

    async fn advance(&self, step: &Advance<'_>) -> Result<Option<Advanced>, StoreError> {
        let (epoch, details) = (signed(step.epoch)?, step.details.encode()?);
        // Made twice, the second one finds another generation and answers `None`: the caller loads
        // again and finds a retry, which is what it is.
        let stamped: Option<(i64, i64)> = self
            .run(Again::IfBroken, || {
                sqlx::query_as(statements::ADVANCE)
                    .bind(self.driven())
                    .bind(i64::from(step.generation.get()))
                    .bind(step.predecessor.map(|number| i64::from(number.get())))
                    .bind(i16::from(step.recovered))
                    .bind(&details)
                    .bind(interval(step.idle))
                    .bind(step.id.as_bytes().as_slice())
                    .bind(i64::from(step.from_generation.get()))
                    .bind(step.from_predecessor.map(|number| i64::from(number.get())))
                    .bind(epoch)
                    .bind(step.subject)
                    .fetch_optional(&self.0.pool)
            })
            .await?;
        Ok(stamped.map(|(now, idle_expires_at)| Advanced {
            now: Timestamp::from_millis(now),
            idle_expires_at: Timestamp::from_millis(idle_expires_at),
        }))
    }

    async fn revoke(&self, revoke: &Revoke) -> Result<bool, StoreError> {
        let ended: i64 = self
            .run(Again::IfBroken, || {
                sqlx::query_scalar(statements::REVOKE)
                    .bind(self.driven())
                    .bind(revoke.id.as_bytes().as_slice())
                    .bind(revoke.reason.as_str())
                    .bind(interval(revoke.list_for))
                    .fetch_one(&self.0.pool)
            })
            .await?;
        Ok(ended != 0)
    }

    async fn end_all(&self, end: &EndAll<'_>) -> Result<Option<u64>, StoreError> {
        let epoch = self
            .run(Again::IfUndone, || async {
                let mut transaction = Transaction::begin(&self.0.pool).await?;
                let connection = transaction.connection()?;
                let epoch = raise_epoch(connection, end, self.driven()).await;
                transaction.end(epoch, Option::is_some).await
            })
            .await?;
        epoch.map(unsigned).transpose()
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        let rows: Vec<SessionRow> = self
            .run(Again::IfBroken, || {
                sqlx::query_as(statements::LIST)
                    .bind(self.driven())
                    .bind(subject)
                    .bind(i64::from(limit))
                    .fetch_all(&self.0.pool)
            })
            .await?;
        rows.into_iter().map(SessionRow::into_record).collect()
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        let removed = self
            .run(Again::IfBroken, || {
                sqlx::query(statements::PURGE)
                    .bind(self.driven())
                    .bind(interval(kept))
                    .bind(i64::from(batch))
                    .execute(&self.0.pool)
            })
            .await?;
        self.run(Again::IfBroken, || {
            sqlx::query(statements::PURGE_LISTED)
                .bind(self.driven())
                .bind(i64::from(batch))
                .execute(&self.0.pool)
        })
        .await?;
        Ok(u32::try_from(removed.rows_affected()).unwrap_or(u32::MAX))
    }
}

/// What a new row needs besides the caller's words.
struct NewRow {
    epoch: i64,
    details: String,
}

enum Made {
    Done(Result<Inserted, StoreError>),
    EpochMoved,
    NotNew,
}

impl NewRow {
    async fn insert(
        &self,
        connection: &mut PgConnection,
        session: &NewSession<'_>,
        driven: Option<i64>,
    ) -> sqlx::Result<Made> {
        if session.limit.is_some() {
            // Concurrent logins of one subject follow each other from here on.
            let epoch: i64 = sqlx::query_scalar(statements::LOCK_SUBJECT)
                .bind(session.subject)
                .fetch_one(&mut *connection)
                .await?;
            if epoch != self.epoch {
                return Ok(Made::EpochMoved);
            }
        }
        let now: Option<i64> = sqlx::query_scalar(statements::INSERT)
            .bind(driven)
            .bind(session.id.as_bytes().as_slice())
            .bind(session.subject)
            .bind(self.epoch)
            .bind(interval(session.idle))
            .bind(interval(session.absolute))
            .bind(&self.details)
            .fetch_optional(&mut *connection)
            .await?;
        let Some(now) = now else {
            let epoch: Option<i64> = sqlx::query_scalar(statements::EPOCH)
                .bind(session.subject)
                .fetch_optional(connection)
                .await?;
            let moved = epoch.unwrap_or(0) != self.epoch;
            return Ok(if moved {
                Made::EpochMoved
            } else {
                Made::NotNew
            });
        };
        let replaced = self.replace(connection, session, driven).await?;
        let evicted = self.evict(connection, session, driven).await?;
        let evicted: Result<Vec<SessionId>, StoreError> =
            evicted.iter().map(|id| session_id(id)).collect();
        let now = Timestamp::from_millis(now);
        Ok(Made::Done(evicted.map(|evicted| Inserted::Done {
            now,
            replaced,
            evicted,
        })))
    }

    async fn replace(
        &self,
        connection: &mut PgConnection,
        session: &NewSession<'_>,
        driven: Option<i64>,
    ) -> sqlx::Result<bool> {
        let Some(id) = session.replaces else {
            return Ok(false);
        };
        let ended: i64 = sqlx::query_scalar(statements::REVOKE)
            .bind(driven)
            .bind(id.as_bytes().as_slice())
            .bind(auth_core::session::RevokeReason::Replaced.as_str())
            .bind(interval(session.list_for))
            .fetch_one(connection)
            .await?;
        Ok(ended != 0)
    }

    async fn evict(
        &self,
        connection: &mut PgConnection,
        session: &NewSession<'_>,
        driven: Option<i64>,
    ) -> sqlx::Result<Vec<Vec<u8>>> {
        let Some(limit) = session.limit else {
            return Ok(Vec::new());
        };
        sqlx::query_scalar(statements::EVICT)
            .bind(driven)
            .bind(session.subject)
            .bind(self.epoch)
            .bind(session.id.as_bytes().as_slice())
            .bind(i64::from(limit.get()))
            .bind(auth_core::session::RevokeReason::Limit.as_str())
            .bind(interval(session.list_for))
            .fetch_all(connection)
            .await
    }
}

async fn raise_epoch(
    connection: &mut PgConnection,
    end: &EndAll<'_>,
    driven: Option<i64>,
) -> sqlx::Result<Option<i64>> {
    let before: i64 = sqlx::query_scalar(statements::LOCK_SUBJECT)
        .bind(end.subject)
        .fetch_one(&mut *connection)
        .await?;
    if let Some(id) = &end.keep {
        let live: Option<i64> = sqlx::query_scalar(statements::HOLD_LIVE)
            .bind(driven)
            .bind(id.as_bytes().as_slice())
            .bind(end.subject)
            .bind(before)
            .fetch_optional(&mut *connection)
            .await?;
        if live.is_none() {
            return Ok(None);
        }
    }
    let epoch: i64 = sqlx::query_scalar(statements::RAISE_EPOCH)
        .bind(end.subject)
        .fetch_one(&mut *connection)
        .await?;
    if let Some(id) = &end.keep {
        sqlx::query(statements::MOVE_TO_EPOCH)
            .bind(id.as_bytes().as_slice())
            .bind(epoch)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(statements::MARK_ENDED)
        .bind(driven)
        .bind(end.subject)
        .bind(epoch)
        .bind(end.reason.as_str())
        .bind(interval(end.list_for))
        .execute(connection)
        .await?;
    Ok(Some(epoch))
}

pub(super) fn unavailable() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable)
}
