//! The pool, and what lies between it and the server.
//!
//! 1. A server that has been demoted answers reads, of what it knew, and refuses writes. Every new
//!    connection is asked once whether it may write, and none that may not gets into the pool. If a
//!    statement finds out later, the whole pool is replaced: the other connections lead to the same
//!    server. While nothing of the kind happens, no call pays for it.
//! 2. A pooler that hands out servers by the transaction (PgBouncer, `pool_mode = transaction`) takes
//!    no settings at the start of a connection, or drops them. A setting of ours at the start shows
//!    which it is: it arrives only where nothing is between.

use sqlx::SqlStr;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Postgres, Row, SqlSafeStr,
};
use tokio::sync::watch;

use crate::opening::OpenError;
use crate::options::StoreOptions;

/// Whether our setting has arrived, and whether the server takes no writes.
const PROBE: &str = "SELECT coalesce(current_setting('auth_store.direct', true), '') = '1',
    current_setting('transaction_read_only') = 'on'";

pub(super) struct Connections {
    server: PgConnectOptions,
    options: StoreOptions,
    /// How a transaction begins behind a pooler: with the bound that could not be set before.
    pooled: Option<SqlStr>,
    current: watch::Sender<Current>,
}

struct Current {
    pool: PgPool,
    /// How many there were before this one.
    number: u64,
}

/// The server takes no writes.
#[derive(Debug)]
pub(super) struct ReadOnly;

impl std::fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the PostgreSQL server takes no writes")
    }
}

impl std::error::Error for ReadOnly {}

impl From<ReadOnly> for sqlx::Error {
    fn from(error: ReadOnly) -> Self {
        Self::AnyDriverError(Box::new(error))
    }
}

impl Connections {
    /// Finds out what is at the address.
    pub(super) async fn open(
        server: PgConnectOptions,
        options: StoreOptions,
    ) -> Result<Self, OpenError> {
        // PgBouncer refuses it, and no column of ours is a floating-point number.
        let plain = server.extra_float_digits(None).disable_statement_logging();
        let bound = options.timeout.as_millis().to_string();
        // The server gives up as well, so that an abandoned statement holds no lock for long.
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
        // Best effort: it is not needed any more.
        let _ = connection.close().await;
        if read_only {
            return Err(OpenError::read_only());
        }
        let pooled = (!direct).then(|| {
            let begin = format!("BEGIN; SET LOCAL statement_timeout = {bound}");
            AssertSqlSafe(begin).into_sql_str()
        });
        let server = if direct { bounded } else { plain };
        let (current, _) = watch::channel(Current {
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

    /// Whether a pooler gives out its servers by the transaction.
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

    /// Names the pool of this moment for [`replace`](Self::replace).
    pub(super) fn number(&self) -> u64 {
        self.current.borrow().number
    }

    /// Begins a new pool, unless somebody else has done so since `number`.
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
                "the server takes no writes any more or is going down: connecting anew",
            );
            // Whoever is in a transaction comes to its end.
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

/// Whether what refused the connection may have meant the settings in its beginning, and not who
/// asks for it.
fn may_be_a_pooler(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    !error.code().is_some_and(|code| code.starts_with("28"))
}

/// Whether only a server that is no primary, or is going down, answers that; or the pool was
/// replaced meanwhile.
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
