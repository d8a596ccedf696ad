//! [`RevocationFeed`]: the log by which nodes learn of each other's revocations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::revocation::Revocation;

/// A log of revocations that every node follows.
///
/// A session store appends to its feed in the same transaction as the revocation. This trait is for
/// readers, and for revocations that no store writes.
///
/// # Completeness
/// Every revocation acknowledged before the call of [`follow`](Self::follow) is in its batch or in
/// an earlier one of the same cursor. This holds even if transactions commit in another order than
/// their numbers. A feed may repeat entries, and must not skip any.
///
/// # Cancel safety
/// Any future may be dropped at any await. A cursor that was not returned is not consumed.
#[async_trait]
pub trait RevocationFeed: Send + Sync + fmt::Debug {
    /// Reads all revocations in force, and the cursor to continue from.
    ///
    /// # Errors
    /// [`FeedError`] if the feed cannot be read within its timeout.
    async fn snapshot(&self) -> Result<Snapshot, FeedError>;

    /// Reads the entries after `cursor`. Without news it may wait for up to `wait` before it
    /// returns an empty batch, which means that the reader is up to date.
    ///
    /// # Errors
    /// [`FeedError`]; [`FeedError::CursorLost`] if entries after the cursor may be gone. The
    /// follower then takes a new snapshot.
    async fn follow(&self, cursor: &Cursor, wait: Duration) -> Result<Batch, FeedError>;

    /// Appends an entry. After the acknowledgement, a node that starts loads it.
    ///
    /// # Errors
    /// [`FeedError`] if the entry may not be stored.
    async fn append(&self, revocation: &Revocation) -> Result<(), FeedError>;
}

#[async_trait]
impl<F: RevocationFeed + ?Sized> RevocationFeed for Arc<F> {
    async fn snapshot(&self) -> Result<Snapshot, FeedError> {
        (**self).snapshot().await
    }

    async fn follow(&self, cursor: &Cursor, wait: Duration) -> Result<Batch, FeedError> {
        (**self).follow(cursor, wait).await
    }

    async fn append(&self, revocation: &Revocation) -> Result<(), FeedError> {
        (**self).append(revocation).await
    }
}

/// A position in a feed. Its text has a meaning for that feed only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Box<str>);

impl Cursor {
    /// Creates a cursor from the feed's text.
    #[must_use]
    pub fn new(place: impl Into<String>) -> Self {
        Self(place.into().into_boxed_str())
    }

    /// The feed's text for the position.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// All revocations in force at one time.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "feeds build it")]
pub struct Snapshot {
    /// Revocations in force.
    pub revocations: Vec<Revocation>,
    /// Cursor to continue from.
    pub cursor: Cursor,
}

/// The entries after a cursor.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "feeds build it")]
pub struct Batch {
    /// New entries, possibly mixed with old ones.
    pub revocations: Vec<Revocation>,
    /// Cursor to continue from.
    pub cursor: Cursor,
}

/// The error of a feed that could not be read or written.
///
/// `Display` and `Debug` are fixed texts; the feed's own error is the source.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// Entries after the cursor may be gone.
    #[error("the revocation feed no longer reaches back to the cursor")]
    CursorLost,
    /// The feed cannot be reached, or did not respond in time.
    #[error("the revocation feed is not available")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl FeedError {
    /// Creates the error for an unreachable feed. `source` is for operators.
    #[must_use]
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(Arc::from(source.into()))
    }
}

impl fmt::Debug for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CursorLost => f.write_str("CursorLost"),
            Self::Unavailable(_) => f.write_str("Unavailable(..)"),
        }
    }
}
