//! The removal of ended sessions.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::observe::metrics;
use crate::session::inner::LongestLifetime;
use crate::session::outcome::Unavailable;
use crate::session::policy::SessionPolicy;
use crate::session::sessions::Sessions;
use crate::session::store::RefreshStore;
use crate::session::store::ending::Listing;

const BATCH: u32 = 500;
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// The purge of a store, apart from its sessions: a task that holds it keeps no sessions alive.
#[derive(Debug)]
pub(crate) struct Purge {
    store: Arc<dyn RefreshStore>,
    issuer: Box<str>,
    listing: Listing,
    policy: SessionPolicy,
    longest: LongestLifetime,
}

impl Purge {
    /// Runs one purge. Returns the number of removed rows.
    pub(crate) async fn run(&self) -> Result<u64, Unavailable> {
        // Repeated here, in case the store has lost it.
        let (store, lifetime) = (&*self.store, self.listing.lifetime);
        self.longest.raise(store, &self.issuer, lifetime).await?;
        let longest = self.longest.known().unwrap_or_default();
        let kept = self.policy.kept_for(self.listing.beside(longest));
        let mut removed = 0;
        loop {
            let batch = self.store.purge(kept, BATCH).await?;
            metrics::purged(batch);
            removed += u64::from(batch);
            if batch < BATCH {
                return Ok(removed);
            }
        }
    }
}

impl Sessions {
    pub(crate) fn purge_alone(&self) -> Purge {
        let inner = &*self.0;
        Purge {
            store: Arc::clone(&inner.store),
            issuer: inner.issuer.name().into(),
            listing: inner.listing(),
            policy: inner.policy.clone(),
            longest: inner.longest.clone(),
        }
    }

    /// Removes the rows of sessions that ended at least a day ago, in small batches, and returns
    /// their number. Call it every few minutes on one node or on all, or spawn
    /// [`purge_every`](Self::purge_every).
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn purge(&self) -> Result<u64, Unavailable> {
        self.purge_alone().run().await
    }

    /// Calls [`purge`](Self::purge) immediately and then at this interval, at least 1 second, until
    /// dropped. Spawn it on one node or on all.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use auth_core::session::Sessions;
    /// # async fn serve(sessions: Sessions) {
    /// let purging = tokio::spawn(sessions.purge_every(Duration::from_secs(600)));
    /// // Serve until asked to stop. Then:
    /// purging.abort();
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// The future may be dropped at any await. Batches that were not removed are left for the next
    /// purge.
    pub fn purge_every(&self, interval: Duration) -> impl Future<Output = ()> + Send + use<> {
        let sessions = self.clone();
        let interval = interval.max(SHORTEST_INTERVAL);
        async move {
            loop {
                // The store has logged its error already; the next interval tries again.
                let _ = sessions.purge().await;
                tokio::time::sleep(interval).await;
            }
        }
    }
}
