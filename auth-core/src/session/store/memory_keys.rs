//! The keys of the app in a [`MemoryStore`]. They end with it.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;

use crate::keys::rotation::document::KeySet;
use crate::keys::rotation::persistence::{KeyPersistence, LoadedKeys, PersistenceError};
use crate::session::store::memory::MemoryStore;

/// The keys in a store. A type of its own: two traits with a method `load` on one type would make
/// every call ambiguous.
#[derive(Debug)]
pub(crate) struct MemoryKeys(pub(crate) Arc<MemoryStore>);

#[async_trait]
impl KeyPersistence for MemoryKeys {
    async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
        let kept = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut kept = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().map(|(version, _)| *version) != expected {
            return Ok(false);
        }
        let version = expected.map_or(1, |version| version.saturating_add(1));
        *kept = Some((version, document.clone()));
        Ok(true)
    }
}
