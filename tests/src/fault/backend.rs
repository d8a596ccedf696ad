//! The stores under test, behind a wrapper that counts what they did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::session::SessionId;
use auth_core::store::{
    InsertOutcome, LoadedSession, NewSession, RaisedSubjectVersion, RefreshStore, RevokeSession,
    RevokeSubject, Revoked, RotateSession, RotatedAt, SessionRecord, StoreClock, StoreError,
};
use auth_core::testing::MemoryStore;
use auth_store::{PostgresStore, RedisStore, SqliteStore, StoreOptions};
use serde::{Deserialize, Serialize};

use super::Outcome;

/// Opens the store that a URL names: `memory:`, `sqlite:PATH`, `postgres://…` or `redis…://…`.
///
/// # Errors
/// If it cannot be opened.
pub async fn open(
    url: &str,
    clock: StoreClock,
    timeout: Duration,
) -> Outcome<Arc<dyn RefreshStore>> {
    let options = StoreOptions::new().with_timeout(timeout);
    let options = options.with_clock(clock.clone());
    Ok(
        match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            "memory" => Arc::new(MemoryStore::new().with_clock(clock)),
            "sqlite" => {
                let path = url.trim_start_matches("sqlite:");
                Arc::new(SqliteStore::open_with(path, options).await?)
            }
            "postgres" => Arc::new(PostgresStore::connect_with(url, options).await?),
            _ => Arc::new(RedisStore::connect_with(url, options).await?),
        },
    )
}

/// What a store was asked for and did.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls of any kind.
    pub calls: u64,
    /// Conditional writes that were asked for.
    pub asked: u64,
    /// Conditional writes that took effect, as far as the store said so.
    pub advanced: u64,
    /// Revocations that took effect, as far as the store said so.
    pub revoked: u64,
}

impl Counts {
    /// What came after `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            calls: self.calls - earlier.calls,
            asked: self.asked - earlier.asked,
            advanced: self.advanced - earlier.advanced,
            revoked: self.revoked - earlier.revoked,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            asked: self.asked + other.asked,
            advanced: self.advanced + other.advanced,
            revoked: self.revoked + other.revoked,
        }
    }
}

/// At which call a process ends itself, the way a power cut would.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Death {
    /// The number of the call, from 1, counted from the first request.
    pub call: u64,
    /// Whether the store has done what it was asked by then.
    pub after: bool,
}

/// A store that counts, and that may end the process at a chosen call.
#[derive(Debug)]
pub struct Counted {
    inner: Arc<dyn RefreshStore>,
    death: Option<Death>,
    calls: AtomicU64,
    asked: AtomicU64,
    advanced: AtomicU64,
    revoked: AtomicU64,
}

impl Counted {
    /// Counts the calls to `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn RefreshStore>, death: Option<Death>) -> Self {
        Self {
            inner,
            death,
            calls: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            advanced: AtomicU64::new(0),
            revoked: AtomicU64::new(0),
        }
    }

    /// What there was so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            calls: self.calls.load(SeqCst),
            asked: self.asked.load(SeqCst),
            advanced: self.advanced.load(SeqCst),
            revoked: self.revoked.load(SeqCst),
        }
    }

    async fn call<T>(&self, work: impl Future<Output = T> + Send) -> T {
        let number = self.calls.fetch_add(1, SeqCst) + 1;
        let dies = |after| {
            self.death
                == Some(Death {
                    call: number,
                    after,
                })
        };
        if dies(false) {
            std::process::abort();
        }
        let done = work.await;
        if dies(true) {
            std::process::abort();
        }
        done
    }
}

#[async_trait]
impl RefreshStore for Counted {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        self.call(self.inner.subject_version(subject)).await
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        self.call(self.inner.insert(session)).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        self.call(self.inner.load(id)).await
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        self.asked.fetch_add(1, SeqCst);
        let done = self.call(self.inner.advance(step)).await;
        if matches!(done, Ok(Some(_))) {
            self.advanced.fetch_add(1, SeqCst);
        }
        done
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        let done = self.call(self.inner.revoke(revoke)).await;
        if matches!(&done, Ok(Some(revoked)) if revoked.mark == Some(revoke.mark)) {
            self.revoked.fetch_add(1, SeqCst);
        }
        done
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        self.call(self.inner.end_all(end)).await
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        self.call(self.inner.raise_subject_version(subject, at_least))
            .await
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        self.call(self.inner.raise_access_lifetime(issuer, lifetime))
            .await
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        self.call(self.inner.list(subject, limit)).await
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        self.call(self.inner.purge(kept, batch)).await
    }
}
