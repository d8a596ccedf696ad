//! [`RedisStore`]: sessions in Redis or Valkey.
//!
//! 1. A session is one key, and a subject version is one key. A sorted set has the sessions of a
//!    subject, and a stream publishes revocations to other nodes. All names start with `auth:`.
//! 2. Every write is one script, by the server's clock. Read-only scripts count as writes too, so a
//!    replica refuses them, and no decision uses stale data.
//! 3. Keys expire a day after the end of their content, subject versions with the last session of
//!    their subject. The purge only removes entries of the feed.
//! 4. A revocation is listed for the longest access token lifetime of any issuer. The lifetimes are
//!    fields of the hash `auth:{feed}:lifetimes`, in milliseconds. Nodes only raise them; lower
//!    them by hand (`HSET`) once every longer token has expired.
//! 5. An acknowledged write is in the server's memory. A crash loses as much as `appendfsync`
//!    allows, a failover loses the writes that the replica had not received. The protocol repairs
//!    lost rotations, but not lost revocations. If that matters, set `min-replicas-to-write` and
//!    `appendfsync always`, or use Postgres.
//! 6. `maxmemory-policy` must be `noeviction`, since an evicted key is a lost session. On a full
//!    server, logins get 503.

#[cfg(feature = "redis-cluster")]
mod cluster;
mod connection;
mod endpoint;
mod error;
mod feed;
mod keys;
mod link;
mod purge;
mod reply;
mod row;
mod script;
mod single;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::session::SessionId;
use auth_core::store::{
    Generation, InsertOutcome, LoadedSession, NewSession, RaisedSubjectVersion, RefreshStore,
    RevokeSession, RevokeSubject, Revoked, RotateSession, RotatedAt, SessionRecord, StoreError,
};
use redis::Value;
use tokio::sync::Mutex;

use self::connection::Connection;
use self::endpoint::{Endpoint, Topology};
use self::error::{open_error, timed_out};
use self::link::{Link, Retry};
#[cfg(feature = "testing")]
pub(crate) use self::row::decode as read_row;
use self::row::{FEED, FOREVER, LIFETIMES, index_key, kept_key, row_key, subject_version_key};
use self::script::{Call, Code, Scripts};
use crate::{OpenError, StoreOptions};

/// Time for which a row is kept after its end, unless access tokens live longer.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
const SLACK: Duration = Duration::from_millis(100);

/// Sessions and revocations in Redis, for any number of nodes.
///
/// Redis 7.0 or later, or Valkey. Cloning shares the connection.
///
/// | URL | |
/// |---|---|
/// | `redis://[user:password@]host[:port][/db]` | one server |
/// | `rediss://…` | the same over TLS |
/// | `redis+sentinel://[user:password@]sentinel1[:port],sentinel2/master[/db]` | the master that Sentinel names |
/// | `redis+cluster://[user:password@]node1[:port],node2` | a cluster, found through any of its nodes (feature `redis-cluster`) |
///
/// `rediss+sentinel` and `rediss+cluster` are the same over TLS. Credentials are those of the data
/// nodes.
///
/// ```no_run
/// # async fn open() -> Result<(), auth_store::OpenError> {
/// use auth_store::RedisStore;
///
/// let store = RedisStore::connect("redis://localhost").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    link: Link,
    /// The connection on which a follower waits for entries.
    tail: Mutex<Option<Connection>>,
    scripts: Scripts,
    options: StoreOptions,
}

impl RedisStore {
    /// Connects to the server or servers of a URL.
    ///
    /// # Errors
    /// [`OpenError`] if the URL has none of these forms, no writable server can be reached, or the
    /// server is older than Redis 7.0.
    pub async fn connect(url: &str) -> Result<Self, OpenError> {
        Self::connect_with(url, StoreOptions::new()).await
    }

    /// Connects like [`connect`](Self::connect), with these options.
    /// [`with_connections`](StoreOptions::with_connections) has no effect: all calls share one
    /// connection, and a waiting follower has another.
    ///
    /// # Errors
    /// The same as for [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: StoreOptions) -> Result<Self, OpenError> {
        let endpoint = Endpoint::parse(url, options.timeout)?;
        let store = Self(Arc::new(Inner {
            link: Link::new(endpoint, options.timeout),
            tail: Mutex::default(),
            scripts: Scripts::new(),
            options,
        }));
        // A replica or an outdated server fails this call.
        match store.subject_version("whoever").await {
            Ok(_) => Ok(store),
            Err(error) => Err(open_error(error)),
        }
    }

    fn call<'a>(&self, code: &'a Code) -> Call<'a> {
        code.call(&self.0.options)
    }

    async fn run(&self, call: Call<'_>, retry: Retry) -> Result<Value, StoreError> {
        self.0.link.run(&call, retry).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis())
        .unwrap_or(i64::MAX)
        .min(FOREVER)
}

fn generation(number: Option<Generation>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

#[async_trait]
impl RefreshStore for RedisStore {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        self.bounded(async {
            let call = self
                .call(&self.0.scripts.subject_version)
                .key(subject_version_key(subject))
                .key(kept_key(subject));
            let [subject_version, _] = reply::tuple(self.run(call, Retry::Harmless).await?)?;
            reply::number(subject_version)
        })
        .await
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        match self.topology() {
            Topology::Single => self.bounded(self.single_insert(session)).await,
            #[cfg(feature = "redis-cluster")]
            Topology::Cluster => self.bounded(self.cluster_insert(session)).await,
        }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        match self.topology() {
            Topology::Single => self.bounded(self.single_load(id)).await,
            #[cfg(feature = "redis-cluster")]
            Topology::Cluster => self.bounded(self.cluster_load(id)).await,
        }
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        self.bounded(self.advance_row(step)).await
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        match self.topology() {
            Topology::Single => self.bounded(self.single_revoke(revoke)).await,
            #[cfg(feature = "redis-cluster")]
            Topology::Cluster => self.bounded(self.cluster_revoke(revoke)).await,
        }
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        match self.topology() {
            Topology::Single => self.bounded(self.single_end_all(end)).await,
            #[cfg(feature = "redis-cluster")]
            Topology::Cluster => self.bounded(self.cluster_end_all(end)).await,
        }
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        self.bounded(async {
            let call = self
                .call(&self.0.scripts.raise_subject_version)
                .key(subject_version_key(subject))
                .key(kept_key(subject))
                .key(index_key(subject))
                .number(at_least);
            reply::number(self.run(call, Retry::Harmless).await?)
        })
        .await
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        self.bounded(async {
            let call = self
                .call(&self.0.scripts.raise_access_lifetime)
                .key(LIFETIMES)
                .arg(issuer)
                .number(millis(lifetime));
            let longest = self.run(call, Retry::Harmless).await?;
            Ok(Duration::from_millis(reply::number(longest)?))
        })
        .await
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        match self.topology() {
            Topology::Single => self.bounded(self.single_list(subject, limit)).await,
            #[cfg(feature = "redis-cluster")]
            Topology::Cluster => self.bounded(self.cluster_list(subject, limit)).await,
        }
    }

    /// Removes rows that ended early, or by a driven clock; others expire a day after their end.
    /// The scan of all rows takes long.
    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        let call = self
            .call(&self.0.scripts.purge_feed)
            .key(FEED)
            .number(batch.max(1));
        self.run(call, Retry::Harmless).await?;
        if kept >= KEPT && self.0.options.driven_now().is_none() {
            return Ok(0);
        }
        match self.topology() {
            Topology::Single => self.single_purge_rows(kept, batch).await,
            #[cfg(feature = "redis-cluster")]
            Topology::Cluster => self.cluster_purge_rows(kept, batch).await,
        }
    }
}

impl RedisStore {
    /// Rotates a row with one script. If it cannot reach the subject version, that is read
    /// afterwards.
    async fn advance_row(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        let mut call = self
            .call(&self.0.scripts.advance)
            .key(row_key(&step.id))
            .number(step.from_generation)
            .arg(generation(step.from_predecessor))
            .number(step.subject_version)
            .number(step.generation)
            .arg(generation(step.predecessor))
            .number(step.recovered)
            .number(millis(step.idle))
            .arg(step.subject)
            .arg(step.details.encode()?);
        if self.topology() == Topology::Single {
            call = call.key(subject_version_key(step.subject));
        }
        // A second attempt after a lost reply finds the row rotated and returns `None`, as after a
        // lost race: the caller loads again and finds a replay.
        let answer = self.run(call, Retry::Harmless).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        #[cfg(feature = "redis-cluster")]
        if self.topology() == Topology::Cluster
            && self.subject_version(step.subject).await? != step.subject_version
        {
            return Ok(None);
        }
        let [now, idle_expires_at] = reply::tuple(answer)?;
        Ok(Some(RotatedAt {
            now: reply::time(now)?,
            idle_expires_at: reply::time(idle_expires_at)?,
        }))
    }

    fn topology(&self) -> Topology {
        self.0.link.topology()
    }

    /// Applies the time limit of an operation, which may consist of several calls.
    async fn bounded<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // A single call has the same limit, and its own error is more specific.
        let bound = self.0.options.timeout.saturating_add(SLACK);
        tokio::time::timeout(bound, operation)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    }
}
