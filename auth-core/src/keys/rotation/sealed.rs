//! Encrypted key documents for a shared store, so that a dump of it contains no signing key.
//!
//! 1. A store accepts [`SealedKeySet`] only, and only this module creates them.
//! 2. AES-256-GCM with a random nonce per write. The bytes before the ciphertext are authenticated
//!    too: `1 ‖ key id 8 ‖ nonce 12 ‖ ciphertext ‖ tag 16`.
//! 3. A writer to the store can put back an older document, but cannot create one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::config::ConfigError;
use crate::base::opaque::opaque_debug;
use crate::keys::rotation::document::KeySet;
use crate::keys::rotation::persistence::{
    KeyPersistence, LoadedKeys, PersistenceError, PersistenceErrorKind,
};

const KEY_LEN: usize = 32;
const KEY_ID_LEN: usize = 8;
const KEY_ID_LABEL: &[u8] = b"auth key encryption key id";
const FORMAT: u8 = 1;
const HEAD_LEN: usize = 1 + KEY_ID_LEN;
const LABEL: &[u8] = b"auth keys v1";
const SETTING: &str = "key encryption key";

/// A key that encrypts stored keys: 32 random bytes that the app keeps outside the store, in an
/// environment variable, a mounted secret or a vault.
#[derive(Clone)]
pub struct KeyEncryptionKey {
    id: [u8; KEY_ID_LEN],
    key: Arc<RandomizedNonceKey>,
}

impl KeyEncryptionKey {
    /// Creates a key from exactly 32 random bytes.
    ///
    /// # Errors
    /// [`ConfigError`] if there are more or fewer bytes, or if it is one byte repeated.
    ///
    /// # Security
    /// Take the bytes from a random generator (`openssl rand 32`), never from a password.
    pub fn new(secret: &[u8]) -> Result<Self, ConfigError> {
        let refuse = |problem| Err(ConfigError::new(SETTING, problem));
        let Some((first, rest)) = secret.split_first().filter(|_| secret.len() == KEY_LEN) else {
            return refuse("must be exactly 32 bytes from a random generator");
        };
        if rest.iter().all(|byte| byte == first) {
            return refuse("is one repeated byte; it must be random");
        }
        let mut digest = digest::Context::new(&digest::SHA256);
        digest.update(KEY_ID_LABEL);
        digest.update(secret);
        let digest = digest.finish();
        let (Some(id), Ok(key)) = (
            digest.as_ref().first_chunk(),
            RandomizedNonceKey::new(&AES_256_GCM, secret),
        ) else {
            return refuse("is not usable");
        };
        Ok(Self {
            id: *id,
            key: Arc::new(key),
        })
    }

    /// Creates a key from base64url text without padding, e.g. from an environment variable.
    ///
    /// # Errors
    /// [`ConfigError`] if the text is not base64url, and as for [`KeyEncryptionKey::new`].
    pub fn from_base64url(secret: &str) -> Result<Self, ConfigError> {
        let bytes = URL_SAFE_NO_PAD
            .decode_to_vec(secret)
            .map(Zeroizing::new)
            .map_err(|_| ConfigError::new(SETTING, "is not base64url without padding"))?;
        Self::new(&bytes)
    }

    fn head(&self) -> [u8; HEAD_LEN] {
        let mut head = [FORMAT; HEAD_LEN];
        if let Some((_, id)) = head.split_first_mut() {
            id.copy_from_slice(&self.id);
        }
        head
    }

    fn seal(&self, document: &KeySet) -> Option<SealedKeySet> {
        let head = self.head();
        // Encrypted in place, in a buffer that need not grow: no copy of the plaintext remains.
        let plain = document.expose();
        let tag = AES_256_GCM.tag_len();
        let mut body = Zeroizing::new(Vec::with_capacity(plain.len() + tag));
        body.extend_from_slice(plain);
        let aad = Aad::from([LABEL, &head].concat());
        let nonce = self.key.seal_in_place_append_tag(aad, &mut *body).ok()?;
        Some(SealedKeySet(
            [&head, nonce.as_ref().as_slice(), &body].concat().into(),
        ))
    }

    fn open(&self, body: &[u8]) -> Option<KeySet> {
        let (nonce, body) = body.split_first_chunk::<NONCE_LEN>()?;
        let mut body = Zeroizing::new(body.to_vec());
        let aad = Aad::from([LABEL, &self.head()].concat());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key.open_in_place(nonce, aad, &mut body).ok()?;
        Some(KeySet::from_bytes(plain.to_vec()))
    }
}

opaque_debug!(KeyEncryptionKey);

/// A sealed key document, unreadable without its key-encryption key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKeySet(Box<[u8]>);

impl SealedKeySet {
    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The stored document of a store, and the store's time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedRow {
    /// Version and sealed bytes. `None` if there is no document.
    pub sealed: Option<(u64, Vec<u8>)>,
    /// Time of the store's own clock, if it has one that all nodes share.
    pub now: Option<Timestamp>,
}

/// Storage for one sealed document.
///
/// All stores of `auth-store` implement it. It is separate from [`KeyPersistence`] so that keys
/// cannot be put into a store unsealed.
#[async_trait]
pub trait SealedKeyStore: Send + Sync + fmt::Debug {
    /// Reads document and version, from the primary.
    ///
    /// # Errors
    /// [`PersistenceError`] if the document cannot be read.
    async fn load_keys(&self) -> Result<SealedRow, PersistenceError>;

    /// Replaces the document by `sealed` with the next version, in one statement, if its version is
    /// still `expected` (`None`: if there is none). Returns whether it was replaced.
    ///
    /// # Errors
    /// [`PersistenceError`]; the document may have been replaced all the same.
    async fn save_keys(
        &self,
        expected: Option<u64>,
        sealed: &SealedKeySet,
    ) -> Result<bool, PersistenceError>;
}

#[async_trait]
impl<S: SealedKeyStore + ?Sized> SealedKeyStore for Arc<S> {
    async fn load_keys(&self) -> Result<SealedRow, PersistenceError> {
        (**self).load_keys().await
    }

    async fn save_keys(
        &self,
        expected: Option<u64>,
        sealed: &SealedKeySet,
    ) -> Result<bool, PersistenceError> {
        (**self).save_keys(expected, sealed).await
    }
}

/// Keys in a store that all nodes share, encrypted with a key that the store never sees.
///
/// To change the key-encryption key, first give every node the new one as
/// [`previous`](Self::with_previous). Then make the new key the one that encrypts, and the old one
/// the previous. The document is written again at once; after that the old key can be removed.
#[derive(Clone, Debug)]
pub struct EncryptedKeys<S> {
    store: S,
    key: KeyEncryptionKey,
    previous: Vec<KeyEncryptionKey>,
}

impl<S: SealedKeyStore> EncryptedKeys<S> {
    /// Creates a persistence for keys in `store`, encrypted with `key`.
    #[must_use]
    pub fn new(store: S, key: KeyEncryptionKey) -> Self {
        Self {
            store,
            key,
            previous: Vec::new(),
        }
    }

    /// Adds a previous key, which decrypts but does not encrypt.
    #[must_use]
    pub fn with_previous(mut self, key: KeyEncryptionKey) -> Self {
        self.previous.push(key);
        self
    }

    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    fn open(&self, version: u64, sealed: &[u8]) -> Result<LoadedKeys, PersistenceErrorKind> {
        let (head, body) = sealed
            .split_first_chunk::<HEAD_LEN>()
            .ok_or(PersistenceErrorKind::Corrupt)?;
        let key = std::iter::once(&self.key)
            .chain(&self.previous)
            .find(|key| key.head() == *head)
            .ok_or(PersistenceErrorKind::Sealed)?;
        let document = key.open(body).ok_or(PersistenceErrorKind::Corrupt)?;
        let kept = LoadedKeys::document(version, document);
        Ok(if key.id == self.key.id {
            kept
        } else {
            kept.outdated()
        })
    }
}

#[async_trait]
impl<S: SealedKeyStore> KeyPersistence for EncryptedKeys<S> {
    async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
        let stored = self.store.load_keys().await?;
        let kept = match &stored.sealed {
            Some((version, sealed)) => {
                self.open(*version, sealed).map_err(PersistenceError::new)?
            }
            None => LoadedKeys::nothing(),
        };
        Ok(match stored.now {
            Some(now) => kept.with_now(now),
            None => kept,
        })
    }

    async fn save(
        &self,
        expected: Option<u64>,
        document: &KeySet,
    ) -> Result<bool, PersistenceError> {
        let sealed = self
            .key
            .seal(document)
            .ok_or_else(|| PersistenceError::new(PersistenceErrorKind::Unavailable))?;
        self.store.save_keys(expected, &sealed).await
    }
}
