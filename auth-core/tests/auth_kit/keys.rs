//! Keys in memory, which can panic.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use auth_core::store::{KeyPersistence, KeySet, LoadedKeys, PersistenceError};
use tokio::sync::Mutex;

#[derive(Debug, Default)]
pub(crate) struct Keys {
    kept: Mutex<Option<(u64, KeySet)>>,
    pub(crate) panics: AtomicBool,
    /// Completed reads.
    pub(crate) reads: AtomicU32,
}

#[async_trait]
impl KeyPersistence for Keys {
    async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
        assert!(!self.panics.load(Ordering::SeqCst), "keys");
        self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(match &*self.kept.lock().await {
            Some((version, keys)) => LoadedKeys::document(*version, keys.clone()),
            None => LoadedKeys::nothing(),
        })
    }

    async fn save(&self, expected: Option<u64>, keys: &KeySet) -> Result<bool, PersistenceError> {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().map(|(version, _)| *version) != expected {
            return Ok(false);
        }
        *kept = Some((expected.unwrap_or(0) + 1, keys.clone()));
        Ok(true)
    }
}
