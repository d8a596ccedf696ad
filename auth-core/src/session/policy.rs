//! [`SessionPolicy`]: the durations and limits of sessions, checked together.
//!
//! 1. Minimum rotation interval ≥ reuse interval + 2 × request deadline. Without this rule a slow
//!    request could still be in flight after the reuse interval of its retry has ended, and a
//!    client without fault would be signed out.
//! 2. Access token lifetime ≤ idle ≤ absolute.
//! 3. A reuse interval of zero is strict mode, which only [`SessionPolicy::with_strict_mode`] sets: then the
//!    minimum rotation interval is zero too, there is no late recovery, and every use rotates. A
//!    lost response then ends the session.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::config::ConfigError;
use crate::token::verify::MAX_LEEWAY;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_WINDOW: Duration = Duration::from_secs(30);
const SHORTEST_KEPT: Duration = DAY;

/// Whether a client may recover with its previous refresh token after the reuse interval, for
/// example because a response was lost. At most three consecutive recoveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LateRecovery {
    /// Recovery is allowed, and emitted as an event. The default.
    On,
    /// A late use is reuse: the session ends.
    Off,
}

/// The decision about an issued token whose generation the store does not know, because it lost
/// acknowledged writes (failover, restored backup).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnRollback {
    /// The session continues from there, if the time since its last known rotation allows that many
    /// rotations. The default.
    Resume,
    /// The token is refused. The session stays.
    Refuse,
}

/// The lifetimes of sessions and the rotation of their refresh tokens.
///
/// ```
/// use std::time::Duration;
/// use auth_core::session::SessionPolicy;
///
/// let policy = SessionPolicy::default().with_idle(Duration::from_secs(3 * 24 * 60 * 60));
/// assert!(policy.check(Duration::from_secs(600)).is_ok());
///
/// // A slow request could outlast the interval in which its retry is accepted.
/// let slow = policy.with_request_deadline(Duration::from_secs(60));
/// assert!(slow.check(Duration::from_secs(600)).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct SessionPolicy {
    idle: Duration,
    absolute: Duration,
    window: Duration,
    min_rotation_interval: Duration,
    request_deadline: Duration,
    late_recovery: LateRecovery,
    on_rollback: OnRollback,
    limit: Option<NonZeroU32>,
    strict: bool,
}

impl Default for SessionPolicy {
    /// Idle 14 days, absolute 90 days, reuse interval 10 s, minimum rotation interval 120 s,
    /// request deadline 30 s, late recovery on, [`OnRollback::Resume`], no session limit.
    fn default() -> Self {
        Self {
            idle: 14 * DAY,
            absolute: 90 * DAY,
            window: Duration::from_secs(10),
            min_rotation_interval: Duration::from_secs(120),
            request_deadline: Duration::from_secs(30),
            late_recovery: LateRecovery::On,
            on_rollback: OnRollback::Resume,
            limit: None,
            strict: false,
        }
    }
}

impl SessionPolicy {
    /// Sets the idle time: a session ends after this time without a refresh. Default: 14 days.
    pub fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets the absolute time: a session ends this long after its login, even if it is used.
    /// Default: 90 days.
    pub fn with_absolute(mut self, absolute: Duration) -> Self {
        self.absolute = absolute;
        self
    }

    /// Sets the time after a rotation for which the rotated token gets the same successor again.
    /// More than zero, at most 30 s. Default: 10 s.
    pub fn with_reuse_interval(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets the minimum time between two rotations of a session. A late recovery is possible only
    /// after it. Default: 120 s.
    pub fn with_min_rotation_interval(mut self, min_rotation_interval: Duration) -> Self {
        self.min_rotation_interval = min_rotation_interval;
        self
    }

    /// Sets the maximum duration of a request, from its first byte to its response. Requests for
    /// tokens are aborted after it. Default: 30 s.
    pub fn with_request_deadline(mut self, deadline: Duration) -> Self {
        self.request_deadline = deadline;
        self
    }

    /// Sets whether a client may recover from a lost response after the reuse interval. Default:
    /// on.
    pub fn with_late_recovery(mut self, late_recovery: LateRecovery) -> Self {
        self.late_recovery = late_recovery;
        self
    }

    /// Sets the decision about a token whose rotation the store has lost. Default: resume.
    pub fn with_on_rollback(mut self, on_rollback: OnRollback) -> Self {
        self.on_rollback = on_rollback;
        self
    }

    /// Sets the maximum number of sessions per subject: a login beyond it ends the least recently
    /// used one. Default: none.
    pub fn with_session_limit(mut self, limit: NonZeroU32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Enables strict mode: every use rotates, and every second use of a token ends its session,
    /// whether by a thief, a second tab or a retry after a lost response. Not for pages that are
    /// [refreshed silently](crate::Guard::with_silent_refresh).
    pub fn with_strict_mode(mut self) -> Self {
        self.strict = true;
        self.window = Duration::ZERO;
        self.min_rotation_interval = Duration::ZERO;
        self.late_recovery = LateRecovery::Off;
        self
    }

    /// Checks that the durations fit together, and fit the lifetime of access tokens.
    ///
    /// # Errors
    /// [`ConfigError`] that names the setting which breaks a rule of this module.
    pub fn check(&self, access_lifetime: Duration) -> Result<(), ConfigError> {
        let refuse = |setting, problem: &str| Err(ConfigError::new(setting, problem));
        if self.request_deadline.is_zero() {
            return refuse("request_deadline", "must be longer than zero");
        }
        if access_lifetime.is_zero() {
            return refuse("access lifetime", "must be longer than zero");
        }
        if access_lifetime > self.idle {
            return refuse("idle", "must be at least the lifetime of access tokens");
        }
        if self.idle > self.absolute {
            return refuse("idle", "must be at most the absolute lifetime");
        }
        if self.strict {
            return self.check_strict();
        }
        if self.window.is_zero() {
            return refuse(
                "reuse_interval",
                "must be more than zero; for strict mode call strict()",
            );
        }
        if self.window > LONGEST_WINDOW {
            return refuse("reuse_interval", "must be at most 30 s");
        }
        let needed = self
            .window
            .saturating_add(self.request_deadline.saturating_mul(2));
        if self.min_rotation_interval < needed {
            return Err(ConfigError::new(
                "min_rotation_interval",
                format!(
                    "must be at least reuse interval + 2 × request deadline, {} s, or clients \
                     without fault are logged out",
                    needed.as_secs_f64()
                ),
            ));
        }
        Ok(())
    }

    fn check_strict(&self) -> Result<(), ConfigError> {
        if self.window.is_zero()
            && self.min_rotation_interval.is_zero()
            && self.late_recovery == LateRecovery::Off
        {
            return Ok(());
        }
        Err(ConfigError::new(
            "strict",
            "strict mode has no reuse interval, no minimum rotation interval and no late recovery",
        ))
    }

    /// The time after which a session ends without a refresh.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// The time after which a session ends in any case.
    #[must_use]
    pub fn absolute(&self) -> Duration {
        self.absolute
    }

    /// The time for which a retry gets the same successor.
    #[must_use]
    pub fn reuse_interval(&self) -> Duration {
        self.window
    }

    /// The minimum time between two rotations.
    #[must_use]
    pub fn min_rotation_interval(&self) -> Duration {
        self.min_rotation_interval
    }

    /// The maximum duration of a request.
    #[must_use]
    pub fn request_deadline(&self) -> Duration {
        self.request_deadline
    }

    /// The maximum number of sessions per subject.
    #[must_use]
    pub fn session_limit(&self) -> Option<NonZeroU32> {
        self.limit
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    pub(crate) fn recovers_late(&self) -> bool {
        self.late_recovery == LateRecovery::On
    }

    pub(crate) fn resumes(&self) -> bool {
        self.on_rollback == OnRollback::Resume
    }

    /// The margin by which the listing of a revoked session outlasts an access token: no verifier
    /// has more leeway, and the slowest request has minted its token by then.
    pub(crate) fn listing_margin(&self) -> Duration {
        MAX_LEEWAY.saturating_add(self.request_deadline)
    }

    /// The time for which rows are kept after their end, for revocations listed for `listed_for`.
    pub(crate) fn kept_for(&self, listed_for: Duration) -> Duration {
        listed_for.max(SHORTEST_KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: Duration = Duration::from_secs(600);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn refused(policy: &SessionPolicy) -> &'static str {
        policy.check(ACCESS).unwrap_err().setting()
    }

    #[test]
    fn the_defaults_are_consistent() {
        SessionPolicy::default().check(ACCESS).unwrap();
        SessionPolicy::default()
            .with_strict_mode()
            .check(ACCESS)
            .unwrap();
    }

    #[test]
    fn numbers_settle_is_window_and_two_request_lives_or_an_error() {
        let policy = SessionPolicy::default()
            .with_reuse_interval(secs(10))
            .with_request_deadline(secs(30));
        policy
            .clone()
            .with_min_rotation_interval(secs(70))
            .check(ACCESS)
            .unwrap();
        let less = policy.with_min_rotation_interval(Duration::from_millis(69_999));
        assert_eq!(refused(&less), "min_rotation_interval");
    }

    #[test]
    fn numbers_lifetimes_are_ordered_or_an_error() {
        let policy = SessionPolicy::default();
        assert_eq!(refused(&policy.clone().with_idle(secs(599))), "idle");
        assert_eq!(refused(&policy.clone().with_absolute(DAY)), "idle");
        assert_eq!(
            refused(&policy.with_request_deadline(Duration::ZERO)),
            "request_deadline"
        );
    }

    #[test]
    fn numbers_the_window_is_0_to_30_s_and_0_only_in_strict_mode() {
        let policy = SessionPolicy::default();
        let wide = policy.clone().with_reuse_interval(secs(31));
        assert_eq!(refused(&wide), "reuse_interval");
        let none = policy.clone().with_reuse_interval(Duration::ZERO);
        assert_eq!(refused(&none), "reuse_interval");
        let strict = policy.with_strict_mode();
        assert_eq!(
            refused(&strict.clone().with_min_rotation_interval(secs(90))),
            "strict"
        );
        assert_eq!(
            refused(&strict.clone().with_reuse_interval(secs(1))),
            "strict"
        );
        let recovering = strict.with_late_recovery(LateRecovery::On);
        assert_eq!(refused(&recovering), "strict");
    }

    #[test]
    fn a28_absurd_durations_saturate() {
        let policy = SessionPolicy::default()
            .with_absolute(Duration::MAX)
            .with_idle(Duration::MAX)
            .with_request_deadline(Duration::MAX)
            .with_min_rotation_interval(Duration::MAX);
        policy.check(Duration::MAX).unwrap();
        assert_eq!(policy.listing_margin(), Duration::MAX);
    }

    #[test]
    fn rule_13_records_are_kept_24_h_or_as_long_as_their_access_tokens() {
        let policy = SessionPolicy::default();
        assert_eq!(policy.kept_for(ACCESS), DAY);
        assert_eq!(policy.kept_for(2 * DAY), 2 * DAY);
    }

    #[test]
    fn rule_14_a_sid_is_listed_five_minutes_and_the_deadline_longer_than_its_tokens_live() {
        assert_eq!(SessionPolicy::default().listing_margin(), secs(330));
    }
}
