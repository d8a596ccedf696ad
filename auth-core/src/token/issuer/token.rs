//! [`AccessToken`]: an issued token.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::base::clock::Timestamp;

/// An issued access token. Send it to its client only.
///
/// # Security
/// The bearer of the token acts as its subject until it expires. `Debug` does not show it, there is
/// no `Display`, and its memory is zeroized on drop.
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

    /// The text of the token: a compact JWS, or an opaque token of a session.
    ///
    /// # Security
    /// The text is a credential: do not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The expiry of the token.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The lifetime at issue, in whole seconds rounded down: `expires_in` of RFC 6749 §5.1.
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
