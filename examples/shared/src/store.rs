//! The store of sessions and keys, chosen by `DATABASE_URL`.

use std::fmt;
use std::sync::Arc;

use auth_core::rotation::EncryptedKeys;
use auth_core::store::{KeyPersistence, RefreshStore, RevocationFeed, SealedKeyStore};
use auth_store::{FileKeys, PostgresStore, RedisStore, SqliteStore};

use crate::config::Config;
use crate::keys::key_encryption_key;

/// The opened stores.
pub struct Store {
    /// The sessions.
    pub sessions: Arc<dyn RefreshStore>,
    /// The feed of revocations.
    pub feed: Arc<dyn RevocationFeed>,
    /// The signing keys. With SQLite they are in a separate file, otherwise encrypted in the store,
    /// where all nodes share them.
    pub keys: Arc<dyn KeyPersistence>,
}

/// Opens the store of the configuration: `sqlite:FILE`, `postgres://…`, `redis://…` or, over TLS,
/// `rediss://…`. Postgres over TLS is `postgres://…?sslmode=verify-full`.
///
/// # Errors
/// If the store cannot be reached, the URL has an unknown scheme, or there is no key-encryption
/// key.
pub async fn open_store(config: &Config) -> Result<Store, Box<dyn std::error::Error>> {
    let url = config.database_url.as_str();
    if let Some(file) = url.strip_prefix("sqlite:") {
        let store = Arc::new(SqliteStore::open(file).await?);
        return Ok(Store {
            sessions: store.clone(),
            feed: store,
            keys: Arc::new(FileKeys::new(config.data_dir.join("keys"))),
        });
    }
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return shared(PostgresStore::connect(url).await?, config);
    }
    if url.starts_with("redis:") || url.starts_with("rediss:") {
        return shared(RedisStore::connect(url).await?, config);
    }
    // The error does not repeat the URL, which may contain a password.
    Err("DATABASE_URL must begin with sqlite:, postgres://, redis:// or rediss://".into())
}

/// A store of several nodes also has the keys, encrypted: a dump of it cannot sign.
fn shared<S>(store: S, config: &Config) -> Result<Store, Box<dyn std::error::Error>>
where
    S: RefreshStore + RevocationFeed + SealedKeyStore + 'static,
{
    let store = Arc::new(store);
    let keys = EncryptedKeys::new(store.clone(), key_encryption_key(config)?);
    Ok(Store {
        sessions: store.clone(),
        feed: store,
        keys: Arc::new(keys),
    })
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
