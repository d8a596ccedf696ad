//! Where the sessions are kept: the address decides.

use std::sync::Arc;

use auth_core::revocation::RevocationFeed;
use auth_core::session::RefreshStore;
use auth_store::{PostgresStore, RedisStore, SqliteStore};

/// A store, and its feed of revocations.
pub type Store = (Arc<dyn RefreshStore>, Arc<dyn RevocationFeed>);

/// Opens the store at `url`: `sqlite:FILE`, `postgres://…` or `redis://…`.
///
/// # Errors
/// If it cannot be reached, or no store has such an address.
pub async fn open_store(url: &str) -> Result<Store, Box<dyn std::error::Error>> {
    if let Some(file) = url.strip_prefix("sqlite:") {
        let store = Arc::new(SqliteStore::open(file).await?);
        return Ok((store.clone(), store));
    }
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        let store = Arc::new(PostgresStore::connect(url).await?);
        return Ok((store.clone(), store));
    }
    if url.starts_with("redis:") {
        let store = Arc::new(RedisStore::connect(url).await?);
        return Ok((store.clone(), store));
    }
    // The address may hold a password: it is not repeated.
    Err("DATABASE_URL must begin with sqlite:, postgres:// or redis://".into())
}
