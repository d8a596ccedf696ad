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
    InsertOutcome, LoadedSession, NewSession, RaisedSubjectVersion, RefreshStore, RevokeReason,
    RevokeSession, RevokeSubject, Revoked, RotateSession, RotatedAt, SessionId, SessionRecord,
    StoreError, StoreErrorKind,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, PgPool};

use self::feed::Wakeup;
use self::transaction::Transaction;
use crate::StoreOptions;
use crate::sql::{
    RevokedRow, SessionRow, corrupt, lifetime as interval, longest, row, session_id, signed,
    store_error, timed_out, unsigned,
};

/// Tries after the first one.
const RETRIES: u32 = 2;

/// Sessions and revocations in PostgreSQL 13 or later, for any number of nodes.
///
/// Cloning shares the connections. The URL must be that of the primary: on a replica that lags, a
/// retry looks like the reuse of a stolen token.
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
        current_subject_version: i64 = "subject_epoch",
        now: i64,
        ..session: SessionRow,
    }
}

#[async_trait]
impl RefreshStore for PostgresStore {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        let subject_version: Option<i64> = self
            .run(Again::IfBroken, || {
                sqlx::query_scalar(statements::EPOCH)
                    .bind(subject)
                    .fetch_optional(&self.0.pool)
            })
            .await?;
        unsigned(subject_version.unwrap_or(0))
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        let row = NewRow {
            subject_version: signed(session.subject_version)?,
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
            Made::SubjectVersionChanged => Ok(InsertOutcome::SubjectVersionChanged),
            // A new id that is there already: it was not new.
            Made::NotNew => Err(corrupt()),
        }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        let row: Option<LoadedRow> = self
            .run(Again::IfBroken, || {
                sqlx::query_as(statements::LOAD)
                    .bind(self.driven())
                    .bind(id.as_bytes().as_slice())
                    .fetch_optional(&self.0.pool)
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(LoadedSession {
            record: row.session.into_record()?,
            current_subject_version: unsigned(row.current_subject_version)?,
            now: Timestamp::from_millis(row.now),
        }))
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        let (subject_version, details) = (signed(step.subject_version)?, step.details.encode()?);
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
                    .bind(subject_version)
                    .bind(step.subject)
                    .fetch_optional(&self.0.pool)
            })
            .await?;
        Ok(stamped.map(|(now, idle_expires_at)| RotatedAt {
            now: Timestamp::from_millis(now),
            idle_expires_at: Timestamp::from_millis(idle_expires_at),
        }))
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        // Made twice, the second one finds the mark of the first.
        let ended = self
            .run(Again::IfBroken, || async {
                let mut connection = self.0.pool.acquire().await?;
                end_one(&mut connection, revoke, self.driven()).await
            })
            .await?;
        ended.into_revoked(revoke)
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        let raised = self
            .run(Again::IfUndone, || async {
                let mut transaction = Transaction::begin(&self.0.pool).await?;
                let connection = transaction.connection()?;
                let subject_version = raise_subject_version(connection, end, self.driven()).await;
                transaction.end(subject_version, Option::is_some).await
            })
            .await?;
        let Some((subject_version, until)) = raised else {
            return Ok(None);
        };
        Ok(Some(RaisedSubjectVersion {
            subject_version: unsigned(subject_version)?,
            listed_until: Timestamp::from_millis(until),
        }))
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        let at_least = signed(at_least)?;
        let subject_version: i64 = self
            .run(Again::IfBroken, || {
                sqlx::query_scalar(statements::RAISE_EPOCH_TO)
                    .bind(subject)
                    .bind(at_least)
                    .fetch_one(&self.0.pool)
            })
            .await?;
        unsigned(subject_version)
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        let lifetime = interval(lifetime);
        let known = self
            .run(Again::IfBroken, || async {
                let (of_issuer, of_all): (Option<i64>, Option<i64>) =
                    sqlx::query_as(statements::LIFETIMES)
                        .bind(issuer)
                        .fetch_one(&self.0.pool)
                        .await?;
                if of_issuer.is_some_and(|known| known >= lifetime) {
                    return Ok(of_all);
                }
                let mut transaction = Transaction::begin(&self.0.pool).await?;
                let connection = transaction.connection()?;
                let raised = raise_lifetime(connection, issuer, lifetime).await;
                transaction.end(raised, |()| true).await?;
                Ok(of_all.max(Some(lifetime)))
            })
            .await?;
        longest(known)
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
    subject_version: i64,
    details: String,
}

enum Made {
    Done(Result<InsertOutcome, StoreError>),
    SubjectVersionChanged,
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
            let subject_version: i64 = sqlx::query_scalar(statements::LOCK_SUBJECT)
                .bind(session.subject)
                .fetch_one(&mut *connection)
                .await?;
            if subject_version != self.subject_version {
                return Ok(Made::SubjectVersionChanged);
            }
        }
        let stamped: Option<(i64, i64)> = sqlx::query_as(statements::INSERT)
            .bind(driven)
            .bind(session.id.as_bytes().as_slice())
            .bind(session.subject)
            .bind(self.subject_version)
            .bind(interval(session.idle))
            .bind(interval(session.absolute))
            .bind(&self.details)
            .bind(interval(session.listing.lifetime))
            .bind(interval(session.listing.margin))
            .fetch_optional(&mut *connection)
            .await?;
        let Some((now, until)) = stamped else {
            let subject_version: Option<i64> = sqlx::query_scalar(statements::EPOCH)
                .bind(session.subject)
                .fetch_optional(connection)
                .await?;
            let moved = subject_version.unwrap_or(0) != self.subject_version;
            return Ok(if moved {
                Made::SubjectVersionChanged
            } else {
                Made::NotNew
            });
        };
        let replaced = self.replace(connection, session, driven).await?;
        let evicted = self.evict(connection, session, driven).await?;
        let done = || {
            Ok(InsertOutcome::Done {
                now: Timestamp::from_millis(now),
                replaced: replaced?,
                evicted: evicted
                    .iter()
                    .map(|id| session_id(id))
                    .collect::<Result<_, _>>()?,
                listed_until: Timestamp::from_millis(until),
            })
        };
        Ok(Made::Done(done()))
    }

    async fn replace(
        &self,
        connection: &mut PgConnection,
        session: &NewSession<'_>,
        driven: Option<i64>,
    ) -> sqlx::Result<Result<Option<Revoked>, StoreError>> {
        let Some(id) = session.replaces else {
            return Ok(Ok(None));
        };
        let revoke = RevokeSession {
            id,
            reason: RevokeReason::Replaced,
            mark: session.mark,
            listing: session.listing,
        };
        let ended = end_one(connection, &revoke, driven).await?;
        Ok(ended.into_revoked(&revoke))
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
            .bind(self.subject_version)
            .bind(session.id.as_bytes().as_slice())
            .bind(i64::from(limit.get()))
            .bind(RevokeReason::Limit.as_str())
            .bind(interval(session.listing.lifetime))
            .bind(interval(session.listing.margin))
            .bind(session.mark.as_bytes().as_slice())
            .fetch_all(connection)
            .await
    }
}

/// What a revoking statement did.
struct Ended {
    until: i64,
    by: EndedBy,
}

enum EndedBy {
    This,
    Another(RevokedRow),
    NoRow,
}

impl Ended {
    fn into_revoked(self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        let listed_until = Timestamp::from_millis(self.until);
        match self.by {
            EndedBy::This => Ok(Some(Revoked {
                mark: Some(revoke.mark),
                reason: revoke.reason,
                listed_until,
            })),
            EndedBy::Another(row) => row.into_revoked(listed_until).map(Some),
            EndedBy::NoRow => Ok(None),
        }
    }
}

async fn end_one(
    connection: &mut PgConnection,
    revoke: &RevokeSession,
    driven: Option<i64>,
) -> sqlx::Result<Ended> {
    let id = revoke.id.as_bytes().as_slice();
    let (until, ended): (i64, bool) = sqlx::query_as(statements::REVOKE)
        .bind(driven)
        .bind(id)
        .bind(revoke.reason.as_str())
        .bind(interval(revoke.listing.lifetime))
        .bind(interval(revoke.listing.margin))
        .bind(revoke.mark.as_bytes().as_slice())
        .fetch_one(&mut *connection)
        .await?;
    let by = if ended {
        EndedBy::This
    } else {
        let row = sqlx::query_as(statements::REVOKED)
            .bind(id)
            .fetch_optional(connection)
            .await?;
        row.map_or(EndedBy::NoRow, EndedBy::Another)
    };
    Ok(Ended { until, by })
}

async fn raise_lifetime(
    connection: &mut PgConnection,
    issuer: &str,
    lifetime: i64,
) -> sqlx::Result<()> {
    sqlx::query(statements::LOCK_LIFETIMES)
        .execute(&mut *connection)
        .await?;
    sqlx::query(statements::RAISE_LIFETIME)
        .bind(issuer)
        .bind(lifetime)
        .execute(connection)
        .await
        .map(drop)
}

async fn raise_subject_version(
    connection: &mut PgConnection,
    end: &RevokeSubject<'_>,
    driven: Option<i64>,
) -> sqlx::Result<Option<(i64, i64)>> {
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
    let subject_version: i64 = sqlx::query_scalar(statements::RAISE_EPOCH)
        .bind(end.subject)
        .fetch_one(&mut *connection)
        .await?;
    if let Some(id) = &end.keep {
        sqlx::query(statements::MOVE_TO_EPOCH)
            .bind(id.as_bytes().as_slice())
            .bind(subject_version)
            .execute(&mut *connection)
            .await?;
    }
    let until: i64 = sqlx::query_scalar(statements::MARK_ENDED)
        .bind(driven)
        .bind(end.subject)
        .bind(subject_version)
        .bind(end.reason.as_str())
        .bind(interval(end.listing.lifetime))
        .bind(interval(end.listing.margin))
        .fetch_one(connection)
        .await?;
    Ok(Some((subject_version, until)))
}

pub(super) fn unavailable() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable)
}
