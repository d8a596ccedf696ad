//! [`RefreshStore`]: the trait of session stores, and its contract.
//!
//! 1. A store contains no protocol. It loads rows, and writes a row only if it is unchanged since
//!    it was loaded. Each operation is one statement, one transaction or one script.
//! 2. All times are the store's own, stamped inside the write: Postgres `clock_timestamp()`, Redis
//!    `TIME`. A [`StoreClock`] replaces that clock in tests.
//! 3. Beside the sessions, a store keeps one integer per subject, the **subject version**, 0 until
//!    it is raised. A session with another version than its subject is dead at once, without a
//!    write to its row.
//! 4. Only [`RefreshStore::insert`] creates rows. `revoked` is never unset.
//! 5. A store that publishes revocations to other nodes appends the feed entry in the same
//!    transaction as the revocation, and only if the revocation took effect. The entry is the id of
//!    the session, or the subject with its new lowest accepted version, and the time until which it
//!    is listed. If one transaction cannot reach both, a session's entry is written first: a
//!    superfluous entry is harmless. A subject's entry is written after its version: a superfluous
//!    entry would lock the user out.
//! 6. A store keeps the longest access token lifetime of each issuer, and adds the longest of all
//!    inside the write that revokes: see [`Listing`].
//! 7. Every call ends within a time limit. Every failure is a [`StoreError`]: an unknown result is
//!    never returned as "no".

pub(crate) mod ending;
pub(crate) mod error;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory;
#[cfg(feature = "testing")]
pub(crate) mod memory_keys;
#[cfg(feature = "metrics")]
pub(crate) mod metered;
pub(crate) mod record;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::ending::{
    Listing, RaisedSubjectVersion, RevocationMark, RevokeSession, RevokeSubject, Revoked,
};
use self::error::StoreError;
use self::record::{SessionDetails, SessionRecord};
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::{Generation, SessionId};

/// A store of sessions.
///
/// The crate `auth-store` has SQLite, Postgres and Redis; [`MemoryStore`](crate::testing::MemoryStore) is
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
    /// The current version of a subject, 0 if it was never raised. Read from the primary.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError>;

    /// Inserts the row of a new session, and ends the sessions that it replaces.
    ///
    /// One transaction, which serializes concurrent inserts for one subject:
    /// 1. If the subject's version is not `session.subject_version`: write nothing, and return
    ///    [`InsertOutcome::SubjectVersionChanged`]. (A store that cannot reach both at once may
    ///    insert the row: it is dead.)
    /// 2. Insert the row: generation 0, no predecessor, recovered 0, `created_at`, `rotated_at` and
    ///    `last_used_at` now, `idle_expires_at` = min(now + idle, now + absolute),
    ///    `absolute_expires_at` = now + absolute. If a row with this id exists, return an error and
    ///    leave the row unchanged.
    /// 3. Revoke `session.replaces`, of any subject, as [`RefreshStore::revoke`] does, with
    ///    [`RevokeReason::Replaced`](crate::session::RevokeReason::Replaced).
    /// 4. With a limit: while the subject has more than `limit` live sessions, revoke the one with
    ///    the smallest (`last_used_at`, `created_at`, id), never the new one, with
    ///    [`RevokeReason::Limit`](crate::session::RevokeReason::Limit).
    ///
    /// The ended rows get the mark `session.mark`.
    ///
    /// # Errors
    /// [`StoreError`]. Nothing was written, or, if the response was lost, everything.
    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError>;

    /// Loads a row, its subject's version and the store's time, all as of one moment, from the
    /// primary. Returns `None` if there is no such row. Revoked and expired rows are loaded like
    /// others.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError>;

    /// Rotates a session: the one conditional write of the protocol.
    ///
    /// The condition: the row exists, has generation `from_generation` and predecessor
    /// `from_predecessor`, is not revoked, and has version `subject_version`, which is also the
    /// subject's. If it holds, the store sets generation, predecessor, recovered and details as
    /// given, `rotated_at` and `last_used_at` to now, and `idle_expires_at` to min(now + `idle`,
    /// the row's `absolute_expires_at`). It returns the stamped times. Otherwise it changes nothing
    /// and returns `None`. It never inserts.
    ///
    /// If one statement cannot reach both row and subject version, the version is read again after
    /// the write. If it has changed, the result is `None`.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError>;

    /// Revokes one session, unless it is revoked: sets only `revoked` to now, with the reason and
    /// the mark. The condition is (id, not revoked) only, so that no race can prevent it. Returns
    /// the state of the row after the call, revoked by this call or an earlier one. Returns `None`
    /// if there is no such row.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError>;

    /// Ends all sessions of a subject, or all but one, by raising the subject's version by one.
    ///
    /// Without `keep`: raises the version and returns the new one. No session needs to exist.
    ///
    /// With `keep`: if that row exists, belongs to the subject and is live, raises the version and
    /// moves this row to it, and returns the new version. Both happen in one statement, transaction
    /// or script. Otherwise changes nothing and returns `None`.
    ///
    /// All other rows are dead by their version. They may be marked as revoked with `reason`
    /// afterwards, in small batches; nothing depends on it.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError>;

    /// Raises the subject's version to `at_least` if it is lower, and returns the result. The feed
    /// has proved a raise that this row does not have. Publishes nothing.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError>;

    /// Records that `issuer` issues access tokens with this lifetime, unless it has a longer one,
    /// and returns the longest of all issuers. The value never decreases: tokens from before may be
    /// valid for as long.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError>;

    /// The live sessions of a subject, the most recently used first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError>;

    /// Removes at most `batch` rows that ended at least `kept` ago: by revocation, by expiry, or by
    /// their version (those may be removed at any time). Returns the number of removed rows;
    /// callers repeat until it is less than `batch`. Subject versions stay, at least as long as a
    /// session of the subject could live.
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

/// A session to insert.
#[derive(Clone, Copy)]
pub struct NewSession<'a> {
    /// The id, new by construction.
    pub id: SessionId,
    /// The subject: 1 to 255 bytes, no NUL.
    pub subject: &'a str,
    /// The subject's version at the beginning of the login.
    pub subject_version: u64,
    /// Idle time: the session ends after it without a refresh.
    pub idle: Duration,
    /// Absolute time: the session ends after it in any case. At most 1000 years.
    pub absolute: Duration,
    /// Details, opaque to stores.
    pub details: &'a SessionDetails,
    /// Maximum number of live sessions of the subject, this one included.
    pub limit: Option<NonZeroU32>,
    /// The session that this one replaces in its client.
    pub replaces: Option<SessionId>,
    /// The mark of the sessions that this login ends.
    pub mark: RevocationMark,
    /// The time for which they are listed as revoked.
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

/// The result of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertOutcome {
    /// The session was inserted.
    Done {
        /// The store's time of the insert: the row's `created_at`.
        now: Timestamp,
        /// The state of the row of `replaces`. `None` if there is none.
        replaced: Option<Revoked>,
        /// The sessions ended because of the limit.
        evicted: Vec<SessionId>,
        /// The time until which they are listed.
        listed_until: Timestamp,
    },
    /// All sessions of the subject were ended since the login began: the new session is not live.
    SubjectVersionChanged,
}

/// A loaded row.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSession {
    /// The row.
    pub record: SessionRecord,
    /// The current version of its subject.
    pub current_subject_version: u64,
    /// The store's time of the load.
    pub now: Timestamp,
}

impl LoadedSession {
    /// Whether the row is a live session of this subject.
    pub(crate) fn is_live_of(&self, subject: &str) -> bool {
        *self.record.subject == *subject
            && self.record.is_live(self.current_subject_version, self.now)
    }

    /// The remaining time of the session without a refresh.
    pub(crate) fn ends_in(&self) -> Duration {
        self.record.ends_at().saturating_since(self.now)
    }
}

/// A conditional rotation of a session.
#[derive(Clone, Copy)]
pub struct RotateSession<'a> {
    /// The session. Condition.
    pub id: SessionId,
    /// The subject, for stores that need it to find the subject version.
    pub subject: &'a str,
    /// The loaded generation. Condition.
    pub from_generation: Generation,
    /// The loaded predecessor. Condition.
    pub from_predecessor: Option<Generation>,
    /// The loaded subject version. Condition, on the row and on the subject.
    pub subject_version: u64,
    /// The new generation.
    pub generation: Generation,
    /// The new predecessor.
    pub predecessor: Option<Generation>,
    /// The new count of late recoveries in a row.
    pub recovered: u8,
    /// The idle time from this write on.
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

/// The times that a rotation stamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotatedAt {
    /// The store's time of the write: the row's `rotated_at` and `last_used_at`.
    pub now: Timestamp,
    /// The row's `idle_expires_at`.
    pub idle_expires_at: Timestamp,
}

/// The clock of a store.
///
/// ```
/// use auth_core::store::StoreClock;
///
/// assert_eq!(StoreClock::own().driven_now(), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct StoreClock(Option<Arc<dyn Clock>>);

impl StoreClock {
    /// The store's own clock: that of the database server, or the system clock for an embedded
    /// store.
    #[must_use]
    pub fn own() -> Self {
        Self(None)
    }

    /// A clock controlled by a test.
    #[must_use]
    pub fn driven(clock: Arc<dyn Clock>) -> Self {
        Self(Some(clock))
    }

    /// The time to use instead of the store's own. `None` for the store's own clock.
    #[must_use]
    pub fn driven_now(&self) -> Option<Timestamp> {
        self.0.as_ref().map(|clock| clock.now())
    }
}
