//! [`KeyPersistence`]: the storage of the shared key document.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::kind_error::{BoxError, ErrorKind, KindError};
use crate::keys::rotation::document::KeySet;

/// Storage for the keys of a deployment: one document, replaced as a whole.
///
/// The crate `auth-store` stores it in a file (`FileKeys`) and, sealed, in SQLite, Postgres and
/// Redis through [`EncryptedKeys`](crate::keys::rotation::EncryptedKeys).
///
/// # Cancel safety
/// The caller may drop a future at any await. A save then has completed as a whole or not at all.
///
/// # Security
/// The document holds keys that sign tokens. An implementation must store it where only this app
/// can read it, and zeroize its copies.
///
/// # Example
/// Storage in memory, which ends with the process:
///
/// ```
/// use auth_core::store::{KeyPersistence, KeySet, LoadedKeys, PersistenceError};
/// use tokio::sync::Mutex;
///
/// #[derive(Debug, Default)]
/// struct InMemory(Mutex<Option<(u64, KeySet)>>);
///
/// #[async_trait::async_trait]
/// impl KeyPersistence for InMemory {
///     async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
///         Ok(match &*self.0.lock().await {
///             Some((version, document)) => LoadedKeys::document(*version, document.clone()),
///             None => LoadedKeys::nothing(),
///         })
///     }
///
///     async fn save(
///         &self,
///         expected: Option<u64>,
///         document: &KeySet,
///     ) -> Result<bool, PersistenceError> {
///         let mut kept = self.0.lock().await;
///         if kept.as_ref().map(|(version, _)| *version) != expected {
///             return Ok(false);
///         }
///         *kept = Some((expected.map_or(1, |version| version + 1), document.clone()));
///         Ok(true)
///     }
/// }
/// ```
#[async_trait]
pub trait KeyPersistence: Send + Sync + fmt::Debug {
    /// Reads document and version atomically, from the primary.
    ///
    /// # Errors
    /// [`PersistenceError`] if the document cannot be read. A missing document is not an error.
    async fn load(&self) -> Result<LoadedKeys, PersistenceError>;

    /// Replaces the document if its version is still `expected` (`None`: if there is none), and
    /// gives it another version. Returns whether it was replaced. Of several calls that expect the
    /// same version exactly one succeeds.
    ///
    /// # Errors
    /// [`PersistenceError`]; the document may have been replaced all the same.
    async fn save(
        &self,
        expected: Option<u64>,
        document: &KeySet,
    ) -> Result<bool, PersistenceError>;
}

#[async_trait]
impl<P: KeyPersistence + ?Sized> KeyPersistence for Arc<P> {
    async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
        (**self).load().await
    }

    async fn save(
        &self,
        expected: Option<u64>,
        document: &KeySet,
    ) -> Result<bool, PersistenceError> {
        (**self).save(expected, document).await
    }
}

/// The result of [`KeyPersistence::load`].
#[derive(Clone, Debug)]
#[must_use]
pub struct LoadedKeys {
    pub(crate) document: Option<(u64, KeySet)>,
    pub(crate) now: Option<Timestamp>,
    pub(crate) outdated: bool,
}

impl LoadedKeys {
    /// Creates the result for a missing document.
    pub fn nothing() -> Self {
        Self {
            document: None,
            now: None,
            outdated: false,
        }
    }

    /// Creates the result for a document and its version.
    pub fn document(version: u64, document: KeySet) -> Self {
        Self {
            document: Some((version, document)),
            ..Self::nothing()
        }
    }

    /// The version and the document, if there is one.
    #[must_use]
    pub fn into_document(self) -> Option<(u64, KeySet)> {
        self.document
    }

    /// Sets the time of the shared store's clock. All nodes then use that time, however much their
    /// own clocks differ.
    pub fn with_now(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Requests a write of the unchanged document, because its key-encryption key is being
    /// replaced.
    pub(crate) fn outdated(mut self) -> Self {
        self.outdated = true;
        self
    }
}

/// The kind of a persistence error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PersistenceErrorKind {
    /// The stored bytes are not a valid document, or were altered.
    Corrupt,
    /// The keys are readable for other users of the machine.
    Exposed,
    /// The document was sealed with a key-encryption key that this node does not have.
    Sealed,
    /// The storage cannot be reached, or did not respond in time.
    Unavailable,
}

impl ErrorKind for PersistenceErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::Corrupt => "the stored keys are unreadable or were altered",
            Self::Exposed => "other users can read the stored keys",
            Self::Sealed => "the stored keys were sealed with a key that is not configured",
            Self::Unavailable => "the stored keys are not available",
        }
    }
}

/// The error for a key document that could not be read or written.
///
/// `Display` and `Debug` are fixed texts; the error of the file system or store is the source.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct PersistenceError(KindError<PersistenceErrorKind>);

impl PersistenceError {
    /// Creates an error of this kind.
    #[must_use]
    pub fn new(kind: PersistenceErrorKind) -> Self {
        Self(KindError::new(kind))
    }

    /// Attaches the underlying error.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        Self(self.0.with_source(source))
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> PersistenceErrorKind {
        self.0.kind()
    }
}
