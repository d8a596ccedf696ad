//! The rotation as a whole, over documents in memory.

mod cut_off;
mod endpoint;
mod kept;
mod life;
mod sealed;
mod simulation;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::keys::rotation::*;
use crate::store::{
    KeyPersistence, KeySet, LoadedKeys, PersistenceError, PersistenceErrorKind, SealedKeySet,
    SealedKeyStore, SealedRow,
};
use crate::testing::ManualClock;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn at(offset: u64) -> Timestamp {
    NOW.saturating_add(secs(offset))
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

/// Lead 630 s, period 1000 s, retiring 75 s, staleness 20 s.
fn schedule() -> KeySchedule {
    KeySchedule::for_lifetime(secs(60))
        .with_leeway(secs(5))
        .with_max_age(secs(300))
        .with_poll_interval(secs(5))
        .with_margin(secs(10))
        .with_period(secs(1000))
}

/// A document in memory. Clones share the document; each can be cut off on its own.
#[derive(Clone, Debug, Default)]
struct Memory {
    kept: Arc<Mutex<Option<(u64, KeySet)>>>,
    saves: Arc<AtomicU32>,
    cut_off: Arc<AtomicBool>,
    store_clock: Option<Arc<ManualClock>>,
}

impl Memory {
    /// A view of the same document for another node.
    fn for_another_node(&self) -> Self {
        Self {
            cut_off: Arc::default(),
            ..self.clone()
        }
    }

    fn cut_off(&self, cut_off: bool) {
        self.cut_off.store(cut_off, Ordering::SeqCst);
    }

    fn saves(&self) -> u32 {
        self.saves.load(Ordering::SeqCst)
    }

    fn text(&self) -> String {
        let kept = self.kept.lock().unwrap();
        String::from_utf8(kept.as_ref().unwrap().1.expose().to_vec()).unwrap()
    }

    fn reachable(&self) -> Result<(), PersistenceError> {
        if self.cut_off.load(Ordering::SeqCst) {
            return Err(PersistenceError::new(PersistenceErrorKind::Unavailable));
        }
        Ok(())
    }
}

#[async_trait]
impl KeyPersistence for Memory {
    async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
        self.reachable()?;
        let kept = match &*self.kept.lock().unwrap() {
            Some((version, document)) => LoadedKeys::document(*version, document.clone()),
            None => LoadedKeys::nothing(),
        };
        // Others may run between a load and the save that follows it.
        tokio::task::yield_now().await;
        Ok(match &self.store_clock {
            Some(clock) => kept.with_now(crate::base::clock::Clock::now(clock)),
            None => kept,
        })
    }

    async fn save(
        &self,
        expected: Option<u64>,
        document: &KeySet,
    ) -> Result<bool, PersistenceError> {
        self.reachable()?;
        let mut kept = self.kept.lock().unwrap();
        if kept.as_ref().map(|(version, _)| *version) != expected {
            return Ok(false);
        }
        *kept = Some((expected.unwrap_or(0) + 1, document.clone()));
        self.saves.fetch_add(1, Ordering::SeqCst);
        Ok(true)
    }
}

async fn start(memory: &Memory, clock: &Arc<ManualClock>) -> KeyRotation {
    KeyRotation::builder(memory.clone(), schedule())
        .with_algorithm(crate::keys::Algorithm::EdDsa)
        .with_clock(clock.clone())
        .start()
        .await
        .unwrap()
}

fn signing_id(rotation: &KeyRotation) -> Option<String> {
    let ring = rotation.keys().load();
    ring.signing_key().map(|key| key.id().to_owned())
}

fn ids(rotation: &KeyRotation) -> Vec<String> {
    let ring = rotation.keys().load();
    ring.iter().map(|key| key.id().to_owned()).collect()
}
