//! A store in memory whose parts can panic and fail, and a request by hand.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod cookies;
pub(crate) mod keys;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::adapter::RequestView;
use auth_core::revocation::Revocation;
use auth_core::session::SessionId;
use auth_core::store::{
    Batch, Cursor, FeedError, InsertOutcome, LoadedSession, NewSession, OpenedStore,
    RaisedSubjectVersion, RefreshStore, RevocationFeed, RevokeSession, RevokeSubject, Revoked,
    RotateSession, RotatedAt, SessionRecord, Snapshot, Store, StoreError,
};
use auth_core::testing::MemoryStore;
use auth_core::{Auth, AuthBuilder};

use self::keys::Keys;

pub(crate) const ISSUER: &str = "https://app.example";
pub(crate) const AUDIENCE: &str = "https://app.example/api";

pub(crate) fn builder(store: impl Store) -> AuthBuilder<()> {
    Auth::for_issuer(ISSUER).audience(AUDIENCE).store(store)
}

/// What goes wrong in a [`Frail`] store.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) feed_panics: AtomicBool,
    pub(crate) feed_fails: AtomicBool,
    pub(crate) purge_panics: AtomicBool,
    /// Completed calls of the feed and of the purge.
    pub(crate) feed_calls: AtomicU32,
    pub(crate) purge_calls: AtomicU32,
    /// Reads of a subject's version.
    version_calls: AtomicU32,
}

impl Faults {
    pub(crate) fn is_on(flag: &AtomicBool) -> bool {
        flag.load(Ordering::SeqCst)
    }

    pub(crate) fn version_calls(&self) -> u32 {
        self.version_calls.load(Ordering::SeqCst)
    }

    pub(crate) fn set(flag: &AtomicBool, on: bool) {
        flag.store(on, Ordering::SeqCst);
    }
}

/// A store in memory, with faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frail {
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) faults: Arc<Faults>,
}

impl Store for Frail {
    async fn open_for(self, _: &str) -> Result<OpenedStore, StoreError> {
        let keys = Arc::clone(&self.keys);
        Ok(OpenedStore::new(self, keys))
    }
}

#[async_trait]
impl RevocationFeed for Frail {
    async fn snapshot(&self) -> Result<Snapshot, FeedError> {
        self.feed()?;
        self.memory.snapshot().await
    }

    async fn follow(&self, cursor: &Cursor, wait: Duration) -> Result<Batch, FeedError> {
        self.feed()?;
        let batch = self.memory.follow(cursor, wait).await;
        self.faults.feed_calls.fetch_add(1, Ordering::SeqCst);
        batch
    }

    async fn append(&self, revocation: &Revocation) -> Result<(), FeedError> {
        self.memory.append(revocation).await
    }
}

impl Frail {
    fn feed(&self) -> Result<(), FeedError> {
        assert!(!Faults::is_on(&self.faults.feed_panics), "feed");
        if Faults::is_on(&self.faults.feed_fails) {
            return Err(FeedError::unavailable("cut off"));
        }
        Ok(())
    }
}

#[async_trait]
impl RefreshStore for Frail {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        self.faults.version_calls.fetch_add(1, Ordering::SeqCst);
        self.memory.subject_version(subject).await
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        self.memory.insert(session).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        self.memory.load(id).await
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        self.memory.advance(step).await
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        self.memory.revoke(revoke).await
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        self.memory.end_all(end).await
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        self.memory.raise_subject_version(subject, at_least).await
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        self.memory.raise_access_lifetime(issuer, lifetime).await
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        self.memory.list(subject, limit).await
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        assert!(!Faults::is_on(&self.faults.purge_panics), "purge");
        self.faults.purge_calls.fetch_add(1, Ordering::SeqCst);
        self.memory.purge(kept, batch).await
    }
}

/// A request with header fields.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Request {
    pub(crate) fn new(method: &'static str, target: &'static str) -> Self {
        let fields = vec![("host", "app.example".to_owned())];
        Self {
            method,
            target,
            fields,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn bearer(token: &str) -> Self {
        Self::new("GET", "/me").with("authorization", format!("Bearer {token}"))
    }
}

impl RequestView for Request {
    fn method(&self) -> &str {
        self.method
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn target(&self) -> &str {
        self.target
    }

    fn authority(&self) -> Option<&str> {
        let host = self.fields.iter().find(|(name, _)| *name == "host");
        host.map(|(_, value)| value.as_str())
    }

    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        for (_, value) in self.fields.iter().filter(|(field, _)| *field == name) {
            visit(value.as_bytes());
        }
    }
}
