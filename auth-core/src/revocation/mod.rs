//! Revocation of access tokens, effective on every node at once.
//!
//! 1. A revoked session is in the memory of every node until its last access token has expired. The
//!    end of all sessions of a subject is a single entry: access tokens carry the version of the
//!    subject, the list holds the lowest accepted one. No times are compared.
//! 2. The check of a request reads memory: no lock, no network; one atomic load if the list is empty.
//! 3. Nodes learn of each other's revocations from a [`RevocationFeed`](crate::store::RevocationFeed), by a cursor: after a lost
//!    connection a node continues at its last position, so it misses nothing. A starting node loads
//!    the revocations in force before it serves.
//! 4. A node knows its staleness: the time since it last knew every revocation, measured with the
//!    monotonic clock. Above its limit it applies [`StalePolicy`], which has no default.
//! 5. Entries are idempotent. A feed may repeat an entry, and must rather repeat one than skip one.
//! 6. A wall clock that is set forward by mistake removes nothing from the list: an entry is removed
//!    when both clocks have passed its end.

pub(crate) mod feed;
pub(crate) mod follower;
pub(crate) mod list;
pub(crate) mod table;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

pub use self::follower::{Follower, FollowerState};
pub use self::list::RevocationList;
use crate::base::clock::{Clock, Timestamp};
use crate::base::error::{AuthError, Cause};
use crate::base::id::SessionId;
use crate::observe::metrics;
use crate::token::claims::RegisteredClaims;

/// A revocation, with the time until which it is listed.
#[derive(Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "feeds must carry every kind")]
pub enum Revocation {
    /// The end of one session.
    Session {
        /// Ended session.
        id: SessionId,
        /// Time at which the last access token of the session has expired.
        until: Timestamp,
    },
    /// The end of all sessions of a subject that began before its version was raised.
    Subject {
        /// Subject of the sessions.
        subject: Box<str>,
        /// Lowest accepted version: tokens with a lower one are refused.
        lowest_subject_version: u64,
        /// Time at which the last access token with a lower version has expired.
        until: Timestamp,
    },
}

impl Revocation {
    /// The time until which the revocation is listed.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        match self {
            Self::Session { until, .. } | Self::Subject { until, .. } => *until,
        }
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session { id, until } => f
                .debug_struct("Session")
                .field("id", id)
                .field("until", until)
                .finish(),
            Self::Subject {
                lowest_subject_version,
                until,
                ..
            } => f
                .debug_struct("Subject")
                .field("lowest_epoch", lowest_subject_version)
                .field("until", until)
                .finish_non_exhaustive(),
        }
    }
}

/// The behavior of a node that may not know the latest revocations.
///
/// There is no default: the choice is between accepting a revoked token and refusing every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StalePolicy {
    /// Refuse with 503 if the node is staler than `after`, and before the first snapshot.
    FailClosed {
        /// Maximum staleness. Feeds are polled about once a second, so use at least a few seconds.
        after: Duration,
    },
    /// Continue with the known revocations.
    FailOpen,
}

/// The known revocations of a node, and their staleness.
///
/// Create one per process, shared by the authenticator, the sessions and the follower.
#[derive(Clone)]
pub struct Revocations(Arc<RevocationState>);

struct RevocationState {
    list: RevocationList,
    policy: StalePolicy,
    pub(crate) clock: Arc<dyn Clock>,
    /// Time of creation, by both clocks.
    began: (Timestamp, Instant),
    /// Time up to which every revocation is known: milliseconds since `began`, plus one. 0: no
    /// snapshot yet.
    complete_at: AtomicU64,
    /// Last millisecond of the wall clock in which this node was fresh enough.
    fresh_in: AtomicI64,
    /// Notified when an entry is added, for long-lived connections.
    added: Notify,
}

impl Revocations {
    /// Creates an empty list without a snapshot. Under [`StalePolicy::FailClosed`] it refuses every
    /// request until a [`Follower`] has loaded the feed's snapshot.
    #[must_use]
    pub fn new(policy: StalePolicy, clock: Arc<dyn Clock>) -> Self {
        let list = RevocationList::new();
        Self(Arc::new(RevocationState {
            list,
            policy,
            began: (clock.now(), clock.monotonic()),
            clock,
            complete_at: AtomicU64::new(0),
            fresh_in: AtomicI64::new(i64::MIN),
            added: Notify::new(),
        }))
    }

    /// The list of revocations.
    #[must_use]
    pub fn list(&self) -> &RevocationList {
        &self.0.list
    }

    /// Adds a revocation that this node made, after the store has acknowledged it, without waiting
    /// for the feed.
    pub fn add(&self, revocation: &Revocation) {
        self.0.list.add(revocation, self.0.earliest_now());
        self.0.added.notify_waiters();
    }

    /// Time since this node last knew every revocation. `None` before the first snapshot.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        self.0.staleness()
    }

    /// Whether every token is refused now because this node is too stale.
    pub(crate) fn is_too_stale(&self) -> bool {
        match self.0.policy {
            StalePolicy::FailClosed { after } => self.0.is_staler_than(after),
            StalePolicy::FailOpen => false,
        }
    }

    /// Records that the list has every revocation acknowledged before `asked`.
    pub(crate) fn complete(&self, asked: Instant) {
        let known = self.0.since_began(asked).saturating_add(1);
        self.0.complete_at.fetch_max(known, Ordering::AcqRel);
        let ago = self.0.clock.monotonic().saturating_duration_since(asked);
        let at = self.0.clock.now().saturating_sub(ago);
        metrics::followed(at, self.0.list.len());
    }

    /// Removes ended entries from the list.
    pub(crate) fn sweep(&self) {
        self.0.list.sweep(self.0.earliest_now());
    }

    /// Completes when an entry is added. Enable the future first: earlier entries do not complete
    /// it.
    pub(crate) fn news(&self) -> Notified<'_> {
        self.0.added.notified()
    }

    /// Whether both share one list.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Checks whether a verified token is revoked at `now`.
    pub(crate) fn check(&self, claims: &RegisteredClaims, now: Timestamp) -> Result<(), AuthError> {
        if let StalePolicy::FailClosed { after } = self.0.policy
            && !self.0.is_fresh(after, now)
        {
            return Err(AuthError::unavailable(Cause::FeedStale));
        }
        let list = &self.0.list;
        if list.is_empty() {
            return Ok(());
        }
        let session = claims.session();
        let revoked = session.is_some_and(|id| list.lists_session(&id, now))
            || claims
                .subject()
                .is_some_and(|subject| list.lists_subject(subject, claims.subject_version, now));
        if revoked {
            Err(AuthError::invalid_token(Cause::Revoked))
        } else {
            Ok(())
        }
    }
}

impl RevocationState {
    fn staleness(&self) -> Option<Duration> {
        let at = self.complete_at.load(Ordering::Acquire).checked_sub(1)?;
        let now = self.since_began(self.clock.monotonic());
        Some(Duration::from_millis(now.saturating_sub(at)))
    }

    /// Whether this node is no staler than `bound`. One reading of the monotonic clock serves all
    /// requests of a millisecond, so that the check adds nothing to the cost of a cached token.
    fn is_fresh(&self, bound: Duration, now: Timestamp) -> bool {
        const IN_NONE: i64 = i64::MIN;
        if self.fresh_in.load(Ordering::Relaxed) == now.as_millis() {
            return true;
        }
        let fresh = !self.is_staler_than(bound);
        let fresh_in = if fresh { now.as_millis() } else { IN_NONE };
        self.fresh_in.store(fresh_in, Ordering::Relaxed);
        fresh
    }

    fn is_staler_than(&self, bound: Duration) -> bool {
        self.staleness().is_none_or(|staleness| staleness > bound)
    }

    /// Time from `began` to `at`, in milliseconds.
    fn since_began(&self, at: Instant) -> u64 {
        let passed = at.saturating_duration_since(self.began.1).as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }

    /// The earlier of two current times: the wall clock, and its reading at the start plus the
    /// elapsed monotonic time.
    fn earliest_now(&self) -> Timestamp {
        let passed = Duration::from_millis(self.since_began(self.clock.monotonic()));
        let steady = self.began.0.saturating_add(passed);
        self.clock.now().min(steady)
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("list", &self.0.list)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}
