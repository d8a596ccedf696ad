//! What the handles of a remote key set and its task share.

use crate::base::clock::{Clock, Timestamp};
use crate::keys::remote::fetch::FetchError;
use crate::keys::remote::state::State;
use crate::keys::{Algorithm, CurrentRing};
use crate::observe::words::FetchFault;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// What the handles and the task share.
pub(crate) struct RemoteKeySet {
    pub(crate) issuer: Box<str>,
    pub(crate) algorithms: Box<[Algorithm]>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ring: Arc<CurrentRing>,
    /// In milliseconds: when the keys at hand are too old. Written after the ring.
    pub(crate) usable_until: AtomicI64,
    /// In milliseconds: when a request is to wake the task, whose own timer may run late.
    pub(crate) wake_at: AtomicI64,
    pub(crate) state: Mutex<State>,
    pub(crate) wake: Notify,
    /// Counts the ends of fetches. Subscribe while holding the state.
    pub(crate) ended: watch::Sender<u64>,
    pub(crate) closed: watch::Sender<bool>,
}

impl RemoteKeySet {
    /// Nothing that holds the lock can panic half-way; a poisoned one is as good as any.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_usable(&self, now: Timestamp) -> bool {
        now.as_millis() < self.usable_until.load(Ordering::Acquire)
    }

    /// Asks for a fetch; false if there will be none.
    pub(crate) fn request_fetch(&self, state: &mut State) -> bool {
        let asked = !*self.closed.borrow() && state.request_fetch(self.clock.now());
        if asked {
            self.wake.notify_one();
        }
        asked
    }

    pub(crate) fn close(&self) {
        // Holding the state, so that nobody begins to wait for a fetch that will not end.
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
