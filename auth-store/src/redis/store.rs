//! The store of an [`Auth`](auth_core::Auth) of many nodes: the keys are in it, encrypted.

use auth_core::rotation::KeyEncryptionKey;
use auth_core::store::SealedStore;

use super::RedisStore;

impl RedisStore {
    /// Gives the store the key that encrypts the app's keys in it, so that it can be the store of
    /// an [`Auth`](auth_core::Auth). All nodes need the same one.
    ///
    /// # Security
    /// Keep the key outside of the database: a dump of the database then contains no signing key.
    #[must_use]
    pub fn sealed_by(self, key: KeyEncryptionKey) -> SealedStore<Self> {
        SealedStore::new(self, key)
    }
}
