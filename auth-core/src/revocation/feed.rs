//! [`RevocationFeed`]: how nodes hear of each other's revocations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::revocation::Revocation;

/// A log of revocations that every node follows.
///
/// A store that keeps sessions appends to its feed in the same transaction as the revocation; this
/// trait is the readers' side, and the way in for revocations that no store writes.
///
/// # Completeness
/// Whatever was acknowledged before [`follow`](Self::follow) was called is in its batch or in an
/// earlier one of the same cursor, although numbers may be given out in another order than
/// transactions commit. Repeating entries is allowed, leaving one out is not.
///
/// # Cancel safety
/// Any future may be dropped at any await; a cursor that was not returned was not used up.
#[async_trait]
pub trait RevocationFeed: Send + Sync + fmt::Debug {
    /// Everything that is in force, and the cursor to go on from.
    ///
    /// # Errors
    /// [`FeedError`] if the feed cannot be read within its time bound.
    async fn snapshot(&self) -> Result<Snapshot, FeedError>;

    /// What came after `cursor`. With nothing to tell it may wait for up to `wait` before it
    /// answers with an empty batch; an empty batch says "you know everything".
    ///
    /// # Errors
    /// [`FeedError`]; [`FeedError::CursorLost`] if entries after the cursor may be gone, whereupon
    /// the follower takes a new snapshot.
    async fn follow(&self, cursor: &Cursor, wait: Duration) -> Result<Batch, FeedError>;

    /// Appends an entry. Acknowledged means that a node starting now would load it.
    ///
    /// # Errors
    /// [`FeedError`] if it is not known to be kept.
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

/// A place in a feed. Its text means something to that feed alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Box<str>);

impl Cursor {
    /// A place by its feed's own name for it.
    #[must_use]
    pub fn new(place: impl Into<String>) -> Self {
        Self(place.into().into_boxed_str())
    }

    /// The feed's own name for the place.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// All revocations in force at some moment.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "feeds build it")]
pub struct Snapshot {
    /// What is in force.
    pub revocations: Vec<Revocation>,
    /// Where to go on.
    pub cursor: Cursor,
}

/// What came after a cursor.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "feeds build it")]
pub struct Batch {
    /// The new entries, perhaps with old ones among them.
    pub revocations: Vec<Revocation>,
    /// Where to go on.
    pub cursor: Cursor,
}

/// Why a feed could not be read or written.
///
/// `Display` and `Debug` are fixed texts; the feed's own error is the source.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// Entries after the cursor may be gone.
    #[error("the revocation feed no longer reaches back to the cursor")]
    CursorLost,
    /// The feed cannot be reached, or did not answer in time.
    #[error("the revocation feed is not available")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl FeedError {
    /// The feed cannot be reached; `source` is for operators.
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
