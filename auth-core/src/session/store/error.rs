//! [`StoreError`]: the error of a store.

use crate::base::kind_error::{BoxError, KindError};
use crate::keys::rotation::persistence::{PersistenceError, PersistenceErrorKind};
use crate::observe::words::{RevokeReason, StoreErrorKind};

/// The error of a store: a call failed, or its effect is unknown.
///
/// `Display` and `Debug` are fixed texts; the store's own error is the source, for operators.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(KindError<StoreErrorKind>);

impl StoreError {
    /// Creates an error of a kind.
    #[must_use]
    pub fn new(kind: StoreErrorKind) -> Self {
        Self(KindError::new(kind))
    }

    /// Adds the database's own error as the source.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        Self(self.0.with_source(source))
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind()
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
        let mut all = Self::ALL.into_iter();
        all.find(|reason| reason.as_str() == word)
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
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "marked");
    }
}
