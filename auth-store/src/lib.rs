//! Session stores and revocation feeds: SQLite, Postgres, Redis.
//!
//! Every store implements [`RefreshStore`](auth_core::store::RefreshStore) and
//! [`RevocationFeed`](auth_core::store::RevocationFeed), and passes the same conformance kit.
//!
//! | store | for | feature | durability |
//! |---|---|---|---|
//! | `SqliteStore` | one machine, any number of processes | `sqlite` (default) | every acknowledged write is on disk |
//! | `PostgresStore` | many nodes | `postgres` | set by the server's `synchronous_commit` |
//! | `RedisStore` | many nodes | `redis`, `redis-cluster` | set by `appendfsync`; a failover may lose acknowledged writes |
//!
//! 1. A store contains no credentials: no token, no secret, no digest that yields a token. Stores
//!    keep keys only in encrypted form ([`SealedKeyStore`](auth_core::store::SealedKeyStore)).
//!    [`FileKeys`] keeps them in plain text, in a file that only its owner can read.
//! 2. Every call ends within [`StoreOptions::with_timeout`]. Failures are typed errors, for which the
//!    adapters return 503.
//! 3. Opening brings the schema up to date; any number of nodes may do so at once. An SQL store
//!    whose tables exist opens without the right to create them. With
//!    [`StoreOptions::without_migrations`], the operator manages the schema.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod file;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod opening;
mod options;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;

pub use file::FileKeys;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub use opening::OpenError;
pub use options::StoreOptions;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
