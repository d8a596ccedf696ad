//! One test per row of the table.

use proptest::prelude::*;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::session::decide::*;
use crate::session::store::record::{SessionDetails, SessionRecord, SessionRevocation};
use crate::session::{LateRecovery, OnRollback};

const T0: i64 = 1_800_000_000;
const WINDOW: i64 = 10_000;
const SETTLE: i64 = 120_000;

/// A live row at generation `g` with predecessor `p`, loaded `age` ms after its rotation.
fn row(g: u32, p: Option<u32>, age: i64) -> LoadedSession {
    let rotated_at = Timestamp::from_secs(T0);
    LoadedSession {
        record: SessionRecord {
            id: SessionId::from_bytes([1; 16]),
            subject: "ada".into(),
            subject_version: 0,
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
        current_subject_version: 0,
        now: Timestamp::from_millis(T0 * 1000 + age),
    }
}

fn present(loaded: &LoadedSession, n: u32) -> Decision {
    decide(Some(loaded), Generation::new(n), &SessionPolicy::default())
}

fn step(g: u32, p: u32, recovered: u8) -> RotationStep {
    RotationStep {
        generation: Generation::new(g),
        predecessor: Some(Generation::new(p)),
        recovered,
    }
}

#[test]
fn row_fresh_current_token_within_settle() {
    for age in [0, 1, SETTLE] {
        assert_eq!(
            present(&row(5, Some(4), age), 5),
            Decision::granted(GrantKind::Fresh)
        );
    }
}

#[test]
fn row_rotated_current_token_after_settle() {
    let mut loaded = row(5, Some(3), SETTLE + 1);
    loaded.record.recovered = 2;
    assert_eq!(
        present(&loaded, 5),
        Decision::written(GrantKind::Rotated, step(6, 5, 0))
    );
}

#[test]
fn row_rotated_first_use_of_a_fresh_login_at_once() {
    assert_eq!(
        present(&row(0, None, 0), 0),
        Decision::written(GrantKind::Rotated, step(1, 0, 0))
    );
}

#[test]
fn row_replayed_predecessor_within_the_window() {
    for age in [0, 1, WINDOW] {
        assert_eq!(
            present(&row(5, Some(4), age), 4),
            Decision::granted(GrantKind::Replayed)
        );
    }
}

#[test]
fn row_held_predecessor_between_window_and_settle() {
    for age in [WINDOW + 1, SETTLE] {
        assert_eq!(
            present(&row(5, Some(4), age), 4),
            Decision::granted(GrantKind::Held)
        );
    }
}

#[test]
fn row_recovered_predecessor_later_up_to_three_times() {
    for recovered in 0..3 {
        let mut loaded = row(5, Some(2), SETTLE + 1);
        loaded.record.recovered = recovered;
        let expected = step(6, 2, recovered + 1);
        assert_eq!(
            present(&loaded, 2),
            Decision::written(GrantKind::Recovered, expected)
        );
    }
}

#[test]
fn row_reuse_recent_predecessor_after_three_recoveries_or_without_them() {
    let reuse = Decision::Refuse(RefreshRefusal::Reuse(ReuseCause::RecentPredecessor));
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
            assert_eq!(
                decision,
                Decision::Refuse(RefreshRefusal::Reuse(ReuseCause::Orphan))
            );
        }
    }
}

#[test]
fn row_reuse_stale_before_the_predecessor() {
    for n in [0, 1, 3] {
        let decision = present(&row(5, Some(4), 0), n);
        assert_eq!(
            decision,
            Decision::Refuse(RefreshRefusal::Reuse(ReuseCause::Stale))
        );
    }
}

#[test]
fn row_resumed_ahead_as_far_as_the_time_allows() {
    assert_eq!(
        present(&row(5, Some(4), 0), 6),
        Decision::written(GrantKind::Resumed, step(6, 5, 0))
    );
    let later = row(5, Some(4), 3 * SETTLE);
    assert_eq!(
        present(&later, 9),
        Decision::written(GrantKind::Resumed, step(9, 8, 0))
    );
}

#[test]
fn row_ahead_further_than_the_time_allows_or_refused_by_policy() {
    assert_eq!(
        present(&row(5, Some(4), SETTLE - 1), 7),
        Decision::Refuse(RefreshRefusal::Ahead)
    );
    assert_eq!(
        present(&row(5, Some(4), 3 * SETTLE), 10),
        Decision::Refuse(RefreshRefusal::Ahead)
    );
    let refuse = SessionPolicy::default().with_on_rollback(OnRollback::Refuse);
    let loaded = row(5, Some(4), 0);
    let decision = decide(Some(&loaded), Generation::new(6), &refuse);
    assert_eq!(decision, Decision::Refuse(RefreshRefusal::Ahead));
}

#[test]
fn row_expired_at_either_end_and_at_the_last_generation() {
    let mut idle = row(5, Some(4), 0);
    idle.record.idle_expires_at = idle.now;
    assert_eq!(present(&idle, 5), Decision::Refuse(RefreshRefusal::Expired));
    let mut absolute = row(5, Some(4), 0);
    absolute.record.absolute_expires_at = absolute.now;
    assert_eq!(
        present(&absolute, 5),
        Decision::Refuse(RefreshRefusal::Expired)
    );
    absolute.record.absolute_expires_at = Timestamp::from_millis(T0 * 1000 + 1);
    assert_eq!(present(&absolute, 5), Decision::granted(GrantKind::Fresh));

    let last = row(u32::MAX, Some(u32::MAX - 1), SETTLE + 1);
    assert_eq!(
        present(&last, u32::MAX),
        Decision::Refuse(RefreshRefusal::Expired)
    );
    assert_eq!(
        present(&row(u32::MAX - 1, None, 0), u32::MAX),
        Decision::Refuse(RefreshRefusal::Expired)
    );
}

#[test]
fn row_revoked_whatever_is_presented() {
    let mut loaded = row(5, Some(4), 7_000);
    loaded.record.revoked = Some(SessionRevocation {
        at: Timestamp::from_secs(T0 + 2),
        reason: RevokeReason::Logout,
    });
    loaded.record.idle_expires_at = Timestamp::from_secs(0);
    for n in [0, 4, 5, 6, u32::MAX] {
        let revoked = Decision::Refuse(RefreshRefusal::Revoked {
            reason: RevokeReason::Logout,
            ago: Some(Duration::from_secs(5)),
        });
        assert_eq!(present(&loaded, n), revoked);
    }
}

#[test]
fn row_revoked_by_another_epoch_older_or_newer() {
    for subject_version in [0, 2] {
        let mut loaded = row(5, Some(4), 0);
        loaded.record.subject_version = subject_version;
        loaded.current_subject_version = 1;
        let decision = present(&loaded, 5);
        assert!(matches!(
            decision,
            Decision::Refuse(RefreshRefusal::Revoked { ago: None, .. })
        ));
    }
}

#[test]
fn row_unknown_without_a_record() {
    let decision = decide(None, Generation::new(3), &SessionPolicy::default());
    assert_eq!(decision, Decision::Refuse(RefreshRefusal::Unknown));
}

#[test]
fn a_little_negative_age_counts_as_none_and_a_large_one_as_later() {
    assert_eq!(
        present(&row(5, Some(4), -1), 4),
        Decision::granted(GrantKind::Replayed)
    );
    assert_eq!(
        present(&row(5, Some(4), -SETTLE), 4),
        Decision::granted(GrantKind::Replayed)
    );
    let stepped = row(5, Some(4), -SETTLE - 1);
    assert_eq!(
        present(&stepped, 4),
        Decision::written(GrantKind::Recovered, step(6, 4, 1))
    );
    assert_eq!(
        present(&stepped, 5),
        Decision::written(GrantKind::Rotated, step(6, 5, 0))
    );
    assert_eq!(
        present(&stepped, 7),
        Decision::written(GrantKind::Resumed, step(7, 6, 0))
    );
    assert_eq!(
        present(&stepped, 8),
        Decision::Refuse(RefreshRefusal::Ahead)
    );
}

#[test]
fn strict_mode_rotates_every_use_and_forgives_none() {
    let strict = SessionPolicy::default().with_strict_mode();
    let loaded = row(5, Some(4), 0);
    let of = |n| decide(Some(&loaded), Generation::new(n), &strict);
    assert_eq!(of(5), Decision::written(GrantKind::Rotated, step(6, 5, 0)));
    assert_eq!(
        of(4),
        Decision::Refuse(RefreshRefusal::Reuse(ReuseCause::RecentPredecessor))
    );
    assert_eq!(of(6), Decision::written(GrantKind::Resumed, step(6, 5, 0)));
    assert_eq!(of(7), Decision::Refuse(RefreshRefusal::Ahead));
}

proptest! {
    /// E17, rules 4 and 5, for any numbers and times in a row: nothing overflows, and no generation
    /// decreases. Within the minimum rotation interval only a first use or a rollback writes.
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
            policy = policy.with_strict_mode();
        }
        let decision = decide(Some(&loaded), Generation::new(n), &policy);
        prop_assert_eq!(decision == Decision::Refuse(RefreshRefusal::Expired), now >= end || g == u32::MAX || n == u32::MAX);
        if let Some(step) = decision.step() {
            prop_assert!(step.generation.get() > g);
            prop_assert!(step.recovered <= 3);
            prop_assert!(step.predecessor < Some(step.generation));
        }
    }
}
