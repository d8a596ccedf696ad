//! [`Clock`], the source of all time. Only this file reads the clocks of the machine.
//!
//! 1. A [`Timestamp`] is a signed number of whole milliseconds since 1970-01-01T00:00:00Z. A machine
//!    whose clock is set before 1970 gets wrong times, never a panic.
//! 2. All arithmetic saturates. No duration overflows at request time.
//! 3. Times from outside are compared with the wall clock. Elapsed time is measured with the
//!    monotonic clock, which is never set.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time: milliseconds since the Unix epoch, negative before it.
///
/// ```
/// use auth_core::Timestamp;
/// use std::time::Duration;
///
/// let start = Timestamp::from_secs(1_800_000_000);
/// assert_eq!(start.saturating_add(Duration::from_secs(60)).as_secs(), 1_800_000_060);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates the timestamp `secs` seconds after the Unix epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Creates the timestamp `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the Unix epoch, rounded down: the `NumericDate` of RFC 7519 §2.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Adds `by`, saturating.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// Subtracts `by`, saturating.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// Milliseconds from `earlier` to this timestamp. Negative if `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Time from `earlier` to this timestamp. Zero if `earlier` is later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.millis_since(earlier)).unwrap_or(0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.as_secs(), self.0.rem_euclid(1000))
    }
}

/// A source of the current time.
///
/// Implement it to control time in tests; deploy [`SystemClock`]. Decisions only compare
/// timestamps, so a clock that is set back never causes a panic: tokens are valid longer by the
/// size of the step.
///
/// ```
/// use auth_core::{Clock, Timestamp};
///
/// #[derive(Debug)]
/// struct Noon;
/// impl Clock for Noon {
///     fn now(&self) -> Timestamp {
///         Timestamp::from_secs(1_800_000_000)
///     }
/// }
/// assert_eq!(Noon.now().as_secs(), 1_800_000_000);
/// ```
pub trait Clock: Any + Send + Sync + fmt::Debug {
    /// The current time of the wall clock.
    fn now(&self) -> Timestamp;

    /// The current reading of a monotonic clock, to measure elapsed time. Default: that of the
    /// machine.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the monotonic clock"
    )]
    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn monotonic(&self) -> Instant {
        (**self).monotonic()
    }
}

/// Whether both clocks are the same: one shared value, or the system clock.
pub(crate) fn is_same_clock(one: &Arc<dyn Clock>, other: &Arc<dyn Clock>) -> bool {
    let is_system = |clock: &Arc<dyn Clock>| {
        let clock: &dyn Any = &**clock;
        clock.is::<SystemClock>()
    };
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other)) || (is_system(one) && is_system(other))
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    fn now(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp(millis(since)),
            Err(before) => Timestamp(millis(before.duration()).saturating_neg()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a28_arithmetic_saturates() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.saturating_add(Duration::MAX), end);
        assert_eq!(Timestamp::from_secs(i64::MAX).as_millis(), i64::MAX);
        assert_eq!(
            Timestamp::from_millis(i64::MIN)
                .saturating_sub(Duration::MAX)
                .as_millis(),
            i64::MIN
        );
        assert_eq!(
            Timestamp::from_secs(1).saturating_since(end),
            Duration::ZERO
        );
    }

    #[test]
    fn seconds_round_down_before_1970_too() {
        assert_eq!(Timestamp::from_millis(-1).as_secs(), -1);
        assert_eq!(Timestamp::from_millis(1999).as_secs(), 1);
    }
}
