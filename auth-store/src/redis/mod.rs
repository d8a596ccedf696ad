//! [`RedisStore`]: sessions in Redis, or in Valkey.
//!
//! 1. A session is one key, so is a subject's epoch; a sorted set names the sessions of a subject;
//!    a stream tells other nodes of revocations. All names begin with `auth:`.
//! 2. Every write is one script, by the server's clock. Scripts count as writes even where they
//!    only read, so a replica refuses them and nothing is decided on stale data.
//! 3. Keys expire by themselves a day after the end of what they hold, epochs as late as the last
//!    session of their subject. The purge has nothing to do but for the feed.
//! 4. What a server acknowledges it has in memory. A crash loses what `appendfsync` allows to be
//!    lost; a failover loses what the replica had not received. Lost rotations are healed by the
//!    protocol, lost revocations are not: where that matters, set `min-replicas-to-write` and
//!    `appendfsync always`, or use Postgres.
//! 5. `maxmemory-policy` must be `noeviction`: Redis must not choose whose session ends. A full
//!    server refuses logins with 503.

mod endpoint;
mod feed;
mod link;
mod reply;
mod row;
mod script;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::session::{
    Advance, Advanced, EndAll, Generation, Inserted, Loaded, NewSession, RefreshStore, Revoke,
    SessionId, SessionRecord, StoreError,
};
use redis::Value;
use tokio::sync::Mutex;

use self::endpoint::Endpoint;
use self::link::{Connection, Link, Twice, corrupt, store_error};
use self::row::{EVERY_ROW, FEED, FOREVER, epoch_key, index_key, row_key};
use self::script::{Call, Code, Scripts};
use crate::StoreOptions;

/// How long a row is kept after its end, unless access tokens live longer.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows that one script of a sweep looks at.
const SWEPT_AT_ONCE: usize = 200;

/// Sessions and revocations in Redis: the store for many nodes that already have one.
///
/// Redis 7.0 or later, or Valkey. Cloning shares the connection.
///
/// | URL | |
/// |---|---|
/// | `redis://[user:password@]host[:port][/db]` | one server |
/// | `rediss://…` | the same over TLS (feature `redis-tls`) |
/// | `redis+sentinel://[user:password@]sentinel1[:port],sentinel2/master[/db]` | the master that Sentinel names |
/// | `redis+cluster://[user:password@]node1[:port],node2` | a cluster, found through any of its nodes |
///
/// `rediss+sentinel` and `rediss+cluster` are the same over TLS. Credentials are those of the data
/// nodes.
///
/// ```no_run
/// # async fn open() -> Result<(), auth_core::session::StoreError> {
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
    /// The connection on which a follower waits for news.
    tail: Mutex<Option<Connection>>,
    scripts: Scripts,
    options: StoreOptions,
}

impl RedisStore {
    /// Connects to the server, or to the servers, that the URL names.
    ///
    /// # Errors
    /// [`StoreError`] if the URL is none of the above, or nobody answers as a server that takes
    /// writes.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, StoreOptions::new()).await
    }

    /// [`connect`](Self::connect), with other than the default options.
    /// [`with_connections`](StoreOptions::with_connections) means nothing here: all calls share one
    /// connection, and a follower that waits has one of its own.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let endpoint = Endpoint::parse(url, options.timeout).map_err(store_error)?;
        let store = Self(Arc::new(Inner {
            link: Link::new(endpoint, options.timeout),
            tail: Mutex::default(),
            scripts: Scripts::new(),
            options,
        }));
        // Whoever configured a replica, or a server that is too old, hears of it now.
        store.epoch("").await?;
        Ok(store)
    }

    /// A call of a script, with the driven time as its first argument.
    fn call<'a>(&self, code: &'a Code) -> Call<'a> {
        let now = match self.0.options.clock.driven_now() {
            Some(now) => now.as_millis().clamp(-FOREVER, FOREVER).to_string(),
            None => String::new(),
        };
        code.call().arg(now)
    }

    async fn run(&self, call: Call<'_>, twice: Twice) -> Result<Value, StoreError> {
        self.0.link.run(&call, twice).await
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

/// How long an ended row is kept: as long as it may be listed, at least a day.
fn kept(list_for: Duration) -> i64 {
    millis(list_for.max(KEPT))
}

fn generation(number: Option<Generation>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

#[async_trait]
impl RefreshStore for RedisStore {
    async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        let call = self.call(&self.0.scripts.epoch).key(epoch_key(subject));
        reply::number(self.run(call, Twice::Harmless).await?)
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<Inserted, StoreError> {
        let limit = session.limit.map_or(0, std::num::NonZeroU32::get);
        let mut call = self
            .call(&self.0.scripts.insert)
            .key(row_key(&session.id))
            .key(epoch_key(session.subject))
            .key(index_key(session.subject))
            .key(FEED)
            .number(session.epoch)
            .number(millis(session.idle))
            .number(millis(session.absolute))
            .number(limit)
            .number(millis(session.list_for))
            .number(kept(session.list_for))
            .arg(session.id.as_bytes().as_slice())
            .arg(session.subject)
            .arg(session.details.encode()?);
        if let Some(replaced) = &session.replaces {
            call = call
                .key(row_key(replaced))
                .arg(replaced.as_bytes().as_slice());
        }
        // A second try could not tell its own row from another's.
        let answer = reply::array(self.run(call, Twice::Never).await?)?;
        inserted(answer)
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let call = self.call(&self.0.scripts.load).key(row_key(id));
        let answer = self.run(call, Twice::Harmless).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        let [row, epoch, now] = reply::tuple(answer)?;
        Ok(Some(Loaded {
            record: row::decode(*id, &reply::bytes(row)?)?,
            subject_epoch: reply::number(epoch)?,
            now: reply::time(now)?,
        }))
    }

    async fn advance(&self, step: &Advance<'_>) -> Result<Option<Advanced>, StoreError> {
        let call = self
            .call(&self.0.scripts.advance)
            .key(row_key(&step.id))
            .key(epoch_key(step.subject))
            .number(step.from_generation)
            .arg(generation(step.from_predecessor))
            .number(step.epoch)
            .number(step.generation)
            .arg(generation(step.predecessor))
            .number(step.recovered)
            .number(millis(step.idle))
            .arg(step.subject)
            .arg(step.details.encode()?);
        // A second try after a lost answer finds the row moved on and answers None, as to one who
        // lost a race: the caller loads, and sees his own step as a replay.
        let answer = self.run(call, Twice::Harmless).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        let [now, idle_expires_at] = reply::tuple(answer)?;
        Ok(Some(Advanced {
            now: reply::time(now)?,
            idle_expires_at: reply::time(idle_expires_at)?,
        }))
    }

    async fn revoke(&self, revoke: &Revoke) -> Result<bool, StoreError> {
        let call = self
            .call(&self.0.scripts.revoke)
            .key(row_key(&revoke.id))
            .key(FEED)
            .arg(revoke.reason.as_str())
            .number(millis(revoke.list_for))
            .number(kept(revoke.list_for))
            .arg(revoke.id.as_bytes().as_slice());
        let answer = self.run(call, Twice::Harmless).await?;
        Ok(reply::integer(&answer)? == 1)
    }

    async fn end_all(&self, end: &EndAll<'_>) -> Result<Option<u64>, StoreError> {
        let mut call = self
            .call(&self.0.scripts.end_all)
            .key(epoch_key(end.subject))
            .key(index_key(end.subject))
            .key(FEED)
            .arg(end.subject)
            .arg(end.reason.as_str())
            .number(millis(end.list_for))
            .number(kept(end.list_for));
        if let Some(keep) = &end.keep {
            call = call.key(row_key(keep)).arg(keep.as_bytes().as_slice());
        }
        // Ended once more, a login that has begun since the first time would end, too.
        let answer = self.run(call, Twice::Never).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        reply::number(answer).map(Some)
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        let call = self
            .call(&self.0.scripts.list)
            .key(epoch_key(subject))
            .key(index_key(subject))
            .number(limit);
        let answer = reply::array(self.run(call, Twice::Harmless).await?)?;
        answer
            .into_iter()
            .map(|entry| {
                let [id, row] = reply::tuple(entry)?;
                row::decode(reply::session_id(id)?, &reply::bytes(row)?)
            })
            .collect()
    }

    /// Rows go by themselves a day after their end. Asked to remove them earlier, or by a driven
    /// clock, this looks at every row there is.
    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        let trim = self.call(&self.0.scripts.trim).key(FEED).number(batch);
        self.run(trim, Twice::Harmless).await?;
        if kept >= KEPT && self.0.options.clock.driven_now().is_none() {
            return Ok(0);
        }
        self.sweep(kept, batch).await
    }
}

impl RedisStore {
    async fn sweep(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        let mut removed = 0;
        let mut cursor = "0".to_owned();
        while removed < batch {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor)
                .arg("MATCH")
                .arg(EVERY_ROW)
                .arg("COUNT")
                .arg(SWEPT_AT_ONCE);
            let [next, keys] = reply::tuple(self.0.link.send(&scan).await?)?;
            let mut call = self
                .call(&self.0.scripts.sweep)
                .number(millis(kept))
                .number(batch.saturating_sub(removed));
            for key in reply::array(keys)? {
                call = call.key(reply::bytes(key)?);
            }
            let answer = self.run(call, Twice::Harmless).await?;
            let more = u32::try_from(reply::integer(&answer)?).map_err(|_| corrupt())?;
            removed = removed.saturating_add(more);
            cursor = reply::text(next)?;
            if cursor == "0" {
                break;
            }
        }
        Ok(removed)
    }
}

fn inserted(answer: Vec<Value>) -> Result<Inserted, StoreError> {
    let mut answer = answer.into_iter();
    let mut next = || answer.next().ok_or_else(corrupt);
    match reply::bytes(next()?)?.as_slice() {
        b"done" => {}
        b"moved" => return Ok(Inserted::EpochMoved),
        // The id is there already: it was not new.
        _ => return Err(corrupt()),
    }
    let now = reply::time(next()?)?;
    let replaced = reply::integer(&next()?)? == 1;
    let evicted: Result<_, _> = answer.map(reply::session_id).collect();
    Ok(Inserted::Done {
        now,
        replaced,
        evicted: evicted?,
    })
}
