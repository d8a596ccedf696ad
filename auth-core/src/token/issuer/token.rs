//! The token that was issued.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::base::clock::Timestamp;

/// An access token, to be given to its client and nobody else.
///
/// # Security
/// Whoever has it is the subject until it expires. `Debug` does not show it, there is no
/// `Display`, and its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct AccessToken {
    text: Zeroizing<String>,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

impl AccessToken {
    pub(crate) fn new(
        text: Zeroizing<String>,
        issued_at: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            text,
            issued_at,
            expires_at,
        }
    }

    /// The token's text: a compact JWS, or an opaque token of a session.
    ///
    /// # Security
    /// It is a credential: do not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// From when on it is dead.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// How long it lived when it was issued, in whole seconds rounded down: RFC 6749 §5.1's
    /// `expires_in`.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        let lifetime = self.expires_at.saturating_since(self.issued_at);
        Duration::from_secs(lifetime.as_secs())
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
