//! The arguments and results of a store's revoking calls.
//!
//! 1. A revoking call carries a random mark, and the row keeps the mark of the call that ended it.
//!    The result contains the mark in the row. So a caller recognizes its own revocation even if
//!    the response to its first try was lost, and two callers never both count it as theirs.
//! 2. A revocation is listed until no access token that it concerns can be valid: the store's now,
//!    plus the longest access token lifetime in the store, plus a margin. Rows have no `exp`,
//!    because most access tokens are issued without a write.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::observe::words::{RevokeReason, StoreErrorKind};
use crate::session::store::error::StoreError;

/// A random number that identifies one revoking call.
///
/// ```
/// use auth_core::store::RevocationMark;
///
/// # fn main() -> Result<(), auth_core::store::StoreError> {
/// let mark = RevocationMark::random()?;
/// assert_eq!(RevocationMark::from_bytes(*mark.as_bytes()), mark);
/// assert_ne!(RevocationMark::random()?, mark);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RevocationMark([u8; 16]);

impl RevocationMark {
    /// Creates a random mark.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`] if the operating system returns no random bytes.
    pub fn random() -> Result<Self, StoreError> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes)
            .map_err(|error| StoreError::new(StoreErrorKind::Unavailable).with_source(error))?;
        Ok(Self(bytes))
    }

    /// Creates a mark from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the mark.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The time for which a revocation is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Lifetime of the caller's own access tokens. It counts if the store has no longer one.
    pub lifetime: Duration,
    /// Margin beyond the lifetime: the maximum leeway of a verifier, and the maximum duration of a
    /// request that may issue a token meanwhile.
    pub margin: Duration,
}

impl Listing {
    /// The time for which the revocation is listed, if `longest` is the longest access token
    /// lifetime in the store.
    ///
    /// ```
    /// use auth_core::store::Listing;
    /// use std::time::Duration;
    ///
    /// let minutes = |n: u64| Duration::from_secs(60 * n);
    /// let listing = Listing { lifetime: minutes(10), margin: minutes(5) };
    /// assert_eq!(listing.beside(minutes(60)), minutes(65));
    /// assert_eq!(listing.beside(Duration::ZERO), minutes(15));
    /// ```
    #[must_use]
    pub fn beside(&self, longest: Duration) -> Duration {
        self.lifetime.max(longest).saturating_add(self.margin)
    }
}

/// The revocation of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokeSession {
    /// The session.
    pub id: SessionId,
    /// The reason.
    pub reason: RevokeReason,
    /// The mark of this call. A retry of the call has the same one.
    pub mark: RevocationMark,
    /// The time for which the session is listed as revoked.
    pub listing: Listing,
}

/// The state of a revoked row after a revoking call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The mark of the call that ended the session. `None` if the call had none: the end of all
    /// sessions, or an earlier version of this crate.
    pub mark: Option<RevocationMark>,
    /// The reason for the end.
    pub reason: RevokeReason,
    /// The time until which the session is listed, computed at this call.
    pub listed_until: Timestamp,
}

/// The revocation of all sessions of a subject, or of all but one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RevokeSubject<'a> {
    /// The subject.
    pub subject: &'a str,
    /// The session that stays, if any.
    pub keep: Option<SessionId>,
    /// The reason.
    pub reason: RevokeReason,
    /// The time for which the lowest accepted subject version is listed.
    pub listing: Listing,
}

impl fmt::Debug for RevokeSubject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndAll")
            .field("keep", &self.keep)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// A raised subject version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaisedSubjectVersion {
    /// The new version: the lowest accepted from now on.
    pub subject_version: u64,
    /// The time until which it is listed.
    pub listed_until: Timestamp,
}
