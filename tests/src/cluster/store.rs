//! The store of a node: opened when it is first needed, and every call counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::revocation::Revocation;
use auth_core::session::SessionId;
use auth_core::store::{
    Batch, Cursor, FeedError, InsertOutcome, LoadedSession, NewSession, RaisedSubjectVersion,
    RefreshStore, RevocationFeed, RevokeSession, RevokeSubject, Revoked, RotateSession, RotatedAt,
    SessionRecord, Snapshot, StoreError,
};
use auth_store::{PostgresStore, RedisStore, StoreOptions};
use tokio::sync::OnceCell;

const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Opened {
    sessions: Arc<dyn RefreshStore>,
    feed: Arc<dyn RevocationFeed>,
}

/// A store that may be unreachable when its node starts.
pub struct NodeStore {
    url: String,
    opened: OnceCell<Opened>,
    session_calls: AtomicU64,
    feed_calls: AtomicU64,
}

impl NodeStore {
    /// The store at `url`; nothing is connected yet.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self {
            url,
            opened: OnceCell::new(),
            session_calls: AtomicU64::new(0),
            feed_calls: AtomicU64::new(0),
        }
    }

    /// How often the sessions were asked for something.
    #[must_use]
    pub fn session_calls(&self) -> u64 {
        self.session_calls.load(Ordering::Relaxed)
    }

    /// How often the feed was asked.
    #[must_use]
    pub fn feed_calls(&self) -> u64 {
        self.feed_calls.load(Ordering::Relaxed)
    }

    async fn sessions(&self) -> Result<&dyn RefreshStore, StoreError> {
        self.session_calls.fetch_add(1, Ordering::Relaxed);
        Ok(&*self.opened().await?.sessions)
    }

    async fn feed(&self) -> Result<&dyn RevocationFeed, FeedError> {
        self.feed_calls.fetch_add(1, Ordering::Relaxed);
        let opened = self.opened().await.map_err(FeedError::unavailable)?;
        Ok(&*opened.feed)
    }

    async fn opened(&self) -> Result<&Opened, StoreError> {
        self.opened.get_or_try_init(|| open(&self.url)).await
    }
}

async fn open(url: &str) -> Result<Opened, StoreError> {
    let options = StoreOptions::new().with_timeout(TIMEOUT);
    if url.starts_with("redis") {
        let store = Arc::new(RedisStore::connect_with(url, options).await?);
        return Ok(Opened {
            sessions: store.clone(),
            feed: store,
        });
    }
    let store = Arc::new(PostgresStore::connect_with(url, options).await?);
    Ok(Opened {
        sessions: store.clone(),
        feed: store,
    })
}

impl fmt::Debug for NodeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl RefreshStore for NodeStore {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        self.sessions().await?.subject_version(subject).await
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        self.sessions().await?.insert(session).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        self.sessions().await?.load(id).await
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        self.sessions().await?.advance(step).await
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        self.sessions().await?.revoke(revoke).await
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        self.sessions().await?.end_all(end).await
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        self.sessions()
            .await?
            .raise_subject_version(subject, at_least)
            .await
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        self.sessions()
            .await?
            .raise_access_lifetime(issuer, lifetime)
            .await
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        self.sessions().await?.list(subject, limit).await
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        self.sessions().await?.purge(kept, batch).await
    }
}

#[async_trait]
impl RevocationFeed for NodeStore {
    async fn snapshot(&self) -> Result<Snapshot, FeedError> {
        self.feed().await?.snapshot().await
    }

    async fn follow(&self, cursor: &Cursor, wait: Duration) -> Result<Batch, FeedError> {
        self.feed().await?.follow(cursor, wait).await
    }

    async fn append(&self, revocation: &Revocation) -> Result<(), FeedError> {
        self.feed().await?.append(revocation).await
    }
}
