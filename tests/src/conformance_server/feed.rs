//! A feed that fails when it is told to, while its store goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::revocation::Revocation;
use auth_core::store::{Batch, Cursor, FeedError, RevocationFeed, Snapshot};

/// A wrapper around any feed.
#[derive(Debug)]
pub(super) struct FaultFeed {
    inner: Arc<dyn RevocationFeed>,
    down: AtomicBool,
}

impl FaultFeed {
    pub(super) fn new(inner: Arc<dyn RevocationFeed>) -> Self {
        Self {
            inner,
            down: AtomicBool::new(false),
        }
    }

    /// Whether it can be read from now on.
    pub(super) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), FeedError> {
        if self.is_down() {
            return Err(FeedError::unavailable("told to be down"));
        }
        Ok(())
    }
}

#[async_trait]
impl RevocationFeed for FaultFeed {
    async fn snapshot(&self) -> Result<Snapshot, FeedError> {
        self.check()?;
        self.inner.snapshot().await
    }

    /// What arrives after it went down is lost on the way.
    async fn follow(&self, cursor: &Cursor, wait: Duration) -> Result<Batch, FeedError> {
        self.check()?;
        let batch = self.inner.follow(cursor, wait).await?;
        self.check()?;
        Ok(batch)
    }

    async fn append(&self, revocation: &Revocation) -> Result<(), FeedError> {
        self.inner.append(revocation).await
    }
}
