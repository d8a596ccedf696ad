//! Keys for refresh tokens.
//!
//! 1. A key has an id of one byte, and no other use.
//! 2. One key signs, any number verify. To rotate, add the new key as verify-only on every node, then
//!    make it the signing key and keep the old one as verify-only for twice the longest idle time.
//!    Reuse no id within that time.
//! 3. A leaked key alone gives no access: each token contains its own secret. Together with any old
//!    token of a session it gives access to that session, so re-key after a leak.

use std::fmt;

use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

use crate::base::config::ConfigError;

const KEY_LEN: usize = 32;
const SETTING: &str = "refresh_keys";

/// A key for refresh tokens.
#[derive(Clone)]
pub struct RefreshKey {
    id: u8,
    key: hmac::Key,
}

impl RefreshKey {
    /// Creates a key with this id from at least 32 random bytes.
    ///
    /// # Errors
    /// [`ConfigError`] if the secret is shorter.
    ///
    /// # Security
    /// Take the secret from a random generator (`openssl rand 32`), never from a password.
    pub fn new(id: u8, secret: &[u8]) -> Result<Self, ConfigError> {
        if secret.len() < KEY_LEN {
            return Err(ConfigError::new(
                SETTING,
                format!(
                    "key {id} has {} bytes, and needs at least {KEY_LEN} random ones",
                    secret.len()
                ),
            ));
        }
        Ok(Self {
            id,
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        })
    }

    /// Creates a key with this id from base64url text without padding, e.g. from an environment
    /// variable.
    ///
    /// # Errors
    /// [`ConfigError`] if the text is not base64url, and as for [`RefreshKey::new`].
    pub fn from_base64url(id: u8, secret: &str) -> Result<Self, ConfigError> {
        let bytes = crate::base::base64url::decode_base64url(secret).map(Zeroizing::new);
        match bytes {
            Some(bytes) => Self::new(id, &bytes),
            None => Err(ConfigError::new(
                SETTING,
                format!("key {id} is not base64url without padding"),
            )),
        }
    }

    /// Creates a random key that ends with this process, and all sessions with it. For tests and
    /// first steps.
    ///
    /// # Errors
    /// [`ConfigError`] if the operating system returns no random bytes.
    pub fn ephemeral() -> Result<Self, ConfigError> {
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        rand::fill(secret.as_mut_slice()).map_err(|_| {
            ConfigError::new(SETTING, "the operating system returned no random bytes")
        })?;
        Self::new(0, secret.as_slice())
    }

    /// The id of the key.
    #[must_use]
    pub fn id(&self) -> u8 {
        self.id
    }

    pub(crate) fn hmac(&self) -> &hmac::Key {
        &self.key
    }
}

impl fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The refresh keys of a deployment: one signs, the others only verify.
///
/// ```
/// use auth_core::session::{RefreshKey, RefreshKeys};
///
/// # let (this_years, last_years) = ([1, 2].repeat(16), [3, 4].repeat(16));
/// let keys = RefreshKeys::new(RefreshKey::new(2, &this_years)?)
///     .with_verify_only(RefreshKey::new(1, &last_years)?)?;
/// assert_eq!(keys.signing().id(), 2);
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RefreshKeys {
    signing: RefreshKey,
    verify_only: Vec<RefreshKey>,
}

impl RefreshKeys {
    /// Creates a set with the key that signs and verifies.
    pub fn new(signing: RefreshKey) -> Self {
        Self {
            signing,
            verify_only: Vec::new(),
        }
    }

    /// Adds a key that only verifies: the next key before every node has it, or the previous one.
    ///
    /// # Errors
    /// [`ConfigError`] if a key has the same id.
    pub fn with_verify_only(mut self, key: RefreshKey) -> Result<Self, ConfigError> {
        if self.find(key.id).is_some() {
            return Err(ConfigError::new(
                SETTING,
                format!("two keys have the id {}", key.id),
            ));
        }
        self.verify_only.push(key);
        Ok(self)
    }

    /// The signing key.
    #[must_use]
    pub fn signing(&self) -> &RefreshKey {
        &self.signing
    }

    /// The ids, starting with that of the signing key.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u8> {
        std::iter::once(&self.signing)
            .chain(&self.verify_only)
            .map(RefreshKey::id)
    }

    pub(crate) fn find(&self, id: u8) -> Option<&RefreshKey> {
        std::iter::once(&self.signing)
            .chain(&self.verify_only)
            .find(|key| key.id == id)
    }
}

impl From<RefreshKey> for RefreshKeys {
    fn from(signing: RefreshKey) -> Self {
        Self::new(signing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a26_short_and_empty_refresh_keys_are_refused() {
        assert!(RefreshKey::new(1, b"").is_err());
        assert!(RefreshKey::new(1, &[1; 31]).is_err());
        assert!(RefreshKey::from_base64url(1, "not base64url!").is_err());
        assert!(RefreshKey::new(1, b"0123456789abcdef0123456789abcdef").is_ok());
    }

    #[test]
    fn two_keys_with_one_id_are_refused() {
        let one = RefreshKey::new(1, b"0123456789abcdef0123456789abcdef").unwrap();
        let other = RefreshKey::new(1, b"fedcba9876543210fedcba9876543210").unwrap();
        assert!(RefreshKeys::new(one).with_verify_only(other).is_err());
    }

    #[test]
    fn d21_debug_shows_no_key() {
        let key = RefreshKey::new(3, b"marked-secret-marked-secret-mark").unwrap();
        assert_eq!(format!("{key:?}"), "RefreshKey { id: 3, .. }");
    }
}
