//! Where sessions and keys are kept: the address decides.

use std::fmt;
use std::sync::Arc;

use auth_core::revocation::RevocationFeed;
use auth_core::rotation::{EncryptedKeys, KeyPersistence, SealedKeyStore};
use auth_core::session::RefreshStore;
use auth_store::{FileKeys, PostgresStore, RedisStore, SqliteStore};

use crate::config::Config;
use crate::keys::key_encryption_key;

/// What is kept.
pub struct Store {
    /// The sessions.
    pub sessions: Arc<dyn RefreshStore>,
    /// The news of sessions that were ended.
    pub feed: Arc<dyn RevocationFeed>,
    /// The keys that sign: beside a SQLite file in a file of their own, else sealed in the store,
    /// where all nodes share them.
    pub keys: Arc<dyn KeyPersistence>,
}

/// Opens the store that the configuration names: `sqlite:FILE`, `postgres://…`, `redis://…`
/// or, over TLS, `rediss://…`. Postgres over TLS is `postgres://…?sslmode=verify-full`.
///
/// # Errors
/// If it cannot be reached, if no store has such an address, or if there is no key to seal the
/// others with.
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
    // The address may hold a password: it is not repeated.
    Err("DATABASE_URL must begin with sqlite:, postgres://, redis:// or rediss://".into())
}

/// A store of several nodes keeps the keys too, sealed: a dump of it signs nothing.
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
