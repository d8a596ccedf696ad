//! Logout that takes effect on every node at once.
//!
//! 1. A revoked session is listed, in the memory of every node, until its last access token has
//!    expired. The end of all sessions of a subject is one entry, however many they are: access
//!    tokens carry the subject's epoch, the list its lowest accepted one. No times are compared.
//! 2. A request's check reads memory: no lock, no network; one atomic load when nothing is listed.
//! 3. Nodes learn of each other's revocations from a [`RevocationFeed`], by a cursor: after a lost
//!    connection a node goes on where it was, so it misses nothing. A starting node loads what is
//!    in force before it serves.
//! 4. A node knows how stale it is: the time since it last knew that it had seen everything,
//!    measured with the monotonic clock. Staler than its bound, it does what [`StalePolicy`] says,
//!    which has no default.
//! 5. Entries are idempotent. Seeing one twice changes nothing, so a feed may repeat itself, and
//!    must rather than skip.
//! 6. A wall clock that is set forward by mistake drops nothing from the list: entries are dropped
//!    when both clocks say that their time is over.

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

pub use self::feed::{Batch, Cursor, FeedError, RevocationFeed, Snapshot};
pub use self::follower::{Follower, FollowerState};
pub use self::list::RevocationList;
use crate::base::clock::{Clock, Timestamp};
use crate::base::error::{AuthError, Cause};
use crate::base::id::SessionId;
use crate::observe::metrics;
use crate::token::claims::RegisteredClaims;

/// Something that was revoked, until when it is listed.
#[derive(Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "feeds must carry every kind")]
pub enum Revocation {
    /// One session.
    Session {
        /// Which.
        id: SessionId,
        /// When the last access token of the session has expired.
        until: Timestamp,
    },
    /// All sessions of a subject that began before its epoch was raised.
    Subject {
        /// Whose.
        subject: Box<str>,
        /// Tokens with a lower epoch are refused.
        lowest_subject_version: u64,
        /// When the last access token with a lower epoch has expired.
        until: Timestamp,
    },
}

impl Revocation {
    /// Until when it is listed.
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

/// What a node does while it cannot know of the latest revocations.
///
/// There is no default: it is a choice between serving a revoked token and serving nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StalePolicy {
    /// Refuse with 503 once the node is staler than `after`, and until the first snapshot.
    FailClosed {
        /// The bound. Feeds are polled about once a second, so not less than a few seconds.
        after: Duration,
    },
    /// Go on with what is known.
    FailOpen,
}

/// The revocations that a node knows of, and whether it knows enough.
///
/// One per process, shared by the authenticator, the sessions and the follower.
#[derive(Clone)]
pub struct Revocations(Arc<RevocationState>);

struct RevocationState {
    list: RevocationList,
    policy: StalePolicy,
    pub(crate) clock: Arc<dyn Clock>,
    /// When this list was made, by both clocks.
    began: (Timestamp, Instant),
    /// As of when everything is known: milliseconds since `began`, and one. 0: no snapshot yet.
    complete_at: AtomicU64,
    /// The last millisecond of the wall clock in which this node was found to know enough.
    fresh_in: AtomicI64,
    /// Woken when something was added, for connections that live on.
    added: Notify,
}

impl Revocations {
    /// An empty list that knows nothing yet: under [`StalePolicy::FailClosed`] it refuses until a
    /// [`Follower`] has loaded the feed's snapshot.
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

    /// The list.
    #[must_use]
    pub fn list(&self) -> &RevocationList {
        &self.0.list
    }

    /// Adds what this node itself revoked, once the store has acknowledged it, without waiting for
    /// the feed.
    pub fn add(&self, revocation: &Revocation) {
        self.0.list.add(revocation, self.0.earliest_now());
        self.0.added.notify_waiters();
    }

    /// How long ago this node last knew of everything; `None` before the first snapshot.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        self.0.staleness()
    }

    /// Whether every token is refused for now, because of what this node may not know.
    pub(crate) fn is_too_stale(&self) -> bool {
        match self.0.policy {
            StalePolicy::FailClosed { after } => self.0.is_staler_than(after),
            StalePolicy::FailOpen => false,
        }
    }

    /// Notes that everything is in the list that was acknowledged before `asked`.
    pub(crate) fn complete(&self, asked: Instant) {
        let known = self.0.since_began(asked).saturating_add(1);
        self.0.complete_at.fetch_max(known, Ordering::AcqRel);
        let ago = self.0.clock.monotonic().saturating_duration_since(asked);
        let at = self.0.clock.now().saturating_sub(ago);
        metrics::followed(at, self.0.list.len());
    }

    /// Drops what has ended from the list.
    pub(crate) fn sweep(&self) {
        self.0.list.sweep(self.0.earliest_now());
    }

    /// Ends when something is added after it was enabled.
    pub(crate) fn news(&self) -> Notified<'_> {
        self.0.added.notified()
    }

    /// Whether this is the other one, shared.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Whether a token of ours is still good, at `now`.
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
        let session = claims.session_id().and_then(SessionId::parse);
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
    /// requests of a millisecond, so that a token that is known costs what it would without.
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

    /// In milliseconds.
    fn since_began(&self, at: Instant) -> u64 {
        let passed = at.saturating_duration_since(self.began.1).as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }

    /// The present, by whichever clock says that it is earlier: the wall clock, or its reading at
    /// the beginning and the time that has passed.
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
