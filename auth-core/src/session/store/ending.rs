//! What stores are told and answer when sessions end.
//!
//! 1. A revoking call carries a random mark, and the row keeps the mark of the call that ended it.
//!    The answer says which one that is, so a caller knows its own revocation again although the
//!    answer to its first try was lost, and two callers never both take it for theirs.
//! 2. A revocation is listed until no access token that it concerns can be alive: the store's now,
//!    the longest access lifetime that the store knows of, and a margin. Rows know no `exp`, for
//!    most access tokens are made without a write.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::observe::words::{RevokeReason, StoreErrorKind};
use crate::session::store::error::StoreError;

/// A random number that tells one revoking call from every other.
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
    /// A new mark.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`] if the machine has no randomness.
    pub fn random() -> Result<Self, StoreError> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes)
            .map_err(|error| StoreError::new(StoreErrorKind::Unavailable).with_source(error))?;
        Ok(Self(bytes))
    }

    /// A mark by its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// How long a revocation is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The lifetime of the caller's own access tokens: counts where the store knows of no longer
    /// one.
    pub lifetime: Duration,
    /// Added to the lifetime: the most leeway that a verifier can have, and the longest life of a
    /// request that was making a token meanwhile.
    pub margin: Duration,
}

impl Listing {
    /// How long that is, if `longest` is the longest access lifetime that the store knows of.
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

/// The end of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokeSession {
    /// Which session.
    pub id: SessionId,
    /// Why.
    pub reason: RevokeReason,
    /// This call's own mark; a retry of the same call has the same.
    pub mark: RevocationMark,
    /// How long it is listed as revoked.
    pub listing: Listing,
}

/// A revoked row, as a revoking call leaves or finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The mark of the call that ended it; `None` where that had none: the end of all sessions, or
    /// an earlier version.
    pub mark: Option<RevocationMark>,
    /// Why it was ended.
    pub reason: RevokeReason,
    /// Until when the session is to be listed, counted from now.
    pub listed_until: Timestamp,
}

/// The end of all sessions of a subject, or of all but one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RevokeSubject<'a> {
    /// Whose.
    pub subject: &'a str,
    /// The session that goes on.
    pub keep: Option<SessionId>,
    /// Why.
    pub reason: RevokeReason,
    /// How long the subject's lowest accepted epoch is listed.
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

/// An epoch that was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaisedSubjectVersion {
    /// The new epoch: the lowest that is accepted from now on.
    pub subject_version: u64,
    /// Until when that is listed.
    pub listed_until: Timestamp,
}
