//! [`Store`]: the storage for the sessions, revocations and keys of an [`Auth`](crate::Auth).
//!
//! 1. One store holds all three: a session and its revocation are written together.
//! 2. A shared store never holds keys in plain text. It is a [`Store`] once it is
//!    [sealed](SealedStore).
//! 3. A store is opened for one issuer, and returns the rows of that issuer only.

use std::fmt;
use std::sync::Arc;

use crate::guard::verdict::BoxFuture;
use crate::keys::rotation::persistence::KeyPersistence;
use crate::keys::rotation::sealed::{EncryptedKeys, KeyEncryptionKey, SealedKeyStore};
use crate::revocation::feed::RevocationFeed;
use crate::session::store::RefreshStore;
use crate::session::store::error::StoreError;

/// A store of sessions, revocations and keys, for [`Auth`](crate::Auth).
///
/// `auth_store::SqliteStore` implements it, with the keys in a file beside its own. `PostgresStore`
/// and `RedisStore` need the key that encrypts the keys in them: `store.sealed_by(key)`.
///
/// # Example
/// A store of the app's own:
///
/// ```
/// use auth_core::store::{
///     KeyPersistence, OpenedStore, RefreshStore, RevocationFeed, Store, StoreError,
/// };
///
/// struct Ours<S, K> {
///     rows: S,
///     keys: K,
/// }
///
/// impl<S, K> Store for Ours<S, K>
/// where
///     S: RefreshStore + RevocationFeed + 'static,
///     K: KeyPersistence + 'static,
/// {
///     async fn open_for(self, issuer: &str) -> Result<OpenedStore, StoreError> {
///         // Return only rows of this issuer.
///         Ok(OpenedStore::new(self.rows, self.keys))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the store of an `Auth`: it does not keep the keys of the app safe",
    label = "not a store of sessions, revocations and keys",
    note = "a shared store is given the key that encrypts the keys in it: \
            `PostgresStore::connect(&url).await?.sealed_by(KeyEncryptionKey::from_base64url(&secret)?)`, \
            and so is `RedisStore`; `SqliteStore::open(path).await?` keeps them in a file beside its own"
)]
pub trait Store: Send + 'static {
    /// Opens the store for an issuer.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached or is not set up.
    fn open_for(self, issuer: &str)
    -> impl Future<Output = Result<OpenedStore, StoreError>> + Send;
}

/// The parts of a store that was opened for one issuer.
#[derive(Clone, Debug)]
pub struct OpenedStore {
    pub(super) sessions: Arc<dyn RefreshStore>,
    pub(super) feed: Arc<dyn RevocationFeed>,
    pub(super) keys: Arc<dyn KeyPersistence>,
}

impl OpenedStore {
    /// Creates it from a store of sessions that is also their revocation feed, and a persistence
    /// for the keys.
    #[must_use]
    pub fn new<S, K>(sessions: S, keys: K) -> Self
    where
        S: RefreshStore + RevocationFeed + 'static,
        K: KeyPersistence + 'static,
    {
        let sessions = Arc::new(sessions);
        Self {
            feed: Arc::clone(&sessions) as _,
            sessions,
            keys: Arc::new(keys),
        }
    }
}

/// A shared store with the key that encrypts the app's keys in it.
///
/// `PostgresStore::sealed_by` and `RedisStore::sealed_by` create it.
#[derive(Clone)]
pub struct SealedStore<S>(EncryptedKeys<Arc<S>>);

impl<S: SealedKeyStore> SealedStore<S> {
    /// Seals the keys in `store` with `key`.
    #[must_use]
    pub fn new(store: S, key: KeyEncryptionKey) -> Self {
        Self(EncryptedKeys::new(Arc::new(store), key))
    }

    /// Adds a previous key, which decrypts but does not encrypt. [`EncryptedKeys`] describes how
    /// to change the key.
    #[must_use]
    pub fn with_previous(self, key: KeyEncryptionKey) -> Self {
        Self(self.0.with_previous(key))
    }
}

impl<S> fmt::Debug for SealedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStore").finish_non_exhaustive()
    }
}

impl<S> Store for SealedStore<S>
where
    S: RefreshStore + RevocationFeed + SealedKeyStore + 'static,
{
    async fn open_for(self, _issuer: &str) -> Result<OpenedStore, StoreError> {
        let Self(keys) = self;
        Ok(OpenedStore::new(Arc::clone(keys.store()), keys))
    }
}

/// Its keys end with it. Nodes of one test share it in an `Arc`.
#[cfg(feature = "testing")]
impl Store for Arc<crate::session::store::memory::MemoryStore> {
    async fn open_for(self, _issuer: &str) -> Result<OpenedStore, StoreError> {
        let keys = crate::session::store::memory_keys::MemoryKeys(Arc::clone(&self));
        Ok(OpenedStore::new(self, keys))
    }
}

#[cfg(feature = "testing")]
impl Store for crate::session::store::memory::MemoryStore {
    async fn open_for(self, issuer: &str) -> Result<OpenedStore, StoreError> {
        Arc::new(self).open_for(issuer).await
    }
}

/// A [`Store`] of any type.
pub(super) type AnyStore = Box<dyn OpenStore>;

/// [`Store::open_for`] as an object.
pub(super) trait OpenStore: Send {
    fn open(self: Box<Self>, issuer: Box<str>) -> BoxFuture<Result<OpenedStore, StoreError>>;
}

impl<S: Store> OpenStore for S {
    fn open(self: Box<Self>, issuer: Box<str>) -> BoxFuture<Result<OpenedStore, StoreError>> {
        Box::pin(async move { self.open_for(&issuer).await })
    }
}
