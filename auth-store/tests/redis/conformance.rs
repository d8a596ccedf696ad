//! The conformance kit of all stores, over each kind of Redis.

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::Timestamp;
use auth_core::store::{RefreshStore, StoreClock, StoreError};
use auth_core::testing::{ManualClock, StoreFixture, prove_store};
use auth_store::{RedisStore, StoreOptions};

use super::servers::{Cluster, can_start, shared_url};

struct Redis {
    url: String,
    clock: Option<Arc<ManualClock>>,
}

#[async_trait]
impl StoreFixture for Redis {
    async fn open(&self) -> Result<Arc<dyn RefreshStore>, StoreError> {
        let clock = match &self.clock {
            Some(clock) => StoreClock::driven(clock.clone()),
            None => StoreClock::own(),
        };
        let options = StoreOptions::new().with_clock(clock);
        let store = RedisStore::connect_with(&self.url, options).await?;
        Ok(Arc::new(store))
    }

    fn clock(&self) -> Option<Arc<ManualClock>> {
        self.clock.clone()
    }

    fn rounds(&self) -> u32 {
        20
    }
}

async fn prove(url: String) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let clock = Some(clock);
    let url_of_own = url.clone();
    let report = prove_store(&Redis { url, clock }).await.unwrap();
    assert!(report.skipped().is_empty());
    // The same with the server's clock.
    let own = Redis {
        url: url_of_own,
        clock: None,
    };
    prove_store(&own).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_a_single_server_keeps_every_promise() {
    let Some(url) = shared_url() else { return };
    prove(url).await;
}

#[cfg(feature = "redis-cluster")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_a_cluster_keeps_every_promise() {
    if !can_start() {
        return;
    }
    let cluster = Cluster::start().await;
    prove(cluster.url()).await;
}
