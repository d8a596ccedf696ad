//! A store that publishes its revocations to the feed of a history.
//!
//! The feed is separate from the row, so an end has two steps, and the second may fail. A session's
//! entry is written before its row is revoked, a subject's after its version is raised. A store
//! with its own feed gets this one too.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::base::id::SessionId;
use crate::observe::words::StoreErrorKind;
use crate::revocation::Revocation;
use crate::session::store::ending::{RaisedSubjectVersion, RevokeSession, RevokeSubject, Revoked};
use crate::session::store::error::StoreError;
use crate::session::store::record::SessionRecord;
use crate::session::store::{
    InsertOutcome, LoadedSession, NewSession, RefreshStore, RotateSession, RotatedAt,
};

pub(super) const ISSUER: &str = "https://issuer.example";

/// All published entries of a history, in order.
#[derive(Default)]
pub(super) struct Feed {
    entries: Mutex<Vec<Revocation>>,
    half: AtomicBool,
    stopped: AtomicU64,
}

impl Feed {
    pub(super) fn entries(&self) -> MutexGuard<'_, Vec<Revocation>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, revocation: Revocation) {
        self.entries().push(revocation);
    }

    /// Makes the next end take its first step only.
    pub(super) fn stop_half_way(&self) {
        self.half.store(true, Ordering::SeqCst);
    }

    /// Number of ends that stopped half-way.
    pub(super) fn stopped(&self) -> u64 {
        self.stopped.load(Ordering::SeqCst)
    }

    fn stops_now(&self) -> bool {
        let stops = self.half.swap(false, Ordering::SeqCst);
        self.stopped.fetch_add(u64::from(stops), Ordering::SeqCst);
        stops
    }
}

pub(super) struct Published {
    pub(super) inner: Arc<dyn RefreshStore>,
    pub(super) feed: Arc<Feed>,
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").field(&self.inner).finish()
    }
}

fn stopped<T>() -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Timeout))
}

#[async_trait]
impl RefreshStore for Published {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        self.inner.subject_version(subject).await
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        let inserted = self.inner.insert(session).await?;
        if let InsertOutcome::Done {
            replaced,
            evicted,
            listed_until,
            ..
        } = &inserted
        {
            let ended = replaced.is_some_and(|ended| ended.mark == Some(session.mark));
            let replaced = session.replaces.filter(|_| ended);
            for id in replaced.iter().chain(evicted) {
                let (id, until) = (*id, *listed_until);
                self.feed.publish(Revocation::Session { id, until });
            }
        }
        Ok(inserted)
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        self.inner.load(id).await
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        self.inner.advance(step).await
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        let id = revoke.id;
        if self.feed.stops_now() {
            if let Some(loaded) = self.inner.load(&id).await? {
                let own = revoke.listing.lifetime;
                let longest = self.inner.raise_access_lifetime(ISSUER, own).await?;
                let until = loaded.now.saturating_add(revoke.listing.beside(longest));
                self.feed.publish(Revocation::Session { id, until });
            }
            return stopped();
        }
        let revoked = self.inner.revoke(revoke).await?;
        if let Some(ended) = revoked.filter(|ended| ended.mark == Some(revoke.mark)) {
            let until = ended.listed_until;
            self.feed.publish(Revocation::Session { id, until });
        }
        Ok(revoked)
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        let raised = self.inner.end_all(end).await?;
        if self.feed.stops_now() {
            return stopped();
        }
        if let Some(raised) = raised {
            self.feed.publish(Revocation::Subject {
                subject: end.subject.into(),
                lowest_subject_version: raised.subject_version,
                until: raised.listed_until,
            });
        }
        Ok(raised)
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        self.inner.raise_subject_version(subject, at_least).await
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        self.inner.raise_access_lifetime(issuer, lifetime).await
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        self.inner.list(subject, limit).await
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        self.inner.purge(kept, batch).await
    }
}
