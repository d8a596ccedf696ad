//! Options of all stores.

use std::time::Duration;

#[cfg(feature = "testing")]
use auth_core::store::StoreClock;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_CONNECTIONS: u32 = 8;

/// Options for opening a store. The defaults are for production.
///
/// ```
/// use auth_store::StoreOptions;
/// use std::time::Duration;
///
/// let options = StoreOptions::new().with_timeout(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StoreOptions {
    #[cfg(feature = "testing")]
    clock: StoreClock,
    pub(crate) timeout: Duration,
    pub(crate) connections: u32,
    pub(crate) migrates: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            #[cfg(feature = "testing")]
            clock: StoreClock::own(),
            timeout: DEFAULT_TIMEOUT,
            connections: DEFAULT_CONNECTIONS,
            migrates: true,
        }
    }
}

impl StoreOptions {
    /// Creates the default options: the store's own clock, 5 s per call, 8 connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the clock of the store, for tests. Default: the store's own clock. Feature `testing`.
    #[cfg(feature = "testing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    pub fn with_clock(mut self, clock: StoreClock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the time limit of a call, at least 10 ms. Default: 5 s.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(10));
        self
    }

    /// Sets the maximum number of open connections, at least 1. Default: 8.
    ///
    /// SQLite uses them for reading only. PostgreSQL uses at least 2: one of them listens for
    /// revocations, unless there is a transaction pooler. Redis does not use this option.
    pub fn with_connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Leaves the schema unchanged: opening fails if it is not complete. Default: off.
    ///
    /// `PostgresStore::migrations()` and `SqliteStore::migrations()` are the SQL to run instead.
    /// Redis has no schema.
    pub fn without_migrations(mut self) -> Self {
        self.migrates = false;
        self
    }

    /// The time of a test's clock in milliseconds, in place of the store's own; `None` in
    /// production.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
    pub(crate) fn driven_now(&self) -> Option<i64> {
        #[cfg(feature = "testing")]
        let now = self.clock.driven_now().map(auth_core::Timestamp::as_millis);
        #[cfg(not(feature = "testing"))]
        let now = None;
        now
    }
}
