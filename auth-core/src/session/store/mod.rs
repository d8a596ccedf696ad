//! [`RefreshStore`]: where sessions are kept, and what a store must promise.
//!
//! 1. A store knows no protocol. It loads rows and writes them if they are still what the caller
//!    saw; each operation is one statement, one transaction or one script.
//! 2. It stamps every moment itself, inside the write, from its own clock: Postgres
//!    `clock_timestamp()`, Redis `TIME`. A [`StoreClock`] lets tests drive that clock.
//! 3. Beside the sessions it keeps one integer per subject, the **epoch**, 0 if never raised. A
//!    session whose epoch is not its subject's is dead at once, without a write of its own.
//! 4. Only [`RefreshStore::insert`] makes rows. `revoked` is never unset.
//! 5. A store that publishes revocations to other nodes appends the feed entry in the same
//!    transaction as the revocation, and only if it took effect: the session's id, or the subject
//!    and its new epoch as the lowest one accepted, with the time until which it is listed. Where
//!    one transaction cannot reach both, a session's entry comes first, for an entry too many is
//!    harmless, and a subject's entry after its epoch was raised, for an entry too many would lock
//!    the user out.
//! 6. It keeps the longest access lifetime of each issuer, and adds the longest of all inside the
//!    write that revokes: see [`Listing`].
//! 7. Every call ends within a bound. Whatever goes wrong is a [`StoreError`], never an answer:
//!    not knowing is not "no".

pub(crate) mod ending;
pub(crate) mod error;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory;
#[cfg(any(test, feature = "testing"))]
mod memory_keys;
#[cfg(feature = "metrics")]
pub(crate) mod metered;
pub(crate) mod record;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::ending::{Listing, RaisedSubjectVersion, RevocationMark, Revoked};
pub(crate) use self::ending::{RevokeSession, RevokeSubject};
use self::error::StoreError;
use self::record::{SessionDetails, SessionRecord};
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::{Generation, SessionId};

/// A store of sessions.
///
/// The crate `auth-store` has SQLite, Postgres and Redis; [`MemoryStore`](crate::session::MemoryStore) is
/// for tests and single processes. Prove one of your own with the conformance kit in
/// `auth_core::testing` (feature `testing`).
///
/// # Cancel safety
/// The caller may drop a future at any await. A write has then happened whole or not at all.
///
/// # Example
/// The shape of a store in SQL; every method of the trait is marked `async`:
///
/// ```text
/// #[async_trait]
/// impl RefreshStore for MyStore {
///     async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
///         // UPDATE sessions SET generation = …, predecessor = …, recovered = …, details = …,
///         //        rotated_at = now, last_used_at = now,
///         //        idle_expires_at = min(now + idle, absolute_expires_at)
///         //  WHERE id = … AND generation = … AND predecessor IS NOT DISTINCT FROM …
///         //    AND revoked_at IS NULL AND subject_version = …
///         //    AND subject_version = coalesce((SELECT subject_version FROM subjects WHERE subject = …), 0)
///         // RETURNING rotated_at, idle_expires_at
///     }
/// }
/// ```
#[async_trait]
pub trait RefreshStore: Send + Sync + fmt::Debug {
    /// The subject's epoch now; 0 if it was never raised. Read from the primary.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError>;

    /// Makes the row of a new session, and ends the ones that it takes the place of.
    ///
    /// In one transaction, such that concurrent inserts for one subject follow each other:
    /// 1. If the subject's epoch is not `session.epoch`: write nothing, answer
    ///    [`InsertOutcome::SubjectVersionChanged`]. (A store that cannot reach both at once may insert the row: it
    ///    is dead.)
    /// 2. Insert the row: generation 0, no predecessor, recovered 0, `created_at`, `rotated_at`
    ///    and `last_used_at` now, `idle_expires_at` = min(now + idle, now + absolute),
    ///    `absolute_expires_at` = now + absolute. A row with this id already: an error, and the
    ///    row untouched.
    /// 3. Revoke `session.replaces`, whoever its subject is, as [`RefreshStore::revoke`] does,
    ///    with [`RevokeReason::Replaced`](crate::session::RevokeReason::Replaced).
    /// 4. With a limit: while the subject has more than `limit` live sessions, revoke the one with
    ///    the smallest (`last_used_at`, `created_at`, id), never the new one, with
    ///    [`RevokeReason::Limit`](crate::session::RevokeReason::Limit).
    ///
    /// The rows that it ends have `session.mark`.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was written, or, if the answer was lost, everything.
    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError>;

    /// The row, its subject's epoch and the store's time, all as of one moment, from the primary.
    /// `None` if there is no such row. Revoked and ended rows are loaded like others.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError>;

    /// Moves a session on: the one conditional write of the protocol.
    ///
    /// If the row is there, has generation `from_generation` and predecessor `from_predecessor`,
    /// is not revoked, has epoch `epoch`, and that is the subject's epoch: sets generation,
    /// predecessor, recovered and details as given, `rotated_at` and `last_used_at` to now and
    /// `idle_expires_at` to min(now + `idle`, the row's `absolute_expires_at`), and answers the
    /// moments it stamped. Otherwise it changes nothing and answers `None`; it never inserts.
    ///
    /// Where row and epoch cannot be reached by one statement, the epoch is read again after the
    /// write; if it has changed, the answer is `None`.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError>;

    /// Ends one session, if it is not revoked already: sets `revoked` to now, the reason and the
    /// mark, touches nothing else. The condition is (id, not revoked) only, so that no race can
    /// save a session from it. Answers what the row then has, be it by this call or by an earlier
    /// one; `None` if there is no such row.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError>;

    /// Ends all sessions of a subject, or all but one, by raising the subject's epoch by one.
    ///
    /// Without `keep`: raises the epoch and answers the new one; no session needs to exist.
    ///
    /// With `keep`: if that row is there, belongs to the subject and is live, raises the epoch and
    /// moves this one row to the new epoch, both at once (same statement, transaction or script),
    /// and answers the new epoch. Otherwise changes nothing and answers `None`.
    ///
    /// The other rows are dead by their epoch. They may be marked as revoked with `reason`
    /// afterwards, in small batches; nothing depends on it.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError>;

    /// Raises the subject's epoch to `at_least`, if it is lower, and answers what it then is: the
    /// feed has proved that it was raised as far, and this row does not know it. Publishes nothing.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError>;

    /// Notes that `issuer` makes access tokens that live for `lifetime`, unless a longer one is
    /// known of it, and answers the longest that is known of any issuer. It never falls by itself:
    /// tokens of before may be alive as long.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError>;

    /// The live sessions of a subject, the last used first, at most `limit` of them.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError>;

    /// Removes at most `batch` rows that ended at least `kept` ago: by revocation, by either end,
    /// or by their epoch (those may go at any time). Answers how many it removed; callers repeat
    /// until that is less than `batch`. Epochs stay: at least as long as any session of the
    /// subject could live.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError>;
}

#[async_trait]
impl<S: RefreshStore + ?Sized> RefreshStore for Arc<S> {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        (**self).subject_version(subject).await
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        (**self).insert(session).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        (**self).load(id).await
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        (**self).advance(step).await
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        (**self).revoke(revoke).await
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        (**self).end_all(end).await
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        (**self).raise_subject_version(subject, at_least).await
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        (**self).raise_access_lifetime(issuer, lifetime).await
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        (**self).list(subject, limit).await
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        (**self).purge(kept, batch).await
    }
}

/// A session to be inserted.
#[derive(Clone, Copy)]
pub struct NewSession<'a> {
    /// Its id, new by construction.
    pub id: SessionId,
    /// Its subject: not empty, at most 255 bytes, no NUL.
    pub subject: &'a str,
    /// The subject's epoch when the login began.
    pub subject_version: u64,
    /// Ends this long after now if not refreshed.
    pub idle: Duration,
    /// Ends this long after now in any case: at most a thousand years.
    pub absolute: Duration,
    /// What stores need not look at.
    pub details: &'a SessionDetails,
    /// How many live sessions the subject may have, this one included.
    pub limit: Option<NonZeroU32>,
    /// The session that this one takes the place of in its client.
    pub replaces: Option<SessionId>,
    /// The mark of the sessions that this login ends.
    pub mark: RevocationMark,
    /// How long they are listed as revoked.
    pub listing: Listing,
}

impl fmt::Debug for NewSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession")
            .field("id", &self.id)
            .field("epoch", &self.subject_version)
            .finish_non_exhaustive()
    }
}

/// What became of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertOutcome {
    /// The session exists.
    Done {
        /// The store's time of it, which is the row's `created_at`.
        now: Timestamp,
        /// What the row of `replaces` then has; `None` if there is none.
        replaced: Option<Revoked>,
        /// The sessions that were ended for the limit.
        evicted: Vec<SessionId>,
        /// Until when those are listed.
        listed_until: Timestamp,
    },
    /// Nothing was written: all sessions of the subject were ended since the login began.
    SubjectVersionChanged,
}

/// A row as loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSession {
    /// The row.
    pub record: SessionRecord,
    /// Its subject's epoch.
    pub current_subject_version: u64,
    /// The store's time of the load.
    pub now: Timestamp,
}

impl LoadedSession {
    /// Whether it is a live session of this subject.
    pub(crate) fn is_live_of(&self, subject: &str) -> bool {
        *self.record.subject == *subject
            && self.record.is_live(self.current_subject_version, self.now)
    }
}

/// A conditional step of a session's refresh token.
#[derive(Clone, Copy)]
pub struct RotateSession<'a> {
    /// Which session. Condition.
    pub id: SessionId,
    /// Its subject, for stores that need it to find the epoch.
    pub subject: &'a str,
    /// The generation that was loaded. Condition.
    pub from_generation: Generation,
    /// The predecessor that was loaded. Condition.
    pub from_predecessor: Option<Generation>,
    /// The epoch that was loaded. Condition, on the row and on the subject.
    pub subject_version: u64,
    /// The new generation.
    pub generation: Generation,
    /// The new predecessor.
    pub predecessor: Option<Generation>,
    /// The new count of late recoveries in a row.
    pub recovered: u8,
    /// The idle time that begins with this step.
    pub idle: Duration,
    /// The new details.
    pub details: &'a SessionDetails,
}

impl fmt::Debug for RotateSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advance")
            .field("id", &self.id)
            .field("from_generation", &self.from_generation.get())
            .field("generation", &self.generation.get())
            .finish_non_exhaustive()
    }
}

/// What a step stamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotatedAt {
    /// The store's time of the write: the row's `rotated_at` and `last_used_at`.
    pub now: Timestamp,
    /// The row's `idle_expires_at`.
    pub idle_expires_at: Timestamp,
}

/// Whose time a store goes by.
///
/// ```
/// use auth_core::session::StoreClock;
///
/// assert_eq!(StoreClock::own().driven_now(), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct StoreClock(Option<Arc<dyn Clock>>);

impl StoreClock {
    /// The store's own: the database server's, or for an embedded store the machine's.
    #[must_use]
    pub fn own() -> Self {
        Self(None)
    }

    /// A clock that a test moves.
    #[must_use]
    pub fn driven(clock: Arc<dyn Clock>) -> Self {
        Self(Some(clock))
    }

    /// The driven time, to be used instead of the store's own; `None` leaves the store its own.
    #[must_use]
    pub fn driven_now(&self) -> Option<Timestamp> {
        self.0.as_ref().map(|clock| clock.now())
    }
}
