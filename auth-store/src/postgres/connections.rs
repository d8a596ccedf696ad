//! The pool of connections, and the detection of poolers and demoted servers.
//!
//! 1. A demoted server responds to reads with old data, and refuses writes. Every new connection is
//!    tested once for writes, and only writable ones enter the pool. If a statement detects it
//!    later, the whole pool is replaced, since the other connections lead to the same server.
//!    Otherwise no call has an additional cost.
//! 2. A pooler in transaction mode (PgBouncer, `pool_mode = transaction`) refuses or drops settings
//!    at the start of a connection. A setting of this crate at the start detects it: the setting
//!    arrives only without a pooler.

use sqlx::SqlStr;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Postgres, Row, SqlSafeStr,
};
use tokio::sync::watch;

use crate::opening::OpenError;
use crate::options::StoreOptions;

/// Returns whether the setting of this crate has arrived, and whether the server is read-only.
const PROBE: &str = "SELECT coalesce(current_setting('auth_store.direct', true), '') = '1',
    current_setting('transaction_read_only') = 'on'";

pub(super) struct Connections {
    server: PgConnectOptions,
    options: StoreOptions,
    /// The statement that begins a transaction behind a pooler, with the time limit that could not
    /// be set before.
    pooled: Option<SqlStr>,
    current: watch::Sender<CurrentPool>,
}

struct CurrentPool {
    pool: PgPool,
    /// Number of pools before this one.
    number: u64,
}

/// The error for a read-only server.
#[derive(Debug)]
pub(super) struct ReadOnly;

impl std::fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the PostgreSQL server is read-only")
    }
}

impl std::error::Error for ReadOnly {}

impl From<ReadOnly> for sqlx::Error {
    fn from(error: ReadOnly) -> Self {
        Self::AnyDriverError(Box::new(error))
    }
}

impl Connections {
    /// Connects once, and detects a pooler or a read-only server.
    pub(super) async fn open(
        server: PgConnectOptions,
        options: StoreOptions,
    ) -> Result<Self, OpenError> {
        // PgBouncer refuses this setting, and no column is a floating-point number.
        let plain = server.extra_float_digits(None).disable_statement_logging();
        let bound = options.timeout.as_millis().to_string();
        // The server has the same time limit, so that an abandoned statement holds no lock for
        // long.
        let bounded = plain
            .clone()
            .options([("statement_timeout", &*bound), ("auth_store.direct", "1")]);
        let connected = match bounded.connect().await {
            Err(error) if may_be_a_pooler(&error) => plain.connect().await,
            connected => connected,
        };
        let mut connection = connected.map_err(OpenError::unreachable)?;
        let probed = probe(&mut connection).await;
        let (direct, read_only) = probed.map_err(OpenError::unreachable)?;
        // The probe is complete, so an error of the close does not matter.
        let _ = connection.close().await;
        if read_only {
            return Err(OpenError::read_only());
        }
        let pooled = (!direct).then(|| {
            let begin = format!("BEGIN; SET LOCAL statement_timeout = {bound}");
            AssertSqlSafe(begin).into_sql_str()
        });
        let server = if direct { bounded } else { plain };
        let (current, _) = watch::channel(CurrentPool {
            pool: pool(&server, &options, direct),
            number: 0,
        });
        Ok(Self {
            server,
            options,
            pooled,
            current,
        })
    }

    /// Whether a pooler in transaction mode is in between.
    pub(super) fn is_pooled(&self) -> bool {
        self.pooled.is_some()
    }

    /// The statement that begins a transaction.
    pub(super) fn begin(&self) -> SqlStr {
        match &self.pooled {
            Some(begin) => begin.clone(),
            None => "BEGIN".into_sql_str(),
        }
    }

    pub(super) fn pool(&self) -> PgPool {
        self.current.borrow().pool.clone()
    }

    pub(super) async fn acquire(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        let pool = self.pool();
        pool.acquire().await
    }

    /// The number of the current pool, for [`replace`](Self::replace).
    pub(super) fn number(&self) -> u64 {
        self.current.borrow().number
    }

    /// Replaces the pool, unless that has happened since `number`.
    pub(super) fn replace(&self, number: u64) {
        let mut old = None;
        self.current.send_if_modified(|current| {
            if current.number != number {
                return false;
            }
            current.number = number.wrapping_add(1);
            let fresh = pool(&self.server, &self.options, !self.is_pooled());
            old = Some(std::mem::replace(&mut current.pool, fresh));
            true
        });
        if let Some(old) = old {
            tracing::warn!(
                target: "auth::store",
                store = "postgres",
                "the server has become read-only or is shutting down: reconnecting",
            );
            // Transactions in progress are completed.
            tokio::spawn(async move { old.close().await });
        }
    }
}

fn pool(server: &PgConnectOptions, options: &StoreOptions, listens: bool) -> PgPool {
    // The listener keeps its connection, and the calls need another one.
    let least = if listens { 2 } else { 1 };
    PgPoolOptions::new()
        .max_connections(options.connections.max(least))
        .acquire_timeout(options.timeout)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let (_, read_only) = probe(connection).await?;
                if read_only {
                    return Err(ReadOnly.into());
                }
                Ok(())
            })
        })
        .connect_lazy_with(server.clone())
}

async fn probe(connection: &mut PgConnection) -> sqlx::Result<(bool, bool)> {
    let row = sqlx::raw_sql(PROBE).fetch_one(connection).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Whether a pooler may have refused the settings at the start of the connection. Errors of
/// authentication are excluded.
fn may_be_a_pooler(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    !error.code().is_some_and(|code| code.starts_with("28"))
}

/// Whether the error shows that the server is not a primary or is shutting down, or that the pool
/// was replaced meanwhile.
pub(super) fn is_demoted(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => matches!(
            error.code().as_deref(),
            Some("25006" | "57P01" | "57P02" | "57P03")
        ),
        sqlx::Error::AnyDriverError(error) => error.is::<ReadOnly>(),
        _ => false,
    }
}
