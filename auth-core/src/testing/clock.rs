//! A clock that stands still until it is told otherwise.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::base::clock::{Clock, Timestamp};

/// A [`Clock`] for tests: it shows what it was set to. Share it in an `Arc`.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use auth_core::testing::ManualClock;
/// use auth_core::{Clock, Timestamp};
///
/// let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
/// let shared: Arc<dyn Clock> = clock.clone();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(shared.now(), Timestamp::from_secs(1_800_000_060));
/// clock.set(Timestamp::from_secs(-1));
/// assert_eq!(shared.now().as_secs(), -1);
/// ```
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            millis: AtomicI64::new(now.as_millis()),
        }
    }

    /// Sets it, forwards or back.
    pub fn set(&self, now: Timestamp) {
        self.millis.store(now.as_millis(), Ordering::SeqCst);
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.change(|now| now.saturating_add(by));
    }

    /// Moves it back, as a wall clock that is corrected may move.
    pub fn step_back(&self, by: Duration) {
        self.change(|now| now.saturating_sub(by));
    }

    fn change(&self, to: impl Fn(Timestamp) -> Timestamp) {
        let mut seen = self.millis.load(Ordering::SeqCst);
        while let Err(other) = self.millis.compare_exchange_weak(
            seen,
            to(Timestamp::from_millis(seen)).as_millis(),
            Ordering::SeqCst,
            Ordering::SeqCst,
        ) {
            seen = other;
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }
}
