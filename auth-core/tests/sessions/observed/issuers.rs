//! An issuer whose key set can fail, and a storage of own keys that can fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use auth_core::remote::{FetchError, FetchFault, FetchKeys, FetchedKeys, RemoteKeys};
use auth_core::session::Events;
use auth_core::store::{
    KeyPersistence, KeySet, LoadedKeys, PersistenceError, PersistenceErrorKind,
};
use auth_core::testing::ManualClock;
use auth_core::{Algorithm, Key};

pub(crate) const ISSUER: &str = "https://id.example";

/// Publishes one key, except during an outage.
#[derive(Debug)]
pub(crate) struct Publisher {
    document: String,
    pub(crate) down: AtomicBool,
}

impl Publisher {
    pub(crate) fn new() -> Arc<Self> {
        let (key, _) = Key::generate("1", Algorithm::Es256).unwrap();
        Arc::new(Self {
            document: format!(r#"{{"keys":[{}]}}"#, key.public_jwk().unwrap()),
            down: AtomicBool::new(false),
        })
    }

    /// The keys of the issuer, fetched in the background.
    pub(crate) fn keys(
        self: &Arc<Self>,
        clock: &Arc<ManualClock>,
        events: Arc<dyn Events>,
    ) -> RemoteKeys {
        let fetcher = Arc::clone(self) as _;
        let (keys, task) =
            RemoteKeys::new(ISSUER, [Algorithm::Es256], fetcher, Arc::clone(clock) as _).unwrap();
        tokio::spawn(task.with_events(events).run());
        keys
    }
}

#[async_trait]
impl FetchKeys for Publisher {
    async fn fetch(&self, _etag: Option<&str>) -> Result<FetchedKeys, FetchError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(FetchError::new(FetchFault::Unreachable));
        }
        Ok(FetchedKeys::document(self.document.as_str()))
    }
}

/// Waits until the task has made this number of fetches.
pub(crate) async fn fetched(keys: &RemoteKeys, times: u64) {
    while keys.status().successes + keys.status().failures < times {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

/// Keeps the own keys in memory, except during an outage.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    kept: Mutex<Option<(u64, KeySet)>>,
    pub(crate) down: AtomicBool,
}

impl Shelf {
    fn reachable(&self) -> Result<(), PersistenceError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(PersistenceError::new(PersistenceErrorKind::Unavailable));
        }
        Ok(())
    }
}

#[async_trait]
impl KeyPersistence for Shelf {
    async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
        self.reachable()?;
        let kept = self.kept.lock().unwrap();
        Ok(match &*kept {
            Some((version, document)) => LoadedKeys::document(*version, document.clone()),
            None => LoadedKeys::nothing(),
        })
    }

    async fn save(
        &self,
        expected: Option<u64>,
        document: &KeySet,
    ) -> Result<bool, PersistenceError> {
        self.reachable()?;
        let mut kept = self.kept.lock().unwrap();
        let version = kept.as_ref().map(|(version, _)| *version);
        if version != expected {
            return Ok(false);
        }
        *kept = Some((version.unwrap_or(0) + 1, document.clone()));
        Ok(true)
    }
}
