//! A session store that measures the duration of its calls.
//!
//! Durations use the runtime's monotonic clock, not the injected one, which may be set back.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::base::id::SessionId;
use crate::observe::metrics::record::{add, measure};
use crate::observe::metrics::{STORE_CALLS, STORE_ERRORS};
use crate::session::store::ending::{RaisedSubjectVersion, RevokeSession, RevokeSubject, Revoked};
use crate::session::store::error::StoreError;
use crate::session::store::record::SessionRecord;
use crate::session::store::{
    InsertOutcome, LoadedSession, NewSession, RefreshStore, RotateSession, RotatedAt,
};

/// Wraps a store to measure its calls.
pub(crate) fn metered(store: Arc<dyn RefreshStore>) -> Arc<dyn RefreshStore> {
    Arc::new(Metered(store))
}

struct Metered(Arc<dyn RefreshStore>);

async fn timed<T>(
    call: &'static str,
    work: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    let began = Instant::now();
    let done = work.await;
    measure(&STORE_CALLS, [("call", call)], began.elapsed());
    if let Err(error) = &done {
        let labels = [("call", call), ("kind", error.kind().as_str())];
        add(&STORE_ERRORS, labels, 1);
    }
    done
}

#[async_trait]
impl RefreshStore for Metered {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        timed("epoch", self.0.subject_version(subject)).await
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        timed("insert", self.0.insert(session)).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        timed("load", self.0.load(id)).await
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        timed("advance", self.0.advance(step)).await
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        timed("revoke", self.0.revoke(revoke)).await
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        timed("end_all", self.0.end_all(end)).await
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        timed(
            "raise_epoch",
            self.0.raise_subject_version(subject, at_least),
        )
        .await
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        let raise = self.0.raise_access_lifetime(issuer, lifetime);
        timed("raise_access_lifetime", raise).await
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        timed("list", self.0.list(subject, limit)).await
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        timed("purge", self.0.purge(kept, batch)).await
    }
}

/// Shows only the wrapped store.
impl fmt::Debug for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
