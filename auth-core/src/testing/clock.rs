//! A clock that moves only when it is set.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::base::clock::{Clock, Timestamp};

/// A [`Clock`] for tests that moves only when it is set. Share it in an `Arc`.
///
/// [`advance`](Self::advance) lets time pass. [`set`](Self::set) and
/// [`step_back`](Self::step_back) move only the wall clock, like a correction of the system's clock.
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
/// let before = shared.monotonic();
/// clock.set(Timestamp::from_secs(-1));
/// assert_eq!(shared.now().as_secs(), -1);
/// assert_eq!(shared.monotonic(), before);
/// ```
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicI64,
    started: Instant,
    passed: AtomicU64,
}

impl ManualClock {
    /// Creates a clock at `now`.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "some reading to begin with: there is no other way to one"
    )]
    pub fn at(now: Timestamp) -> Self {
        Self {
            millis: AtomicI64::new(now.as_millis()),
            started: Instant::now(),
            passed: AtomicU64::new(0),
        }
    }

    /// Sets the wall clock, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.millis.store(now.as_millis(), Ordering::SeqCst);
    }

    /// Advances the wall clock and the monotonic clock.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.passed.fetch_add(millis, Ordering::SeqCst);
        self.change(|now| now.saturating_add(by));
    }

    /// Moves the wall clock back, like a correction of the system's clock.
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

    fn monotonic(&self) -> Instant {
        let passed = Duration::from_millis(self.passed.load(Ordering::SeqCst));
        self.started.checked_add(passed).unwrap_or(self.started)
    }
}
