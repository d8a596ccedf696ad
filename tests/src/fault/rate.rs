//! Rotations per second, next to the statements or scripts that a rotation consists of, sent by
//! nothing but the driver, in the same run.
//!
//! A rotation is a load and a conditional write. The bare counterpart does the same two, over a
//! pool of the same size; the second figure beside it is the conditional write alone.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use auth_core::session::{
    ClientInfo, LoginRequest, RefreshKey, RefreshOutcome, SessionPolicy, Sessions,
};
use auth_core::store::StoreClock;
use auth_core::{Issuer, Key};
use redis::Script;
use redis::aio::MultiplexedConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{PgPool, Row};
use tokio::task::JoinSet;

use super::{Failure, Outcome, backend};

/// As many as the stores have.
const CONNECTIONS: u32 = 8;
/// The two are measured in turns, so that what else the machine does hits both.
const TURNS: u32 = 5;

/// What one store does.
#[derive(Clone, Debug)]
pub struct Rate {
    /// Sessions in flight.
    pub in_flight: usize,
    /// Rotations per second.
    pub rotations: f64,
    /// Bare loads with their conditional writes per second.
    pub bare: f64,
    /// Bare conditional writes per second.
    pub bare_writes: f64,
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>2} in flight: {:>7.0} rotations/s, bare load + write {:>7.0}/s ({:>3.0} %), bare write {:>7.0}/s",
            self.in_flight,
            self.rotations,
            self.bare,
            100.0 * self.rotations / self.bare,
            self.bare_writes,
        )
    }
}

/// Something to be done again and again for one session.
#[async_trait]
trait Work: Send {
    async fn once(&mut self) -> Outcome<()>;
}

/// Measures one store.
///
/// # Errors
/// If something fails that must not.
pub async fn measure(url: &str, in_flight: usize, time: Duration) -> Outcome<Rate> {
    let store = backend::open(url, StoreClock::own(), Duration::from_secs(5)).await?;
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", b"rates: a key that signs access tokens")?)?;
    // Every use rotates.
    let sessions = Sessions::builder(issuer, store, RefreshKey::ephemeral()?)
        .with_policy(SessionPolicy::default().with_strict_mode())
        .without_revocations()
        .build()?;
    let mut ours: Vec<Box<dyn Work>> = Vec::new();
    let mut bare: Vec<Box<dyn Work>> = Vec::new();
    let mut writes: Vec<Box<dyn Work>> = Vec::new();
    let driver = Driver::open(url).await?;
    for _ in 0..in_flight {
        let tokens = sessions.login(LoginRequest::for_subject("ada")).await?;
        let token = tokens.refresh().ok_or("no token")?.expose().to_owned();
        ours.push(Box::new(Rotation {
            sessions: sessions.clone(),
            token,
        }));
        for (kind, loads) in [(&mut bare, true), (&mut writes, false)] {
            let tokens = sessions.login(LoginRequest::for_subject("ada")).await?;
            kind.push(Box::new(Bare {
                driver: driver.clone(),
                id: tokens.session().as_bytes().to_vec(),
                generation: 0,
                loads,
            }));
        }
    }
    let mut done = [0.0; 3];
    for turn in 0..=TURNS {
        for (work, done) in [&mut ours, &mut bare, &mut writes]
            .into_iter()
            .zip(&mut done)
        {
            let rate = run(work, time / TURNS).await?;
            // The first turn warms up.
            if turn > 0 {
                *done += rate / f64::from(TURNS);
            }
        }
    }
    let [rotations, bare, bare_writes] = done;
    Ok(Rate {
        in_flight,
        rotations,
        bare,
        bare_writes,
    })
}

async fn run(work: &mut Vec<Box<dyn Work>>, time: Duration) -> Outcome<f64> {
    let over = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for mut one in work.drain(..) {
        let (over, count) = (Arc::clone(&over), Arc::clone(&count));
        workers.spawn(async move {
            while !over.load(SeqCst) {
                one.once().await?;
                count.fetch_add(1, SeqCst);
            }
            Ok::<_, Failure>(one)
        });
    }
    tokio::time::sleep(time).await;
    let (done, took) = (count.load(SeqCst), began.elapsed());
    over.store(true, SeqCst);
    for one in workers.join_all().await {
        work.push(one?);
    }
    Ok(done as f64 / took.as_secs_f64())
}

struct Rotation {
    sessions: Sessions,
    token: String,
}

#[async_trait]
impl Work for Rotation {
    async fn once(&mut self) -> Outcome<()> {
        match self.sessions.refresh(&self.token, &ClientInfo::new()).await {
            RefreshOutcome::Granted(tokens) => {
                let token = tokens.refresh().ok_or("no successor")?;
                self.token = token.expose().to_owned();
                Ok(())
            }
            other => Err(format!("a rotation: {other:?}").into()),
        }
    }
}

#[derive(Clone)]
enum Driver {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    Redis(MultiplexedConnection, Arc<[Script; 2]>),
}

struct Bare {
    driver: Driver,
    id: Vec<u8>,
    generation: i64,
    loads: bool,
}

const SQL_LOAD: &str = "SELECT s.*, coalesce(j.epoch, 0) AS subject_epoch
    FROM auth_sessions s LEFT JOIN auth_subjects j ON j.subject = s.subject WHERE s.id = $1";
const SQLITE_WRITE: &str = "UPDATE auth_sessions
    SET generation = ?1 + 1, predecessor = ?1, recovered = 0, details = ?2, rotated_at = ?3,
        last_used_at = ?3, idle_expires_at = min(?3 + 1209600000, absolute_expires_at)
    WHERE id = ?4 AND generation = ?1 AND revoked_at IS NULL AND epoch = 0 AND subject = 'ada'
        AND epoch = coalesce((SELECT epoch FROM auth_subjects WHERE subject = 'ada'), 0)
    RETURNING idle_expires_at";
const POSTGRES_WRITE: &str = "WITH t AS MATERIALIZED (
        SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now)
    UPDATE auth_sessions
    SET generation = $1 + 1, predecessor = $1, recovered = 0, details = $2, rotated_at = t.now,
        last_used_at = t.now, idle_expires_at = least(t.now + 1209600000, absolute_expires_at)
    FROM t
    WHERE id = $3 AND generation = $1 AND revoked_at IS NULL AND epoch = 0 AND subject = 'ada'
        AND epoch = coalesce((SELECT epoch FROM auth_subjects WHERE subject = 'ada'), 0)
    RETURNING rotated_at, idle_expires_at";

macro_rules! script {
    ($($file:literal),+) => {
        Script::new(concat!(
            include_str!("../../../auth-store/src/redis/scripts/common.lua"),
            $(include_str!(concat!("../../../auth-store/src/redis/scripts/", $file))),+
        ))
    };
}

impl Driver {
    async fn open(url: &str) -> Outcome<Self> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let file = SqliteConnectOptions::from_str(path)?
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(30));
            let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS);
            return Ok(Self::Sqlite(pool.connect_with(file).await?));
        }
        if url.starts_with("postgres") {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
            return Ok(Self::Postgres(pool.connect(url).await?));
        }
        let connection = redis::Client::open(url)?
            .get_multiplexed_async_connection()
            .await?;
        let scripts = [
            script!("single/common.lua", "single/load.lua"),
            script!("advance.lua"),
        ];
        Ok(Self::Redis(connection, Arc::new(scripts)))
    }
}

#[async_trait]
impl Work for Bare {
    async fn once(&mut self) -> Outcome<()> {
        let from = self.generation;
        self.generation += 1;
        let details = "{}";
        match &mut self.driver {
            Driver::Sqlite(pool) => {
                if self.loads {
                    sqlx::query(SQL_LOAD)
                        .bind(&self.id)
                        .fetch_one(&*pool)
                        .await?;
                }
                let row = sqlx::query(SQLITE_WRITE)
                    .bind(from)
                    .bind(details)
                    .bind(1_800_000_000_000_i64 + from)
                    .bind(&self.id)
                    .fetch_one(&*pool)
                    .await?;
                let _: i64 = row.try_get(0)?;
            }
            Driver::Postgres(pool) => {
                if self.loads {
                    sqlx::query(SQL_LOAD)
                        .bind(&self.id)
                        .fetch_one(&*pool)
                        .await?;
                }
                let row = sqlx::query(POSTGRES_WRITE)
                    .bind(from)
                    .bind(details)
                    .bind(&self.id)
                    .fetch_one(&*pool)
                    .await?;
                let _: i64 = row.try_get(0)?;
            }
            Driver::Redis(connection, scripts) => {
                let [load, advance] = &**scripts;
                let row = [b"auth:s:".as_slice(), &self.id].concat();
                if self.loads {
                    let _: redis::Value = load.key(&row).invoke_async(connection).await?;
                }
                let predecessor = from.checked_sub(1).filter(|_| from > 0);
                let predecessor = predecessor.map(|it| it.to_string()).unwrap_or_default();
                let done: redis::Value = advance
                    .key(&row)
                    .key("auth:e:{ada}")
                    .arg(from)
                    .arg(predecessor)
                    .arg(0)
                    .arg(from + 1)
                    .arg(from)
                    .arg(0)
                    .arg(1_209_600_000_i64)
                    .arg("ada")
                    .arg(details)
                    .invoke_async(connection)
                    .await?;
                if done == redis::Value::Nil {
                    return Err("a bare script did nothing".into());
                }
            }
        }
        Ok(())
    }
}
