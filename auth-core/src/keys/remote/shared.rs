//! The shared state of a remote key set: for its handles and its task.

use crate::base::clock::{Clock, Timestamp};
use crate::keys::remote::fetch::FetchError;
use crate::keys::remote::state::FetchState;
use crate::keys::{Algorithm, CurrentRing};
use crate::observe::words::FetchFault;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// The state shared by the handles and the task.
pub(crate) struct RemoteKeySet {
    pub(crate) issuer: Box<str>,
    pub(crate) algorithms: Box<[Algorithm]>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ring: Arc<CurrentRing>,
    /// Time at which the current keys expire, in milliseconds. Written after the ring.
    pub(crate) usable_until: AtomicI64,
    /// Time at which a request wakes the task, whose timer may be late, in milliseconds.
    pub(crate) wake_at: AtomicI64,
    pub(crate) state: Mutex<FetchState>,
    pub(crate) wake: Notify,
    /// Number of ended fetches. Subscribe while holding the state.
    pub(crate) ended: watch::Sender<u64>,
    pub(crate) closed: watch::Sender<bool>,
}

impl RemoteKeySet {
    /// No code that holds the lock can panic half-way, so a poisoned state is valid.
    pub(crate) fn state(&self) -> MutexGuard<'_, FetchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_usable(&self, now: Timestamp) -> bool {
        now.as_millis() < self.usable_until.load(Ordering::Acquire)
    }

    /// Requests a fetch. Returns false if none will run.
    pub(crate) fn request_fetch(&self, state: &mut FetchState) -> bool {
        let asked = !*self.closed.borrow() && state.request_fetch(self.clock.now());
        if asked {
            self.wake.notify_one();
        }
        asked
    }

    pub(crate) fn close(&self) {
        // Holds the state, so that no request starts to wait for a fetch that will not end.
        let _state = self.state();
        self.closed.send_replace(true);
        self.ended
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn last_error(&self) -> FetchError {
        if *self.closed.borrow() {
            return FetchError::new(FetchFault::Stopped);
        }
        let error = self.state().last_error();
        error.unwrap_or_else(|| FetchError::new(FetchFault::TimedOut))
    }
}
