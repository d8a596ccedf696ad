//! Keys that another service publishes (RFC 7517), kept up to date.
//!
//! Core keeps the rules and the clock; an adapter such as `auth-jwks` fetches.
//!
//! 1. A key that is known never waits, whatever happens to the fetches.
//! 2. A set is fresh for what `Cache-Control: max-age` says, less `Age`, within 5 minutes to 24
//!    hours; 10 minutes if it says nothing. At 80 % of that it is fetched again in the background.
//! 3. One fetch at a time. A key that is not known makes the request wait for one fetch, unless the
//!    last one ended less than 30 seconds ago, however it ended.
//! 4. After a fetch that failed the keys stay good for up to an hour beyond their freshness, and it
//!    is tried again every 30 seconds. A key that is not known is then answered by 503, since
//!    nobody can say that it does not exist; so is every token once the hour is over. After a
//!    fetch that went well it is 401: for up to 30 seconds a key that was published after that
//!    fetch is unknown here. Issuers that publish a key before they sign with it are not affected.
//! 5. A key that a good fetch did not bring is remembered as missing for 5 minutes: 1024 of them,
//!    as keyed hashes. What cannot be a key id is refused without a fetch.
//! 6. A document is at most 64 KiB and has at most 64 keys, or as many as it was given, else it is
//!    refused and the keys before it stay. A key that cannot be used does not spoil the others; the
//!    log names it once, by its index and the member at fault. Of two keys with one id that could
//!    both verify a token neither is used.
//! 7. A set without a usable key replaces the one before it: its keys were withdrawn. Until there
//!    is one the answer is 503.
//! 8. A fetch is not a request's: it goes on when the request that asked for it is dropped.
//! 9. A token without `kid` names no key, so one that the only eligible key did not sign counts as
//!    one whose key is not known: by rule 3 it may be the reason for a fetch. Rule 5 cannot hold
//!    for it. With several eligible keys it is refused, see `verify`.

pub(crate) mod document;
pub(crate) mod fetch;
pub(crate) mod negative;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod task;

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, watch};

#[cfg(any(test, feature = "testing"))]
use self::document::Limits;
use self::state::{State, Unknown};
use crate::base::clock::{Clock, Timestamp};
use crate::base::config::ConfigError;
#[cfg(any(test, feature = "testing"))]
use crate::keys::Key;
use crate::keys::{Algorithm, CurrentRing, KeyRing, is_key_id};

pub use self::fetch::{FetchError, FetchKeys, FetchedKeys};
pub use self::task::RemoteKeysTask;
use crate::keys::remote::shared::RemoteKeySet;
use crate::keys::source::KeySource;
pub use crate::observe::words::FetchFault;

/// The usable keys of a document.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn read_document(body: &[u8], allowed: &[Algorithm]) -> Result<Vec<Key>, FetchFault> {
    document::read(body, allowed, Limits::default()).map(|usable| usable.keys)
}

/// The longest a fetch may take, all its requests together.
const FETCH_LIMIT: Duration = Duration::from_secs(10);
/// The longest a request waits: a fetch, and a little for the task to be scheduled.
const WAIT_LIMIT: Duration = Duration::from_secs(12);

/// The keys of one issuer, fetched from where it publishes them. Clones share them.
///
/// Give it to an authenticator in place of local keys. `auth-jwks` makes one that fetches over
/// HTTPS; with a [`FetchKeys`] of your own it can come from anywhere:
///
/// ```
/// use auth_core::remote::{FetchError, FetchKeys, FetchedKeys, RemoteKeys};
/// use auth_core::{Algorithm, Authenticator, SystemClock};
/// use std::sync::Arc;
///
/// #[derive(Debug)]
/// struct FromFile;
///
/// #[async_trait::async_trait]
/// impl FetchKeys for FromFile {
///     async fn fetch(&self, _etag: Option<&str>) -> Result<FetchedKeys, FetchError> {
///         Ok(FetchedKeys::document(br#"{"keys":[]}"#.as_slice()))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), auth_core::ConfigError> {
/// let (keys, task) = RemoteKeys::new(
///     "https://id.example",
///     [Algorithm::Es256],
///     Arc::new(FromFile),
///     Arc::new(SystemClock),
/// )?;
/// tokio::spawn(task.run());
/// let auth: Arc<Authenticator<()>> = Authenticator::for_issuer("https://id.example")
///     .audience("https://api.example")
///     .keys(keys)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RemoteKeys {
    handle: Arc<Handle>,
}

/// Ends the task when the last clone is gone.
struct Handle(Arc<RemoteKeySet>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// How the keys of an issuer stand, for health checks and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteKeysStatus {
    /// Fetches begun so far.
    pub fetches: u64,
    /// How many of them ended with keys, or with the news that they have not changed.
    pub successes: u64,
    /// How many of them failed. What is missing is under way.
    pub failures: u64,
    /// When the last good one ended.
    pub last_success: Option<Timestamp>,
    /// What was wrong with the last one; `None` if nothing was.
    pub last_fault: Option<FetchFault>,
    /// Usable keys at hand.
    pub keys: usize,
    /// Keys of the last document that cannot be used, whatever the reason.
    pub skipped: usize,
    /// Whether tokens can be verified right now. It is false before the first set, an hour after
    /// the last set went stale, and after a set without a usable key.
    pub usable: bool,
}

impl RemoteKeys {
    /// The keys of `issuer`, of which those for `algorithms` are used, and the task that fetches
    /// them with `fetcher`. Spawn the task; without it no key ever comes.
    ///
    /// Nothing is fetched before the first token that needs a key; [`load`](Self::load) does not
    /// wait for one. `clock` must be the authenticator's.
    ///
    /// # Errors
    /// If the issuer is empty, if no algorithm is named, or a symmetric one: what is published is
    /// no secret.
    pub fn new(
        issuer: impl Into<String>,
        algorithms: impl IntoIterator<Item = Algorithm>,
        fetcher: Arc<dyn FetchKeys>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, RemoteKeysTask), ConfigError> {
        let issuer: Box<str> = issuer.into().into();
        let algorithms: Box<[Algorithm]> = algorithms.into_iter().collect();
        check(&issuer, &algorithms)?;
        let shared = Arc::new(RemoteKeySet {
            issuer,
            algorithms,
            clock,
            ring: Arc::new(CurrentRing::new(KeyRing::of_remote(Vec::new()))),
            usable_until: AtomicI64::new(i64::MIN),
            wake_at: AtomicI64::new(i64::MAX),
            state: Mutex::new(State::default()),
            wake: Notify::new(),
            ended: watch::Sender::new(0),
            closed: watch::Sender::new(false),
        });
        let task = RemoteKeysTask::new(Arc::clone(&shared), fetcher);
        let handle = Arc::new(Handle(shared));
        Ok((Self { handle }, task))
    }

    /// The issuer whose keys these are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.handle.0.issuer
    }

    /// Waits until there are usable keys, for services that want them before they serve.
    ///
    /// # Errors
    /// [`FetchError`] if the fetch fails, or if the last one failed less than 30 seconds ago. The
    /// task goes on trying: a later call, or a request, may find keys.
    pub async fn load(&self) -> Result<(), FetchError> {
        let shared = &self.handle.0;
        let waiting = {
            let mut state = shared.state();
            if shared.is_usable(shared.clock.now()) {
                return Ok(());
            }
            shared
                .request_fetch(&mut state)
                .then(|| shared.ended.subscribe())
        };
        if let Some(ended) = waiting {
            wait(ended).await;
        }
        if shared.is_usable(shared.clock.now()) {
            Ok(())
        } else {
            Err(shared.last_error())
        }
    }

    /// How the keys stand.
    #[must_use]
    pub fn status(&self) -> RemoteKeysStatus {
        let shared = &self.handle.0;
        let usable = shared.is_usable(shared.clock.now());
        let keys = shared.ring.load().iter().count();
        let state = shared.state();
        RemoteKeysStatus {
            fetches: state.fetches,
            successes: state.successes,
            failures: state.failures,
            last_success: state.last_success,
            last_fault: state.last_fault(),
            keys,
            skipped: state.skipped.len(),
            usable,
        }
    }

    /// Ends the task, and a fetch that is under way. Keys at hand stay usable until they are stale.
    pub fn shutdown(&self) {
        self.handle.0.close();
    }

    /// Where the current keys are read from.
    pub(crate) fn ring(&self) -> Arc<CurrentRing> {
        Arc::clone(&self.handle.0.ring)
    }

    pub(crate) fn allows(&self, algorithm: Algorithm) -> bool {
        self.handle.0.algorithms.contains(&algorithm)
    }

    /// Whether the keys at hand may be used at `now`. Wakes the task if it has something to do.
    pub(crate) fn is_usable(&self, now: Timestamp) -> bool {
        let shared = &self.handle.0;
        if now.as_millis() >= shared.wake_at.load(Ordering::Relaxed) {
            // Once; the task sets it anew.
            shared.wake_at.store(i64::MAX, Ordering::Relaxed);
            shared.wake.notify_one();
        }
        shared.is_usable(now)
    }

    /// What to do about a token whose key is not in `seen`, the ring that was looked at; or of
    /// which, if it names no key, the only one there did not make the signature.
    /// `was_usable` is what [`is_usable`](Self::is_usable) said then.
    pub(crate) fn find(
        &self,
        kid: Option<&str>,
        seen: &Arc<KeyRing>,
        was_usable: bool,
    ) -> KeySearch {
        let shared = &self.handle.0;
        if was_usable && kid.is_some_and(|kid| !is_key_id(kid)) {
            return KeySearch::Unknown;
        }
        let now = shared.clock.now();
        let mut state = shared.state();
        let usable = shared.is_usable(now);
        // A fetch may have ended since it was looked at.
        let replaced = !Arc::ptr_eq(&shared.ring.load(), seen);
        if usable && (!was_usable || replaced) {
            return KeySearch::Wait(KeyWait(None));
        }
        if *shared.closed.borrow() {
            return KeySearch::Unavailable;
        }
        match state.find(kid.filter(|_| usable), now) {
            Unknown::Refuse if usable => KeySearch::Unknown,
            Unknown::Refuse | Unknown::Unavailable => KeySearch::Unavailable,
            Unknown::Wait => {
                shared.wake.notify_one();
                KeySearch::Wait(KeyWait(Some(shared.ended.subscribe())))
            }
        }
    }

    /// As [`find`](Self::find), for a token that has waited and must wait no more.
    pub(crate) fn find_after_fetch(&self, kid: Option<&str>) -> KeySearch {
        let shared = &self.handle.0;
        let now = shared.clock.now();
        let mut state = shared.state();
        if !shared.is_usable(now) || state.is_fetching() || !state.has_succeeded() {
            return KeySearch::Unavailable;
        }
        if let Some(kid) = kid {
            state.note_missing(kid, now);
        }
        KeySearch::Unknown
    }

    pub(crate) fn last_error(&self) -> FetchError {
        self.handle.0.last_error()
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("issuer", &self.issuer())
            .field("status", &self.status())
            .finish()
    }
}

fn check(issuer: &str, algorithms: &[Algorithm]) -> Result<(), ConfigError> {
    if issuer.is_empty() {
        return Err(ConfigError::new("issuer", "must not be empty"));
    }
    if algorithms.is_empty() {
        return Err(ConfigError::new(
            "algorithms",
            "name those that the issuer signs with",
        ));
    }
    if algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
        return Err(ConfigError::new(
            "algorithms",
            "HMAC keys are never taken from a published set",
        ));
    }
    Ok(())
}

/// What to do about a token whose key is not at hand.
#[derive(Debug)]
pub(crate) enum KeySearch {
    /// There is no such key.
    Unknown,
    /// Nobody can say.
    Unavailable,
    /// A fetch will tell.
    Wait(KeyWait),
}

/// The end of the fetch that is under way or about to begin, unless it has come already.
#[derive(Debug)]
pub(crate) struct KeyWait(Option<watch::Receiver<u64>>);

impl KeyWait {
    pub(crate) async fn ended(self) {
        if let Some(ended) = self.0 {
            wait(ended).await;
        }
    }
}

async fn wait(mut ended: watch::Receiver<u64>) {
    // Whatever comes of it, the state is asked again.
    let _ = tokio::time::timeout(WAIT_LIMIT, ended.changed()).await;
}

impl From<RemoteKeys> for KeySource {
    fn from(remote: RemoteKeys) -> Self {
        Self {
            current: remote.ring(),
            remote: Some(remote),
        }
    }
}

#[cfg(test)]
mod tests;
