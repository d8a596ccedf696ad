//! Key schedules: all times are derived from token lifetimes and caching times.

use std::time::Duration;

use crate::base::config::ConfigError;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Bounds that verifiers with this crate's cache rules put on the `max-age`.
const SHORTEST_MAX_AGE: Duration = Duration::from_secs(5 * 60);
const LONGEST_MAX_AGE: Duration = DAY;
const SHORTEST_POLL: Duration = Duration::from_millis(20);
/// Number of failed reads of the document in a row after which a node counts as disconnected.
const POLLS_MISSED: u32 = 4;
/// Maximum number of keys at once. More would slow down verification; verifiers accept 64.
const MOST_AT_ONCE: u128 = 32;

/// The times of signing keys.
///
/// A key is **published** for [`lead`](Self::lead), so that every verifier knows it. It is
/// **signing** for the period. It is **retiring** for [`retiring`](Self::retiring), until the last
/// of its tokens has expired everywhere. Then it is **gone**.
///
/// ```
/// use std::time::Duration;
/// use auth_core::rotation::KeySchedule;
///
/// // Access tokens of at most 10 minutes, a new key a week, keys cached for 15 minutes.
/// let schedule = KeySchedule::for_lifetime(Duration::from_secs(600))
///     .with_period(Duration::from_secs(7 * 24 * 60 * 60))
///     .with_max_age(Duration::from_secs(900));
/// assert!(schedule.check().is_ok());
/// assert!(schedule.lead() > Duration::from_secs(2 * 900));
///
/// // A key would have to be replaced before its successor is known everywhere.
/// assert!(schedule.with_period(Duration::from_secs(60)).check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct KeySchedule {
    lifetime: Duration,
    leeway: Duration,
    period: Duration,
    max_age: Option<Duration>,
    poll: Duration,
    margin: Duration,
}

impl KeySchedule {
    /// Creates a schedule for access tokens with a lifetime of at most `lifetime`, without leeway.
    /// Defaults: a new key signs every 30 days, verifiers cache keys for 10 minutes, the leeway is
    /// 30 s, nodes poll every 10 s, and the margin is a minute.
    pub fn for_lifetime(lifetime: Duration) -> Self {
        Self {
            lifetime,
            leeway: Duration::from_secs(30),
            period: 30 * DAY,
            max_age: Some(10 * MINUTE),
            poll: Duration::from_secs(10),
            margin: MINUTE,
        }
    }

    /// Sets the time for which a key signs. Default: 30 days.
    pub fn with_period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// Sets the largest leeway of any verifier. Default: 30 s.
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Sets the `max-age` of the JWKS document, from 5 minutes to 24 hours: the bounds of verifiers
    /// with this crate's cache rules. Default: 10 minutes.
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Declares that no verifier uses the JWKS document: only nodes that read the same keys accept
    /// the tokens. Keys can then change within seconds.
    pub fn without_remote_verifiers(mut self) -> Self {
        self.max_age = None;
        self
    }

    /// Sets the time between two polls of the shared document. Default: 10 s.
    pub fn with_poll_interval(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// Sets the margin added to every wait. It must exceed the clock difference of any two nodes,
    /// and the delay of any write or task. Default: 1 minute.
    pub fn with_margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// Checks that the times fit together.
    ///
    /// # Errors
    /// [`ConfigError`] that names the time at fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |setting, problem: String| Err(ConfigError::new(setting, problem));
        if self.lifetime.is_zero() {
            return refuse(
                "key schedule",
                "the token lifetime must be longer than zero".into(),
            );
        }
        if self.poll < SHORTEST_POLL {
            return refuse("poll interval", "must be at least 20 ms".into());
        }
        if self
            .max_age
            .is_some_and(|age| !(SHORTEST_MAX_AGE..=LONGEST_MAX_AGE).contains(&age))
        {
            return refuse(
                "max-age",
                "must be from 5 minutes to 24 hours, the bounds of verifiers".into(),
            );
        }
        let shortest = self.lead().saturating_add(self.poll);
        if self.period < shortest {
            return refuse(
                "period",
                format!(
                    "must be at least {} s, or the next key signs before it is known",
                    shortest.as_secs_f64()
                ),
            );
        }
        check_number(self.retiring(), self.period)
    }

    /// Time for which a key is published before it signs.
    ///
    /// A verifier refreshes at 80 % of `max-age`, a cache between it and the issuer may add another
    /// `max-age`, and a node's last poll may be up to [`staleness`](Self::staleness) ago.
    #[must_use]
    pub fn lead(&self) -> Duration {
        self.max_age()
            .saturating_mul(2)
            .saturating_add(self.staleness())
            .saturating_add(self.margin)
    }

    /// Time for which a key is kept after its last signature: lifetime, leeway and margin.
    #[must_use]
    pub fn retiring(&self) -> Duration {
        self.lifetime
            .saturating_add(self.leeway)
            .saturating_add(self.margin)
    }

    /// Time after the last successful poll at which a node stops serving its JWKS document: a key
    /// might be missing from it.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        self.poll.saturating_mul(POLLS_MISSED)
    }

    /// The `max-age` of the JWKS document. Zero without remote verifiers.
    #[must_use]
    pub fn max_age(&self) -> Duration {
        self.max_age.unwrap_or_default()
    }

    /// The maximum lifetime of an access token.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub(crate) fn poll(&self) -> Duration {
        self.poll
    }

    pub(crate) fn timing(&self) -> Timing {
        Timing {
            lead: self.lead(),
            period: self.period,
            retiring: self.retiring(),
            margin: self.margin,
        }
    }
}

/// The times of refresh keys. They rotate like signing keys, and stay for twice the longest idle
/// time.
///
/// ```
/// use std::time::Duration;
/// use auth_core::rotation::RefreshKeySchedule;
///
/// let two_weeks = Duration::from_secs(14 * 24 * 60 * 60);
/// let schedule = RefreshKeySchedule::for_longest_idle(two_weeks);
/// assert_eq!(schedule.retiring(), 2 * two_weeks);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct RefreshKeySchedule {
    idle: Duration,
    period: Duration,
}

impl RefreshKeySchedule {
    /// Creates a schedule for sessions that end after at most `idle` without a refresh. Include
    /// logins with an idle time of their own ("remember me"). Default: a new key signs every 90
    /// days.
    pub fn for_longest_idle(idle: Duration) -> Self {
        Self {
            idle,
            period: 90 * DAY,
        }
    }

    /// Sets the time for which a key signs. Default: 90 days.
    pub fn with_period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    pub(crate) fn longest_idle(&self) -> Duration {
        self.idle
    }

    /// Time for which a key is kept after its last signature.
    #[must_use]
    pub fn retiring(&self) -> Duration {
        self.idle.saturating_mul(2)
    }

    /// Checks that the times fit together, and fit those of the signing keys.
    ///
    /// # Errors
    /// [`ConfigError`] that names the time at fault.
    pub fn check(&self, keys: &KeySchedule) -> Result<(), ConfigError> {
        if self.idle.is_zero() {
            return Err(ConfigError::new("longest idle", "must be more than zero"));
        }
        if self.period < keys.lead().saturating_add(keys.poll) {
            return Err(ConfigError::new(
                "refresh key period",
                "must be at least the time for which keys are published before they sign",
            ));
        }
        check_number(self.retiring(), self.period)
    }

    pub(crate) fn timing(&self, keys: &KeySchedule) -> Timing {
        Timing {
            lead: keys.lead(),
            period: self.period,
            retiring: self.retiring(),
            margin: keys.margin,
        }
    }
}

/// The times of one kind of key, for the state machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) lead: Duration,
    pub(crate) period: Duration,
    pub(crate) retiring: Duration,
    pub(crate) margin: Duration,
}

/// Checks the number of keys at once: retiring, signing and published ones.
fn check_number(retiring: Duration, period: Duration) -> Result<(), ConfigError> {
    let at_once = retiring.as_nanos() / period.as_nanos().max(1) + 3;
    if at_once <= MOST_AT_ONCE {
        return Ok(());
    }
    Err(ConfigError::new(
        "period",
        "is so short that more than 32 keys would exist at once",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn f09_lead_and_retiring_follow_from_cache_rules_and_lifetimes() {
        let schedule = KeySchedule::for_lifetime(secs(600));
        schedule.check().unwrap();
        assert_eq!(schedule.staleness(), secs(40));
        assert_eq!(schedule.lead(), secs(2 * 600 + 40 + 60));
        assert_eq!(schedule.retiring(), secs(600 + 30 + 60));
    }

    #[test]
    fn numbers_that_would_show_unknown_keys_are_refused() {
        let schedule = KeySchedule::for_lifetime(secs(600));
        let setting = |schedule: KeySchedule| schedule.check().unwrap_err().setting();
        assert_eq!(setting(schedule.clone().with_max_age(secs(299))), "max-age");
        assert_eq!(setting(schedule.clone().with_max_age(2 * DAY)), "max-age");
        assert_eq!(setting(schedule.clone().with_period(secs(1309))), "period");
        schedule.clone().with_period(secs(1310)).check().unwrap();
        assert_eq!(
            setting(schedule.clone().with_poll_interval(Duration::ZERO)),
            "poll interval"
        );
        assert_eq!(
            setting(KeySchedule::for_lifetime(Duration::ZERO)),
            "key schedule"
        );
    }

    #[test]
    fn more_keys_at_once_than_verifiers_take_are_refused() {
        let seconds = KeySchedule::for_lifetime(secs(600))
            .without_remote_verifiers()
            .with_poll_interval(Duration::from_millis(100))
            .with_margin(secs(1));
        assert!(seconds.clone().with_period(secs(2)).check().is_err());
        seconds.clone().with_period(secs(30)).check().unwrap();
        let refresh = RefreshKeySchedule::for_longest_idle(14 * DAY);
        refresh.check(&seconds).unwrap();
        assert!(refresh.with_period(secs(3600)).check(&seconds).is_err());
    }

    #[test]
    fn a28_absurd_durations_saturate() {
        let schedule = KeySchedule::for_lifetime(Duration::MAX)
            .with_leeway(Duration::MAX)
            .with_period(Duration::MAX)
            .with_margin(Duration::MAX);
        assert_eq!(schedule.retiring(), Duration::MAX);
        let _ = schedule.check();
    }
}
