//! [`KeyRing`]: an immutable set of keys, and its replaceable holder.

use crate::base::config::ConfigError;
use crate::keys::algorithm::Algorithm;
use crate::keys::key::{Key, Thumbprints};
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Maximum number of keys in a ring, which is searched linearly.
const MAX_KEYS: usize = 64;

/// An immutable set of keys with distinct ids.
///
/// A ring may hold symmetric and asymmetric keys, so that one kind can be rotated into the other.
/// Each key has one algorithm, so neither can be mistaken for the other.
///
/// # Rotation
/// Keys are rotated by replacing the ring of a [`KeySource`](crate::KeySource) three times:
/// 1. add the new key, keep signing with the old one, until every verifier has seen it;
/// 2. sign with the new key ([`with_signing_key`](Self::with_signing_key)), keep the old one;
/// 3. drop the old key when the last token signed with it has expired.
///
/// ```
/// use auth_core::{Algorithm, Key, KeyRing};
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let (old, _) = Key::generate("2030-01", Algorithm::Es256)?;
/// let (new, _) = Key::generate("2030-02", Algorithm::Es256)?;
/// let ring = KeyRing::new([old, new])?.with_signing_key("2030-02")?;
/// assert_eq!(ring.signing_key().map(Key::id), Some("2030-02"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KeyRing {
    pub(crate) keys: Box<[Key]>,
    pub(crate) signing: Option<Key>,
}

impl KeyRing {
    /// Creates a ring of `keys`. If exactly one of them can sign, it is the signing key.
    ///
    /// # Errors
    /// [`ConfigError`] if there is no key or more than 64, or if two have the same id: the choice
    /// between them would depend on their order.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Result<Self, ConfigError> {
        // One more than allowed suffices to see that there are too many.
        let keys: Box<[Key]> = keys.into_iter().take(MAX_KEYS + 1).collect();
        if keys.is_empty() {
            return Err(ConfigError::new("keys", "there must be at least one key"));
        }
        if keys.len() > MAX_KEYS {
            return Err(ConfigError::new("keys", "there may be at most 64 keys"));
        }
        let mut ids: Vec<&str> = keys.iter().map(Key::id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() < keys.len() {
            return Err(ConfigError::new("keys", "two keys have the same id"));
        }
        let signing = single(keys.iter().filter(|key| key.can_sign())).cloned();
        Ok(Self { keys, signing })
    }

    /// Creates a ring of remote keys. Two keys may share an id if their algorithms differ. The ring
    /// may be empty: a service can withdraw all its keys.
    pub(crate) fn of_remote(keys: Vec<Key>) -> Self {
        Self::of(keys, None)
    }

    /// Sets the signing key to the key `kid`.
    ///
    /// # Errors
    /// [`ConfigError`] if the ring has no such key, or the key cannot sign.
    pub fn with_signing_key(mut self, kid: &str) -> Result<Self, ConfigError> {
        let key = self.get(kid).filter(|key| key.can_sign()).ok_or_else(|| {
            ConfigError::new("signing key", "the ring has no signing key with this id")
        })?;
        self.signing = Some(key.clone());
        Ok(self)
    }

    /// The key with the id `kid`.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id() == kid)
    }

    /// All keys, in their given order.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// The signing key: the one set, else the only one that can sign.
    #[must_use]
    pub fn signing_key(&self) -> Option<&Key> {
        self.signing.as_ref()
    }

    /// The public keys as a JSON Web Key Set (RFC 7517 §5), for verifiers. It never contains
    /// symmetric keys or private members.
    #[must_use]
    pub fn jwks(&self) -> String {
        let keys: Vec<&str> = self.keys.iter().filter_map(Key::public_jwk).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// Creates the ring of a rotation, whose ids are known to be distinct. It may be empty, or have
    /// no signing key although a key could sign: a node that was disconnected for too long accepts
    /// or issues nothing.
    pub(crate) fn of(keys: Vec<Key>, signing: Option<Key>) -> Self {
        Self {
            keys: keys.into(),
            signing,
        }
    }

    /// Whether both contain the same keys and the same signing key.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.keys.len() == other.keys.len()
            && self.iter().zip(other.iter()).all(|(one, two)| one.is(two))
            && match (&self.signing, &other.signing) {
                (Some(one), Some(two)) => one.is(two),
                (None, None) => true,
                _ => false,
            }
    }

    /// The key `kid` for `algorithm`.
    pub(crate) fn named(&self, kid: &str, algorithm: Algorithm) -> Option<&Key> {
        self.for_algorithm(algorithm).find(|key| key.id() == kid)
    }

    /// The key for `algorithm` with the certificate that a token names. `None` if there are
    /// several.
    pub(crate) fn certified(
        &self,
        certificate: &Thumbprints,
        algorithm: Algorithm,
    ) -> Option<&Key> {
        same(
            self.for_algorithm(algorithm)
                .filter(|key| key.certificate().matches(certificate)),
        )
    }

    /// The key for a token that names none: the only one for `algorithm`. `None` if there are
    /// several, so that the order of keys never decides.
    pub(crate) fn only(&self, algorithm: Algorithm) -> Option<&Key> {
        same(self.for_algorithm(algorithm))
    }

    fn for_algorithm(&self, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.keys
            .iter()
            .filter(move |key| key.algorithm() == algorithm)
    }

    /// Whether any key is for `algorithm`.
    pub(crate) fn has(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.algorithm() == algorithm)
    }

    /// The key whose tokens start with exactly this encoded header.
    pub(crate) fn by_header_segment(&self, segment: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.header_segment() == segment)
    }
}

/// The single key of `keys`, which may be published under several ids.
fn same<'k>(mut keys: impl Iterator<Item = &'k Key>) -> Option<&'k Key> {
    let first = keys.next()?;
    keys.all(|key| key.has_numbers_of(first)).then_some(first)
}

fn single<'k>(mut keys: impl Iterator<Item = &'k Key>) -> Option<&'k Key> {
    match (keys.next(), keys.next()) {
        (Some(key), None) => Some(key),
        _ => None,
    }
}

/// The current ring and its revision.
///
/// The revision is raised after the ring was replaced. A reader of first the revision, then the
/// ring may take a new ring for an older one, never an old ring for a newer one.
#[derive(Debug)]
pub(crate) struct CurrentRing {
    ring: ArcSwap<KeyRing>,
    revision: AtomicU64,
}

impl CurrentRing {
    pub(crate) fn new(ring: KeyRing) -> Self {
        Self {
            ring: ArcSwap::from_pointee(ring),
            revision: AtomicU64::new(0),
        }
    }

    /// The ring, without touching its reference count. Do not hold it across an await.
    pub(crate) fn load(&self) -> Guard<Arc<KeyRing>> {
        self.ring.load()
    }

    pub(crate) fn replace(&self, ring: KeyRing) {
        self.ring.store(Arc::new(ring));
        self.revision.fetch_add(1, Ordering::Release);
    }

    /// The revision. Results under another revision must be verified again.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }
}
