//! [`OpenError`]: the error of a store that cannot be opened.

use std::fmt;

use auth_core::store::{StoreError, StoreErrorKind};

/// The error of opening a store, with its remedy and the database's message.
///
/// `Display` and `Debug` are for operators, and contain the database's own message. They never
/// contain the URL or a password.
#[derive(Clone)]
pub struct OpenError {
    advice: String,
    said: Option<String>,
    error: StoreError,
}

impl OpenError {
    /// The kind of the error, as for the store's calls.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.error.kind()
    }

    /// An error with `advice`, and with what the database `said` if it said something.
    pub(crate) fn new(advice: impl Into<String>, said: Option<String>, error: StoreError) -> Self {
        Self {
            advice: advice.into(),
            said,
            error,
        }
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn advice(advice: impl Into<String>) -> Self {
        Self::new(advice, None, StoreError::new(StoreErrorKind::Unavailable))
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn from_sql(advice: impl Into<String>, error: sqlx::Error) -> Self {
        Self::new(advice, said(&error), crate::sql::store_error(error))
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn unreachable(error: sqlx::Error) -> Self {
        Self::from_sql("the connection to PostgreSQL failed", error)
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn no_url(error: sqlx::Error) -> Self {
        Self::from_sql(
            "the PostgreSQL URL cannot be read: it is postgres://USER:PASSWORD@HOST/DATABASE, with \
             special characters of the password percent-encoded",
            error,
        )
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn read_only() -> Self {
        Self::advice(
            "the PostgreSQL server is read-only: the address must lead to the primary, and the \
             role must not have default_transaction_read_only",
        )
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn too_late() -> Self {
        Self::new(
            "PostgreSQL did not respond within the timeout of the store",
            None,
            crate::sql::timed_out(),
        )
    }
}

/// The database's message. Omitted for an invalid URL, which may contain a password.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn said(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Configuration(_) => None,
        sqlx::Error::Database(error) => {
            let code = error.code();
            let code = code.as_deref().unwrap_or("no code");
            Some(format!("{} ({code})", error.message()))
        }
        error => Some(error.to_string()),
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.advice)?;
        match &self.said {
            Some(said) => write!(f, "; the database said: {}", said.escape_debug()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenError({self})")
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        let kind = error.error.kind();
        Self::new(kind).with_source(error)
    }
}
