//! [`StoreError`]: the error of a store.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::keys::rotation::persistence::{PersistenceError, PersistenceErrorKind};
use crate::observe::words::{RevokeReason, StoreErrorKind};

/// The error of a store: a call failed, or its effect is unknown.
///
/// `Display` and `Debug` are fixed texts; the store's own error is the source, for operators.
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// Creates an error of a kind.
    #[must_use]
    pub fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Adds the database's own error as the source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

impl From<StoreError> for PersistenceError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::Corrupt => PersistenceErrorKind::Corrupt,
            _ => PersistenceErrorKind::Unavailable,
        };
        Self::new(kind).with_source(error)
    }
}

impl RevokeReason {
    /// Parses the text of [`RevokeReason::as_str`].
    ///
    /// # Errors
    /// [`StoreErrorKind::Corrupt`] for any other text.
    pub fn parse(word: &str) -> Result<Self, StoreError> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == word)
            .ok_or_else(|| StoreError::new(StoreErrorKind::Corrupt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stores_own_error_is_a_source_and_never_a_text() {
        let error = StoreError::new(StoreErrorKind::Unavailable).with_source("marked");
        assert!(!format!("{error} {error:?}").contains("marked"));
        let source = Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "marked");
    }
}
