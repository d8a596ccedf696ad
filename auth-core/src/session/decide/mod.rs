//! The decision about a presented refresh token: a pure function of the row, the presented
//! generation and the policy.
//!
//! The token's mac is valid. In the table, g = the row's generation, p = its predecessor, n = the
//! presented generation. age = the store's now − `rotated_at`. The reuse interval is reuse, the
//! minimum rotation interval min.
//!
//! | n | condition | decision | record |
//! |---|---|---|---|
//! | any | no row | Unknown | |
//! | any | revoked, or of another subject version | Revoked | |
//! | any | past an end, or the last generation | Expired | |
//! | n = g | age ≤ min, not the first use | Fresh | not written |
//! | n = g | otherwise | Rotated | g+1, predecessor g, recovered 0 |
//! | n = p | age ≤ reuse | Replayed | not written |
//! | n = p | reuse < age ≤ min | Held | not written |
//! | n = p | later, recovered < 3, late recovery on | Recovered | g+1, predecessor stays, recovered + 1 |
//! | n = p | otherwise | Reuse, recent predecessor | revoked |
//! | p < n < g | | Reuse, orphan | revoked |
//! | n < p | | Reuse, stale | revoked |
//! | n > g | n − g ≤ 1 + age / min, [`OnRollback::Resume`](crate::session::OnRollback) | Resumed | n, predecessor n − 1, recovered 0 |
//! | n > g | otherwise | Ahead | not written |
//!
//! 1. A small negative age counts as zero; below −min the clock was stepped, and the age counts as
//!    just above min.
//! 2. In strict mode no decision is Fresh, Replayed, Held or Recovered: every use rotates, every
//!    second use is Reuse, and at most one lost rotation is resumed.

use std::cmp::Ordering;
use std::time::Duration;

use crate::base::id::Generation;
use crate::observe::words::{GrantKind, ReuseCause, RevokeReason};
use crate::session::policy::SessionPolicy;
use crate::session::store::LoadedSession;
use crate::session::store::record::SessionRecord;

/// Maximum number of late recoveries in a row.
const MAX_RECOVERED: u8 = 3;

/// The decision about a presented token, with its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the rows of the protocol's table; a new one is a new protocol"
)]
pub enum Decision {
    /// Tokens are granted.
    Grant(Grant),
    /// No tokens are granted.
    Refuse(RefreshRefusal),
}

/// A decision to grant tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The kind of the grant, which determines the tokens in the response.
    pub kind: GrantKind,
    /// The step to write first; `None` leaves the row as it is.
    pub write: Option<RotationStep>,
}

/// A decision to grant no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the rows of the protocol's table; a new one is a new protocol"
)]
pub enum RefreshRefusal {
    /// A generation that the store cannot have lost. Nothing is revoked.
    Ahead,
    /// The session has expired.
    Expired,
    /// Reuse of a token that is not a retry: the session is to be revoked.
    Reuse(ReuseCause),
    /// The session was revoked before.
    Revoked {
        /// Reason for the end.
        reason: RevokeReason,
        /// Time since the end. `None` if only the subject version shows it.
        ago: Option<Duration>,
    },
    /// There is no such session, or it was purged.
    Unknown,
}

/// The next state of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationStep {
    /// New generation.
    pub generation: Generation,
    /// New predecessor.
    pub predecessor: Option<Generation>,
    /// New count of late recoveries in a row.
    pub recovered: u8,
}

impl Decision {
    /// The step to write, if there is one.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn step(&self) -> Option<RotationStep> {
        match self {
            Self::Grant(grant) => grant.write,
            Self::Refuse(_) => None,
        }
    }

    fn granted(kind: GrantKind) -> Self {
        Self::Grant(Grant { kind, write: None })
    }

    fn written(kind: GrantKind, step: RotationStep) -> Self {
        let write = Some(step);
        Self::Grant(Grant { kind, write })
    }
}

/// Decides about a token of generation `presented`, whose mac is valid.
///
/// ```
/// use auth_core::session::SessionPolicy;
/// use auth_core::store::Generation;
/// use auth_core::testing::{decide, Decision, RefreshRefusal};
///
/// let decision = decide(None, Generation::FIRST, &SessionPolicy::default());
/// assert_eq!(decision, Decision::Refuse(RefreshRefusal::Unknown));
/// ```
#[must_use]
pub fn decide(
    loaded: Option<&LoadedSession>,
    presented: Generation,
    policy: &SessionPolicy,
) -> Decision {
    let Some(loaded) = loaded else {
        return Decision::Refuse(RefreshRefusal::Unknown);
    };
    if let Some(ended) = ended(loaded, presented) {
        return Decision::Refuse(ended);
    }
    let record = &loaded.record;
    let age = Age::of(loaded, policy);
    match presented.cmp(&record.generation) {
        Ordering::Equal => current(record, age, policy),
        Ordering::Less => used_before(record, presented, age, policy),
        Ordering::Greater => ahead(record, presented, age, policy),
    }
}

fn ended(loaded: &LoadedSession, presented: Generation) -> Option<RefreshRefusal> {
    let record = &loaded.record;
    if let Some(revocation) = record.revoked {
        return Some(RefreshRefusal::Revoked {
            reason: revocation.reason,
            ago: Some(loaded.now.saturating_since(revocation.at)),
        });
    }
    if record.subject_version != loaded.current_subject_version {
        return Some(RefreshRefusal::Revoked {
            reason: RevokeReason::All,
            ago: None,
        });
    }
    if loaded.now >= record.ends_at()
        || record.generation == Generation::LAST
        || presented == Generation::LAST
    {
        return Some(RefreshRefusal::Expired);
    }
    None
}

/// The case n = g.
fn current(record: &SessionRecord, age: Age, policy: &SessionPolicy) -> Decision {
    let first_use = record.predecessor.is_none();
    if !policy.is_strict() && !first_use && age.within(policy.min_rotation_interval()) {
        return Decision::granted(GrantKind::Fresh);
    }
    Decision::written(
        GrantKind::Rotated,
        RotationStep {
            generation: record.generation.next(),
            predecessor: Some(record.generation),
            recovered: 0,
        },
    )
}

/// The case n < g.
fn used_before(
    record: &SessionRecord,
    presented: Generation,
    age: Age,
    policy: &SessionPolicy,
) -> Decision {
    match record.predecessor.map(|p| presented.cmp(&p)) {
        Some(Ordering::Equal) => predecessor(record, age, policy),
        Some(Ordering::Greater) => Decision::Refuse(RefreshRefusal::Reuse(ReuseCause::Orphan)),
        Some(Ordering::Less) | None => Decision::Refuse(RefreshRefusal::Reuse(ReuseCause::Stale)),
    }
}

/// The case n = p.
fn predecessor(record: &SessionRecord, age: Age, policy: &SessionPolicy) -> Decision {
    if policy.is_strict() {
        return Decision::Refuse(RefreshRefusal::Reuse(ReuseCause::RecentPredecessor));
    }
    if age.within(policy.reuse_interval()) {
        return Decision::granted(GrantKind::Replayed);
    }
    if age.within(policy.min_rotation_interval()) {
        return Decision::granted(GrantKind::Held);
    }
    if record.recovered < MAX_RECOVERED && policy.recovers_late() {
        return Decision::written(
            GrantKind::Recovered,
            RotationStep {
                generation: record.generation.next(),
                predecessor: record.predecessor,
                recovered: record.recovered + 1,
            },
        );
    }
    Decision::Refuse(RefreshRefusal::Reuse(ReuseCause::RecentPredecessor))
}

/// The case n > g.
fn ahead(
    record: &SessionRecord,
    presented: Generation,
    age: Age,
    policy: &SessionPolicy,
) -> Decision {
    let steps = u64::from(presented.get()) - u64::from(record.generation.get());
    let possible = age
        .in_units_of(policy.min_rotation_interval())
        .map_or(1, |settles| settles.saturating_add(1));
    if policy.resumes() && steps <= possible {
        return Decision::written(
            GrantKind::Resumed,
            RotationStep {
                generation: presented,
                predecessor: Some(presented.previous()),
                recovered: 0,
            },
        );
    }
    Decision::Refuse(RefreshRefusal::Ahead)
}

/// Milliseconds since the last rotation by the store's clock, never negative.
#[derive(Clone, Copy)]
struct Age(u64);

impl Age {
    fn of(loaded: &LoadedSession, policy: &SessionPolicy) -> Self {
        let min_rotation_interval = millis(policy.min_rotation_interval());
        let age = loaded.now.millis_since(loaded.record.rotated_at);
        if age.unsigned_abs() > min_rotation_interval && age < 0 {
            return Self(min_rotation_interval.saturating_add(1));
        }
        Self(u64::try_from(age).unwrap_or(0))
    }

    fn within(self, duration: Duration) -> bool {
        self.0 <= millis(duration)
    }

    /// The number of whole `unit`s in this age. `None` if the unit is zero.
    fn in_units_of(self, unit: Duration) -> Option<u64> {
        self.0.checked_div(millis(unit))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
