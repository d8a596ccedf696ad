//! [`FaultStore`]: a store that fails on demand.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::base::id::SessionId;
use crate::observe::words::StoreErrorKind;
use crate::session::store::ending::{RaisedSubjectVersion, RevokeSession, RevokeSubject, Revoked};
use crate::session::store::error::StoreError;
use crate::session::store::record::SessionRecord;
use crate::session::store::{
    InsertOutcome, LoadedSession, NewSession, RefreshStore, RotateSession, RotatedAt,
};

const SLOW: Duration = Duration::from_secs(30);

/// A kind of call to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "as closed as the store trait")]
pub enum StoreOp {
    /// `load` and `subject_version`.
    Load,
    /// `advance`.
    Write,
    /// `insert`.
    Insert,
    /// `revoke` and `end_all`.
    Revoke,
    /// `list`.
    List,
    /// `purge`.
    Purge,
    /// `raise_subject_version` and `raise_access_lifetime`.
    Raise,
}

/// A way for a call to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a tool for tests")]
pub enum Fault {
    /// The call fails without an effect.
    Down,
    /// The call takes effect, and then fails.
    LostAnswer,
    /// The call takes 30 seconds, then succeeds.
    Slow,
}

/// A store wrapper that counts calls and makes chosen ones fail.
///
/// ```
/// use std::sync::Arc;
/// use auth_core::store::RefreshStore;
/// use auth_core::testing::{Fault, FaultStore, MemoryStore, StoreOp};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = FaultStore::new(Arc::new(MemoryStore::new()));
/// store.inject(Some(StoreOp::Load), Fault::Down, 1);
/// assert!(store.subject_version("ada").await.is_err());
/// assert!(store.subject_version("ada").await.is_ok());
/// assert_eq!(store.calls(), 2);
/// # }
/// ```
pub struct FaultStore {
    inner: Arc<dyn RefreshStore>,
    calls: AtomicU64,
    writes: AtomicU64,
    failures: AtomicU64,
    faults: Mutex<VecDeque<Planned>>,
    yields: bool,
}

struct Planned {
    op: Option<StoreOp>,
    fault: Fault,
    left: u64,
}

impl FaultStore {
    /// Wraps a store; no call fails yet.
    #[must_use]
    pub fn new(inner: Arc<dyn RefreshStore>) -> Self {
        Self {
            inner,
            calls: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            faults: Mutex::default(),
            yields: false,
        }
    }

    /// Yields to other tasks before and after every call, so that a store without awaits has the
    /// same interleavings as others.
    #[must_use]
    pub fn with_yields(mut self) -> Self {
        self.yields = true;
        self
    }

    /// Makes the next `count` calls of this kind fail in this way; `None` means any kind. Faults
    /// injected earlier come first.
    pub fn inject(&self, op: Option<StoreOp>, fault: Fault, count: u64) {
        self.planned().push_back(Planned {
            op,
            fault,
            left: count,
        });
    }

    /// Removes all pending faults.
    pub fn forget_faults(&self) {
        self.planned().clear();
    }

    /// Number of injected faults that have occurred.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::SeqCst)
    }

    /// Number of calls, including failed ones.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Number of conditional writes among the calls.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    fn planned(&self) -> MutexGuard<'_, VecDeque<Planned>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self, op: StoreOp) -> Option<Fault> {
        let mut faults = self.planned();
        let planned = faults
            .iter_mut()
            .find(|planned| planned.left > 0 && planned.op.is_none_or(|of| of == op))?;
        planned.left -= 1;
        let fault = planned.fault;
        faults.retain(|planned| planned.left > 0);
        self.failures.fetch_add(1, Ordering::SeqCst);
        Some(fault)
    }

    async fn call<T>(
        &self,
        op: StoreOp,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if op == StoreOp::Write {
            self.writes.fetch_add(1, Ordering::SeqCst);
        }
        self.let_others_run().await;
        let result = self.with_fault(self.next_fault(op), work).await;
        self.let_others_run().await;
        result
    }

    async fn let_others_run(&self) {
        if self.yields {
            tokio::task::yield_now().await;
        }
    }

    async fn with_fault<T>(
        &self,
        fault: Option<Fault>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match fault {
            None => work.await,
            Some(Fault::Down) => Err(StoreError::new(StoreErrorKind::Unavailable)),
            Some(Fault::LostAnswer) => {
                work.await?;
                Err(StoreError::new(StoreErrorKind::Timeout))
            }
            Some(Fault::Slow) => {
                tokio::time::sleep(SLOW).await;
                work.await
            }
        }
    }
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore")
            .field("inner", &self.inner)
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl RefreshStore for FaultStore {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        self.call(StoreOp::Load, self.inner.subject_version(subject))
            .await
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        self.call(StoreOp::Insert, self.inner.insert(session)).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        self.call(StoreOp::Load, self.inner.load(id)).await
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        self.call(StoreOp::Write, self.inner.advance(step)).await
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        self.call(StoreOp::Revoke, self.inner.revoke(revoke)).await
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        self.call(StoreOp::Revoke, self.inner.end_all(end)).await
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        let raise = self.inner.raise_subject_version(subject, at_least);
        self.call(StoreOp::Raise, raise).await
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        let raise = self.inner.raise_access_lifetime(issuer, lifetime);
        self.call(StoreOp::Raise, raise).await
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        self.call(StoreOp::List, self.inner.list(subject, limit))
            .await
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        self.call(StoreOp::Purge, self.inner.purge(kept, batch))
            .await
    }
}
