//! [`PostgresStore`]: sessions for many nodes.
//!
//! 1. Each operation is one statement, or one transaction that locks the subject's row first and
//!    session rows after it. The order is always the same, so deadlocks cannot occur.
//! 2. The server stamps all times, so clock differences between nodes do not matter.
//! 3. Serialization failures and deadlocks are retried, at most twice: the transaction was
//!    certainly rolled back. After a broken connection the write may have happened, so only
//!    idempotent calls are retried.
//! 4. If the server has become read-only, all connections to it are dropped, and the call is
//!    repeated on a new one: the address leads to the new primary.

mod connections;
mod feed;
mod keys;
mod link;
mod schema;
mod statements;
mod store;
mod write;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::Timestamp;
use auth_core::session::SessionId;
use auth_core::store::{
    InsertOutcome, LoadedSession, NewSession, RaisedSubjectVersion, RefreshStore, RevokeSession,
    RevokeSubject, Revoked, RotateSession, RotatedAt, SessionRecord, StoreError, StoreErrorKind,
};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{FromRow, Postgres, SqlStr};

use self::connections::{Connections, is_demoted};
use self::feed::Wakeup;
use self::link::PgLink;
use self::write::{Made, NewRow};
use crate::sql::{
    SessionRow, corrupt, lifetime as interval, longest, row, signed, store_error, timed_out,
    unsigned,
};
use crate::{OpenError, StoreOptions};

/// Maximum number of retries.
const RETRIES: u32 = 2;

/// Sessions and revocations in PostgreSQL 13 or later, for any number of nodes.
///
/// Cloning shares the connections. The URL must be that of the primary: on a lagging replica, a
/// retry would count as the reuse of a stolen token.
///
/// ```no_run
/// # async fn open() -> Result<(), auth_store::OpenError> {
/// use auth_store::PostgresStore;
///
/// let store = PostgresStore::connect("postgres://app:secret@db/app").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<PostgresInner>);

struct PostgresInner {
    connections: Arc<Connections>,
    options: StoreOptions,
    wakeup: Wakeup,
}

impl PostgresStore {
    /// Connects and brings the schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] if the URL is invalid, the server cannot be reached or is read-only, or the
    /// schema is missing and cannot be created.
    pub async fn connect(url: &str) -> Result<Self, OpenError> {
        Self::connect_with(url, StoreOptions::new()).await
    }

    /// Connects like [`connect`](Self::connect), with these options.
    ///
    /// # Errors
    /// The same as for [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: StoreOptions) -> Result<Self, OpenError> {
        let server = PgConnectOptions::from_str(url).map_err(OpenError::no_url)?;
        let opening = async {
            let connections = Connections::open(server, options.clone()).await?;
            schema::prepare(&connections, options.migrates).await?;
            Ok(connections)
        };
        let connections = match tokio::time::timeout(options.timeout, opening).await {
            Ok(opened) => Arc::new(opened?),
            Err(_) => return Err(OpenError::too_late()),
        };
        let wakeup = Wakeup::new(connections.clone());
        Ok(Self(Arc::new(PostgresInner {
            connections,
            options,
            wakeup,
        })))
    }

    /// The SQL of the schema, one text per step, in order.
    ///
    /// For [`StoreOptions::without_migrations`]: run each step once, in a transaction, as the owner
    /// of the tables. A step records itself in the table `auth_schema`. Steps never change; a new
    /// version may append one.
    #[must_use]
    pub fn migrations() -> &'static [&'static str] {
        schema::STEPS
    }

    /// Runs `call` within the time limit, and again if the server has rolled it back. With
    /// [`Again::IfBroken`] also if the connection broke.
    async fn run<T, F>(&self, again: Again, mut call: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        let connections = &self.0.connections;
        let tries = async {
            let mut tried = 0;
            loop {
                let number = connections.number();
                let done = call().await;
                let Err(error) = &done else {
                    return done.map_err(store_error);
                };
                if is_demoted(error) {
                    connections.replace(number);
                }
                if tried == RETRIES || !again.applies_to(error) {
                    return done.map_err(store_error);
                }
                tried += 1;
            }
        };
        let ended = tokio::time::timeout(self.0.options.timeout, tries).await;
        ended.unwrap_or_else(|_| Err(timed_out()))
    }

    /// The rows that one statement returns.
    async fn rows<'q, T>(
        &self,
        again: Again,
        query: impl Fn() -> QueryAs<'q, Postgres, T, PgArguments>,
    ) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.run(again, || async {
            let mut link = PgLink::single(&self.0.connections).await?;
            let rows = link.all(query()).await;
            link.end(rows, |_| true).await
        })
        .await
    }

    /// The only row that one statement returns, if there is one.
    async fn row<'q, T>(
        &self,
        again: Again,
        query: impl Fn() -> QueryAs<'q, Postgres, T, PgArguments>,
    ) -> Result<Option<T>, StoreError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let rows = self.rows(again, query).await?;
        Ok(rows.into_iter().next())
    }

    /// The number of rows that one statement changed.
    async fn execute<'q>(
        &self,
        again: Again,
        query: impl Fn() -> Query<'q, Postgres, PgArguments>,
    ) -> Result<u64, StoreError> {
        self.run(again, || async {
            let mut link = PgLink::single(&self.0.connections).await?;
            let done = link.execute(query()).await;
            link.end(done, |_| true).await
        })
        .await
        .map(|done| done.rows_affected())
    }

    fn timed(&self, statement: &'static str) -> SqlStr {
        statements::timed(statement, &self.0.options)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

/// The condition for a retry of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Only if the first call certainly had no effect.
    IfUndone,
    /// Also if the first call may have had an effect: the call is idempotent.
    IfBroken,
}

impl Again {
    fn applies_to(self, error: &sqlx::Error) -> bool {
        match error {
            sqlx::Error::Database(error) => match error.code().as_deref() {
                // Rolled back by a read-only server, or in favor of another transaction.
                Some("25006" | "40001" | "40P01") => true,
                // Shut down, or the message of a pooler about a lost server.
                Some("57P01" | "57P02" | "57P03" | "08006" | "08P01") => self == Self::IfBroken,
                _ => false,
            },
            // Not sent: the pool was replaced, or the server is read-only.
            sqlx::Error::PoolClosed | sqlx::Error::AnyDriverError(_) => true,
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => self == Self::IfBroken,
            _ => false,
        }
    }
}

row! {
    struct PostgresRow {
        current_subject_version: i64 = "subject_epoch",
        now: i64,
        ..session: SessionRow,
    }
}

#[async_trait]
impl RefreshStore for PostgresStore {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        let subject_version: Option<(i64,)> = self
            .row(Again::IfBroken, || {
                sqlx::query_as(statements::EPOCH).bind(subject)
            })
            .await?;
        unsigned(subject_version.map_or(0, |(number,)| number))
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        let row = NewRow {
            subject_version: signed(session.subject_version)?,
            details: session.details.encode()?,
        };
        let made = self
            .run(Again::IfUndone, || async {
                let mut link = PgLink::begin(&self.0.connections).await?;
                let made = row.insert(&mut link, session, &self.0.options).await;
                let stays = |made: &Made| matches!(made, Made::Done(_));
                link.end(made, stays).await
            })
            .await?;
        match made {
            Made::Done(inserted) => inserted,
            Made::SubjectVersionChanged => Ok(InsertOutcome::SubjectVersionChanged),
            // A row with this id exists, so the id was not new.
            Made::NotNew => Err(corrupt()),
        }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        let row: Option<PostgresRow> = self
            .row(Again::IfBroken, || {
                sqlx::query_as(self.timed(statements::LOAD)).bind(id.as_bytes().as_slice())
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
        // A second attempt finds another generation and returns `None`: the caller loads again and
        // finds a retry.
        let stamped: Option<(i64, i64)> = self
            .row(Again::IfBroken, || {
                sqlx::query_as(self.timed(statements::ADVANCE))
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
            })
            .await?;
        Ok(stamped.map(|(now, idle_expires_at)| RotatedAt {
            now: Timestamp::from_millis(now),
            idle_expires_at: Timestamp::from_millis(idle_expires_at),
        }))
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        // A second attempt finds the mark of the first.
        let ended = self
            .run(Again::IfBroken, || async {
                let mut link = PgLink::single(&self.0.connections).await?;
                let ended = write::end_one(&mut link, revoke, &self.0.options).await;
                link.end(ended, |_| true).await
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
                let mut link = PgLink::begin(&self.0.connections).await?;
                let subject_version =
                    write::raise_subject_version(&mut link, end, &self.0.options).await;
                link.end(subject_version, Option::is_some).await
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
        let raised: Option<(i64,)> = self
            .row(Again::IfBroken, || {
                sqlx::query_as(statements::RAISE_EPOCH_TO)
                    .bind(subject)
                    .bind(at_least)
            })
            .await?;
        let (subject_version,) = raised.ok_or_else(unavailable)?;
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
                let mut link = PgLink::single(&self.0.connections).await?;
                let lifetimes = sqlx::query_as(statements::LIFETIMES).bind(issuer);
                let known = link.one(lifetimes).await;
                let known: (Option<i64>, Option<i64>) = link.end(known, |_| true).await?;
                let (of_issuer, of_all) = known;
                if of_issuer.is_some_and(|known| known >= lifetime) {
                    return Ok(of_all);
                }
                let mut link = PgLink::begin(&self.0.connections).await?;
                let raised = write::raise_lifetime(&mut link, issuer, lifetime).await;
                link.end(raised, |()| true).await?;
                Ok(of_all.max(Some(lifetime)))
            })
            .await?;
        longest(known)
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        let rows: Vec<SessionRow> = self
            .rows(Again::IfBroken, || {
                sqlx::query_as(self.timed(statements::LIST))
                    .bind(subject)
                    .bind(i64::from(limit))
            })
            .await?;
        rows.into_iter().map(SessionRow::into_record).collect()
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        let removed = self
            .execute(Again::IfBroken, || {
                sqlx::query(self.timed(statements::PURGE))
                    .bind(interval(kept))
                    .bind(i64::from(batch))
            })
            .await?;
        self.execute(Again::IfBroken, || {
            sqlx::query(self.timed(statements::PURGE_LISTED)).bind(i64::from(batch))
        })
        .await?;
        Ok(u32::try_from(removed).unwrap_or(u32::MAX))
    }
}

pub(super) fn unavailable() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable)
}
