//! [`KeySource`]: the key ring in force, behind an atomic pointer.

use std::sync::Arc;

use crate::keys::key::Key;
use crate::keys::remote::RemoteKeys;
use crate::keys::ring::{CurrentRing, KeyRing};

/// Where the current [`KeyRing`] comes from. Clones share it: what one replaces, all see.
///
/// It is made from a [`Key`], a [`KeyRing`], or the [`RemoteKeys`] of another service, which
/// replace themselves.
///
/// Reading is lock-free. A request that has begun finishes with the ring it began with.
///
/// ```
/// use auth_core::{Algorithm, Key, KeyRing, KeySource};
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let (first, _) = Key::generate("1", Algorithm::Es256)?;
/// let keys = KeySource::from(first.clone());
/// let (second, _) = Key::generate("2", Algorithm::Es256)?;
/// keys.replace(KeyRing::new([first, second])?.with_signing_key("1")?);
/// assert!(keys.load().get("2").is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KeySource {
    current: Arc<CurrentRing>,
    remote: Option<RemoteKeys>,
}

impl KeySource {
    /// The current ring.
    #[must_use]
    pub fn load(&self) -> Arc<KeyRing> {
        Arc::clone(&self.current.load())
    }

    /// Makes `ring` the current one, for every clone of this source.
    pub fn replace(&self, ring: KeyRing) {
        self.current.replace(ring);
    }

    /// The current ring and its revision.
    pub(crate) fn current(&self) -> &CurrentRing {
        &self.current
    }

    /// The service that publishes the keys, if they are not our own.
    pub(crate) fn remote(&self) -> Option<&RemoteKeys> {
        self.remote.as_ref()
    }
}

impl From<KeyRing> for KeySource {
    fn from(ring: KeyRing) -> Self {
        Self {
            current: Arc::new(CurrentRing::new(ring)),
            remote: None,
        }
    }
}

impl From<Key> for KeySource {
    fn from(key: Key) -> Self {
        let signing = key.can_sign().then(|| key.clone());
        let keys = Box::new([key]);
        KeyRing { keys, signing }.into()
    }
}

impl From<RemoteKeys> for KeySource {
    fn from(remote: RemoteKeys) -> Self {
        Self {
            current: remote.ring(),
            remote: Some(remote),
        }
    }
}
