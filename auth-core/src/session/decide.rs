//! What a presented refresh token means: a pure function of the row, the presented generation and
//! the policy.
//!
//! The token's mac is valid. g = the row's generation, p = its predecessor, n = the presented
//! generation, age = the store's now − `rotated_at`.
//!
//! | n | condition | decision | record |
//! |---|---|---|---|
//! | any | no row | Unknown | |
//! | any | revoked, or of another epoch | Revoked | |
//! | any | past an end, or the last generation | Expired | |
//! | n = g | age ≤ settle, not the first use | Fresh | not written |
//! | n = g | otherwise | Rotated | g+1, predecessor g, recovered 0 |
//! | n = p | age ≤ window | Replayed | not written |
//! | n = p | window < age ≤ settle | Held | not written |
//! | n = p | later, recovered < 3, late recovery on | Recovered | g+1, predecessor stays, recovered + 1 |
//! | n = p | otherwise | Reuse, recent predecessor | revoked |
//! | p < n < g | | Reuse, orphan | revoked |
//! | n < p | | Reuse, stale | revoked |
//! | n > g | n − g ≤ 1 + age / settle, [`OnRollback::Resume`](super::OnRollback) | Resumed | n, predecessor n − 1, recovered 0 |
//! | n > g | otherwise | Ahead | not written |
//!
//! 1. A little negative age counts as none; below −settle the clock has stepped, and it counts as
//!    just later than settle.
//! 2. In strict mode nothing is Fresh, Replayed, Held or Recovered: every use rotates, every
//!    second use is Reuse, and at most one lost rotation is resumed.

use std::cmp::Ordering;
use std::time::Duration;

use super::id::Generation;
use super::policy::SessionPolicy;
use super::record::{RevokeReason, SessionRecord};
use super::store::Loaded;

/// How many late recoveries there may be in a row.
const MAX_RECOVERED: u8 = 3;

/// What a presented token means, and what is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the rows of the protocol's table; a new one is a new protocol"
)]
pub enum Decision {
    /// The current token, used again so soon that it stays: answered with itself.
    Fresh,
    /// The current token moves on to its successor.
    Rotated(Step),
    /// A retry of the request that rotated: answered with the same successor.
    Replayed,
    /// As late as that, only an access token: the client may hold the successor already.
    Held,
    /// The client never got the successor, and gets another one; the first is an orphan now.
    Recovered(Step),
    /// The store has forgotten the rotation that made this token, and takes it over.
    Resumed(Step),
    /// The token was used before, and not by a retry: the session is to be revoked.
    Reuse(ReuseCause),
    /// A token that the store cannot have forgotten: refused, nothing is revoked.
    Ahead,
    /// The session came to its end.
    Expired,
    /// The session was ended.
    Revoked {
        /// Why.
        reason: RevokeReason,
        /// How long ago; `None` if only its subject's epoch tells of it.
        ago: Option<Duration>,
    },
    /// There is no such session, or it was purged.
    Unknown,
}

/// What a row is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The new generation.
    pub generation: Generation,
    /// The new predecessor.
    pub predecessor: Option<Generation>,
    /// The new count of late recoveries in a row.
    pub recovered: u8,
}

/// How a token turned out to be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the rows of the protocol's table; a new one is a new protocol"
)]
pub enum ReuseCause {
    /// The last-but-one token, too late or too often.
    RecentPredecessor,
    /// A token that a late recovery had orphaned.
    Orphan,
    /// A token from long before.
    Stale,
}

impl ReuseCause {
    /// The cause as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.reason().as_str()
    }

    /// The reason that the row keeps.
    pub(crate) fn reason(self) -> RevokeReason {
        match self {
            Self::RecentPredecessor => RevokeReason::RecentPredecessor,
            Self::Orphan => RevokeReason::Orphan,
            Self::Stale => RevokeReason::Stale,
        }
    }
}

impl Decision {
    /// The decision as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Rotated(_) => "rotated",
            Self::Replayed => "replayed",
            Self::Held => "held",
            Self::Recovered(_) => "recovered",
            Self::Resumed(_) => "resumed",
            Self::Reuse(_) => "reuse",
            Self::Ahead => "ahead",
            Self::Expired => "expired",
            Self::Revoked { .. } => "revoked",
            Self::Unknown => "unknown",
        }
    }

    /// What the row is to become, if it is written.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        match self {
            Self::Rotated(step) | Self::Recovered(step) | Self::Resumed(step) => Some(*step),
            _ => None,
        }
    }

    /// Whether it is answered with tokens.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        match self {
            Self::Fresh
            | Self::Rotated(_)
            | Self::Replayed
            | Self::Held
            | Self::Recovered(_)
            | Self::Resumed(_) => true,
            Self::Reuse(_) | Self::Ahead | Self::Expired | Self::Revoked { .. } | Self::Unknown => {
                false
            }
        }
    }
}

/// Decides what a token of generation `presented` means, whose mac is valid.
///
/// ```
/// use auth_core::session::{Decision, Generation, SessionPolicy, decide};
///
/// let decision = decide(None, Generation::FIRST, &SessionPolicy::default());
/// assert_eq!(decision, Decision::Unknown);
/// ```
#[must_use]
pub fn decide(loaded: Option<&Loaded>, presented: Generation, policy: &SessionPolicy) -> Decision {
    let Some(loaded) = loaded else {
        return Decision::Unknown;
    };
    if let Some(ended) = ended(loaded, presented) {
        return ended;
    }
    let record = &loaded.record;
    let age = Age::of(loaded, policy);
    match presented.cmp(&record.generation) {
        Ordering::Equal => current(record, age, policy),
        Ordering::Less => used_before(record, presented, age, policy),
        Ordering::Greater => ahead(record, presented, age, policy),
    }
}

fn ended(loaded: &Loaded, presented: Generation) -> Option<Decision> {
    let record = &loaded.record;
    if let Some(revocation) = record.revoked {
        return Some(Decision::Revoked {
            reason: revocation.reason,
            ago: Some(loaded.now.saturating_since(revocation.at)),
        });
    }
    if record.epoch != loaded.subject_epoch {
        return Some(Decision::Revoked {
            reason: RevokeReason::All,
            ago: None,
        });
    }
    if loaded.now >= record.ends_at()
        || record.generation == Generation::LAST
        || presented == Generation::LAST
    {
        return Some(Decision::Expired);
    }
    None
}

/// n = g
fn current(record: &SessionRecord, age: Age, policy: &SessionPolicy) -> Decision {
    let first_use = record.predecessor.is_none();
    if !policy.is_strict() && !first_use && age.within(policy.settle()) {
        return Decision::Fresh;
    }
    Decision::Rotated(Step {
        generation: record.generation.next(),
        predecessor: Some(record.generation),
        recovered: 0,
    })
}

/// n < g
fn used_before(
    record: &SessionRecord,
    presented: Generation,
    age: Age,
    policy: &SessionPolicy,
) -> Decision {
    match record.predecessor.map(|p| presented.cmp(&p)) {
        Some(Ordering::Equal) => predecessor(record, age, policy),
        Some(Ordering::Greater) => Decision::Reuse(ReuseCause::Orphan),
        Some(Ordering::Less) | None => Decision::Reuse(ReuseCause::Stale),
    }
}

/// n = p
fn predecessor(record: &SessionRecord, age: Age, policy: &SessionPolicy) -> Decision {
    if policy.is_strict() {
        return Decision::Reuse(ReuseCause::RecentPredecessor);
    }
    if age.within(policy.retry_window()) {
        return Decision::Replayed;
    }
    if age.within(policy.settle()) {
        return Decision::Held;
    }
    if record.recovered < MAX_RECOVERED && policy.recovers_late() {
        return Decision::Recovered(Step {
            generation: record.generation.next(),
            predecessor: record.predecessor,
            recovered: record.recovered + 1,
        });
    }
    Decision::Reuse(ReuseCause::RecentPredecessor)
}

/// n > g
fn ahead(
    record: &SessionRecord,
    presented: Generation,
    age: Age,
    policy: &SessionPolicy,
) -> Decision {
    let steps = u64::from(presented.get()) - u64::from(record.generation.get());
    let possible = age
        .in_units_of(policy.settle())
        .map_or(1, |settles| settles.saturating_add(1));
    if policy.resumes() && steps <= possible {
        return Decision::Resumed(Step {
            generation: presented,
            predecessor: Some(presented.previous()),
            recovered: 0,
        });
    }
    Decision::Ahead
}

/// Milliseconds since the last rotation by the store's clock, never negative.
#[derive(Clone, Copy)]
struct Age(u64);

impl Age {
    fn of(loaded: &Loaded, policy: &SessionPolicy) -> Self {
        let settle = millis(policy.settle());
        let age = loaded.now.millis_since(loaded.record.rotated_at);
        if age.unsigned_abs() > settle && age < 0 {
            return Self(settle.saturating_add(1));
        }
        Self(u64::try_from(age).unwrap_or(0))
    }

    fn within(self, duration: Duration) -> bool {
        self.0 <= millis(duration)
    }

    /// How often `unit` has passed; `None` if the unit is no time at all.
    fn in_units_of(self, unit: Duration) -> Option<u64> {
        self.0.checked_div(millis(unit))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;
    use crate::session::{
        LateRecovery, OnRollback, Revocation, SessionDetails, SessionId, SessionRecord,
    };

    const T0: i64 = 1_800_000_000;
    const WINDOW: i64 = 10_000;
    const SETTLE: i64 = 120_000;

    /// A live row at generation `g` with predecessor `p`, loaded `age` ms after its rotation.
    fn row(g: u32, p: Option<u32>, age: i64) -> Loaded {
        let rotated_at = Timestamp::from_secs(T0);
        Loaded {
            record: SessionRecord {
                id: SessionId::from_bytes([1; 16]),
                subject: "ada".into(),
                epoch: 0,
                generation: Generation::new(g),
                predecessor: p.map(Generation::new),
                recovered: 0,
                created_at: rotated_at,
                rotated_at,
                last_used_at: rotated_at,
                idle_expires_at: Timestamp::from_secs(T0 + 14 * 86_400),
                absolute_expires_at: Timestamp::from_secs(T0 + 90 * 86_400),
                revoked: None,
                details: SessionDetails::default(),
            },
            subject_epoch: 0,
            now: Timestamp::from_millis(T0 * 1000 + age),
        }
    }

    fn present(loaded: &Loaded, n: u32) -> Decision {
        decide(Some(loaded), Generation::new(n), &SessionPolicy::default())
    }

    fn step(g: u32, p: u32, recovered: u8) -> Step {
        Step {
            generation: Generation::new(g),
            predecessor: Some(Generation::new(p)),
            recovered,
        }
    }

    #[test]
    fn row_fresh_current_token_within_settle() {
        for age in [0, 1, SETTLE] {
            assert_eq!(present(&row(5, Some(4), age), 5), Decision::Fresh);
        }
    }

    #[test]
    fn row_rotated_current_token_after_settle() {
        let mut loaded = row(5, Some(3), SETTLE + 1);
        loaded.record.recovered = 2;
        assert_eq!(present(&loaded, 5), Decision::Rotated(step(6, 5, 0)));
    }

    #[test]
    fn row_rotated_first_use_of_a_fresh_login_at_once() {
        assert_eq!(
            present(&row(0, None, 0), 0),
            Decision::Rotated(step(1, 0, 0))
        );
    }

    #[test]
    fn row_replayed_predecessor_within_the_window() {
        for age in [0, 1, WINDOW] {
            assert_eq!(present(&row(5, Some(4), age), 4), Decision::Replayed);
        }
    }

    #[test]
    fn row_held_predecessor_between_window_and_settle() {
        for age in [WINDOW + 1, SETTLE] {
            assert_eq!(present(&row(5, Some(4), age), 4), Decision::Held);
        }
    }

    #[test]
    fn row_recovered_predecessor_later_up_to_three_times() {
        for recovered in 0..3 {
            let mut loaded = row(5, Some(2), SETTLE + 1);
            loaded.record.recovered = recovered;
            let expected = step(6, 2, recovered + 1);
            assert_eq!(present(&loaded, 2), Decision::Recovered(expected));
        }
    }

    #[test]
    fn row_reuse_recent_predecessor_after_three_recoveries_or_without_them() {
        let reuse = Decision::Reuse(ReuseCause::RecentPredecessor);
        let mut loaded = row(5, Some(2), SETTLE + 1);
        loaded.record.recovered = 3;
        assert_eq!(present(&loaded, 2), reuse);
        loaded.record.recovered = 0;
        let off = SessionPolicy::default().with_late_recovery(LateRecovery::Off);
        assert_eq!(decide(Some(&loaded), Generation::new(2), &off), reuse);
    }

    #[test]
    fn row_reuse_orphan_between_predecessor_and_current() {
        for age in [0, SETTLE + 1] {
            for n in [3, 4] {
                let decision = present(&row(5, Some(2), age), n);
                assert_eq!(decision, Decision::Reuse(ReuseCause::Orphan));
            }
        }
    }

    #[test]
    fn row_reuse_stale_before_the_predecessor() {
        for n in [0, 1, 3] {
            let decision = present(&row(5, Some(4), 0), n);
            assert_eq!(decision, Decision::Reuse(ReuseCause::Stale));
        }
    }

    #[test]
    fn row_resumed_ahead_as_far_as_the_time_allows() {
        assert_eq!(
            present(&row(5, Some(4), 0), 6),
            Decision::Resumed(step(6, 5, 0))
        );
        let later = row(5, Some(4), 3 * SETTLE);
        assert_eq!(present(&later, 9), Decision::Resumed(step(9, 8, 0)));
    }

    #[test]
    fn row_ahead_further_than_the_time_allows_or_refused_by_policy() {
        assert_eq!(present(&row(5, Some(4), SETTLE - 1), 7), Decision::Ahead);
        assert_eq!(present(&row(5, Some(4), 3 * SETTLE), 10), Decision::Ahead);
        let refuse = SessionPolicy::default().with_on_rollback(OnRollback::Refuse);
        let loaded = row(5, Some(4), 0);
        let decision = decide(Some(&loaded), Generation::new(6), &refuse);
        assert_eq!(decision, Decision::Ahead);
    }

    #[test]
    fn row_expired_at_either_end_and_at_the_last_generation() {
        let mut idle = row(5, Some(4), 0);
        idle.record.idle_expires_at = idle.now;
        assert_eq!(present(&idle, 5), Decision::Expired);
        let mut absolute = row(5, Some(4), 0);
        absolute.record.absolute_expires_at = absolute.now;
        assert_eq!(present(&absolute, 5), Decision::Expired);
        absolute.record.absolute_expires_at = Timestamp::from_millis(T0 * 1000 + 1);
        assert_eq!(present(&absolute, 5), Decision::Fresh);

        let last = row(u32::MAX, Some(u32::MAX - 1), SETTLE + 1);
        assert_eq!(present(&last, u32::MAX), Decision::Expired);
        assert_eq!(
            present(&row(u32::MAX - 1, None, 0), u32::MAX),
            Decision::Expired
        );
    }

    #[test]
    fn row_revoked_whatever_is_presented() {
        let mut loaded = row(5, Some(4), 7_000);
        loaded.record.revoked = Some(Revocation {
            at: Timestamp::from_secs(T0 + 2),
            reason: RevokeReason::Logout,
        });
        loaded.record.idle_expires_at = Timestamp::from_secs(0);
        for n in [0, 4, 5, 6, u32::MAX] {
            let revoked = Decision::Revoked {
                reason: RevokeReason::Logout,
                ago: Some(Duration::from_secs(5)),
            };
            assert_eq!(present(&loaded, n), revoked);
        }
    }

    #[test]
    fn row_revoked_by_another_epoch_older_or_newer() {
        for epoch in [0, 2] {
            let mut loaded = row(5, Some(4), 0);
            loaded.record.epoch = epoch;
            loaded.subject_epoch = 1;
            let decision = present(&loaded, 5);
            assert!(matches!(decision, Decision::Revoked { ago: None, .. }));
        }
    }

    #[test]
    fn row_unknown_without_a_record() {
        let decision = decide(None, Generation::new(3), &SessionPolicy::default());
        assert_eq!(decision, Decision::Unknown);
    }

    #[test]
    fn a_little_negative_age_counts_as_none_and_a_large_one_as_later() {
        assert_eq!(present(&row(5, Some(4), -1), 4), Decision::Replayed);
        assert_eq!(present(&row(5, Some(4), -SETTLE), 4), Decision::Replayed);
        let stepped = row(5, Some(4), -SETTLE - 1);
        assert_eq!(present(&stepped, 4), Decision::Recovered(step(6, 4, 1)));
        assert_eq!(present(&stepped, 5), Decision::Rotated(step(6, 5, 0)));
        assert_eq!(present(&stepped, 7), Decision::Resumed(step(7, 6, 0)));
        assert_eq!(present(&stepped, 8), Decision::Ahead);
    }

    #[test]
    fn strict_mode_rotates_every_use_and_forgives_none() {
        let strict = SessionPolicy::default().strict();
        let loaded = row(5, Some(4), 0);
        let of = |n| decide(Some(&loaded), Generation::new(n), &strict);
        assert_eq!(of(5), Decision::Rotated(step(6, 5, 0)));
        assert_eq!(of(4), Decision::Reuse(ReuseCause::RecentPredecessor));
        assert_eq!(of(6), Decision::Resumed(step(6, 5, 0)));
        assert_eq!(of(7), Decision::Ahead);
    }

    proptest! {
        /// E17, rules 4 and 5: whatever numbers and moments a row holds, nothing overflows, no
        /// generation goes back, and nothing moves before settle but a first use or a rollback.
        #[test]
        fn e17_no_moment_or_number_overflows(
            g in any::<u32>(), back in any::<u32>(), n in any::<u32>(),
            recovered in any::<u8>(), rotated_at in any::<i64>(), now in any::<i64>(),
            end in any::<i64>(), strict in any::<bool>(),
        ) {
            let mut loaded = row(g, g.checked_sub(back), 0);
            loaded.record.recovered = recovered;
            loaded.record.rotated_at = Timestamp::from_millis(rotated_at);
            loaded.record.idle_expires_at = Timestamp::from_millis(end);
            loaded.record.absolute_expires_at = Timestamp::from_millis(end);
            loaded.now = Timestamp::from_millis(now);
            let mut policy = SessionPolicy::default();
            if strict {
                policy = policy.strict();
            }
            let decision = decide(Some(&loaded), Generation::new(n), &policy);
            prop_assert_eq!(decision == Decision::Expired, now >= end || g == u32::MAX || n == u32::MAX);
            if let Some(step) = decision.step() {
                prop_assert!(step.generation.get() > g);
                prop_assert!(step.recovered <= 3);
                prop_assert!(step.predecessor < Some(step.generation));
            }
        }
    }
}
