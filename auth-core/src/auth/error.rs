//! [`StartError`]: why an [`Auth`](crate::Auth) does not start.

use std::error::Error;
use std::fmt;

use crate::base::config::ConfigError;
use crate::keys::rotation::task::RotationError;
use crate::revocation::feed::FeedError;
use crate::session::store::error::StoreError;

/// An error of [`AuthBuilder::start`](crate::AuthBuilder::start).
///
/// `Display` and `Debug` are alike, for `fn main() -> Result<…>` prints the latter. They say what
/// to change, and what the store or file system said.
#[derive(Clone)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is wrong, or contradicts another one.
    Config(ConfigError),
    /// The keys cannot be read or made.
    Keys(RotationError),
    /// The store cannot be opened.
    Store(StoreError),
    /// The revocations cannot be loaded.
    Revocations(FeedError),
}

impl StartError {
    fn cause(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Config(error) => error,
            Self::Keys(error) => error,
            Self::Store(error) => error,
            Self::Revocations(error) => error,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth does not start")?;
        let mut cause = Some(self.cause());
        let mut said = String::new();
        while let Some(error) = cause {
            let text = error.to_string();
            // A transparent error and its source say the same.
            if text != said {
                f.write_str(": ")?;
                for shown in text.chars().filter(|shown| !shown.is_control()) {
                    write!(f, "{shown}")?;
                }
            }
            said = text;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StartError({self})")
    }
}

impl Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<RotationError> for StartError {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::Config(error) => Self::Config(error),
            error => Self::Keys(error),
        }
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<FeedError> for StartError {
    fn from(error: FeedError) -> Self {
        Self::Revocations(error)
    }
}
