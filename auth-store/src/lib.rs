//! Session stores and revocation feeds: SQLite, Postgres, Redis.
//!
//! Every store implements [`RefreshStore`](auth_core::session::RefreshStore) and
//! [`RevocationFeed`](auth_core::revocation::RevocationFeed), and passes the same conformance kit.
//! Which one?
//!
//! | store | for | feature | durability |
//! |---|---|---|---|
//! | `SqliteStore` | one machine, any number of processes | `sqlite` (default) | every acknowledged write is on disk |
//! | `PostgresStore` | many nodes | `postgres`, `postgres-tls` | as the server's `synchronous_commit` says |
//! | `RedisStore` | many nodes | `redis`, `redis-tls` | as `appendfsync` says; a failover may lose acknowledged writes |
//!
//! 1. A store holds nothing that can be presented: no token, no secret, no digest that a token
//!    could be made from. Keys are kept in stores sealed only, by the type of
//!    [`SealedKeyStore`](auth_core::rotation::SealedKeyStore); in the clear they are in [`FileKeys`],
//!    a file that is its owner's alone.
//! 2. Every call ends within [`StoreOptions::with_timeout`]; what goes wrong is a typed error that
//!    the adapters answer with 503.
//! 3. Opening brings the schema up to date; any number of nodes may do so at once. An SQL store opens
//!    without the right to make tables if they are there; [`StoreOptions::without_migrations`] leaves
//!    the schema to you.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod file;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
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
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use opening::OpenError;
pub use options::StoreOptions;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
