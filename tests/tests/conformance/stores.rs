//! Stores that nobody else uses.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, LazyLock, Mutex};

use auth_tests::servers::server;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Memory,
    Sqlite,
    Postgres,
    Redis,
}

impl Kind {
    /// Those that this machine has; loudly, if that is not all.
    pub fn each() -> impl Iterator<Item = Self> {
        [Self::Memory, Self::Sqlite, Self::Postgres, Self::Redis]
            .into_iter()
            .filter(|kind| kind.variable().is_none_or(|name| server(name).is_some()))
    }

    /// The one with a server that tests stop: the tests' own, if there are to be servers.
    pub fn servers() -> impl Iterator<Item = Self> {
        Self::each().filter(|kind| kind.variable().is_some())
    }

    fn variable(self) -> Option<&'static str> {
        match self {
            Self::Memory | Self::Sqlite => None,
            Self::Postgres => Some("AUTH_TEST_POSTGRES_URL"),
            Self::Redis => Some("AUTH_TEST_REDIS_URL"),
        }
    }
}

/// An empty store, gone when dropped.
#[derive(Debug)]
pub enum Store {
    Memory,
    Sqlite(TempDir),
    Postgres { url: String },
    Redis { url: String, number: usize },
}

impl Store {
    pub fn fresh(kind: Kind) -> Self {
        match kind {
            Kind::Memory => Self::Memory,
            Kind::Sqlite => Self::Sqlite(tempfile::tempdir().unwrap()),
            Kind::Postgres => Self::Postgres {
                url: new_database(&server("AUTH_TEST_POSTGRES_URL").unwrap()),
            },
            Kind::Redis => {
                let number = NUMBERS.take();
                let url = server("AUTH_TEST_REDIS_URL").unwrap();
                empty(&url, number);
                let url = format!("{}/{number}", url.trim_end_matches('/'));
                Self::Redis { url, number }
            }
        }
    }

    pub fn url(&self) -> String {
        match self {
            Self::Memory => "memory:".to_owned(),
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("db").display()),
            Self::Postgres { url } | Self::Redis { url, .. } => url.clone(),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Self::Redis { number, .. } = self {
            NUMBERS.give_back(*number);
        }
    }
}

fn new_database(server: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("auth_shim_{}_{number}", std::process::id());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut admin = PgConnection::connect(server).await.unwrap();
        let statement = format!("CREATE DATABASE {name}");
        admin.execute(AssertSqlSafe(statement)).await.unwrap();
    });
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

fn empty(url: &str, number: usize) {
    let address = url.trim_start_matches("redis://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "SELECT {number}\r\nFLUSHDB\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "+OK\r\n+OK\r\n+OK\r\n");
}

/// The numbered databases of the Redis server; other tests use number 0.
struct Numbers {
    free: Mutex<Vec<usize>>,
    given_back: Condvar,
}

static NUMBERS: LazyLock<Numbers> = LazyLock::new(|| Numbers {
    free: Mutex::new((1..16).collect()),
    given_back: Condvar::new(),
});

impl Numbers {
    fn take(&self) -> usize {
        let free = self
            .free
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut free = self
            .given_back
            .wait_while(free, |free| free.is_empty())
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        free.pop().unwrap()
    }

    fn give_back(&self, number: usize) {
        let mut free = self
            .free
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        free.push(number);
        self.given_back.notify_one();
    }
}
