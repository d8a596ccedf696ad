//! Remote keys: key sets published by another service (RFC 7517), kept up to date.
//!
//! Core has the rules and the clock; an adapter such as `auth-jwks` fetches.
//!
//! 1. A token with a known key never waits, regardless of fetches.
//! 2. A set is fresh for `Cache-Control: max-age` minus `Age`, within 5 minutes to 24 hours; 10
//!    minutes without the field. At 80 % of that time it is fetched again in the background.
//! 3. Fetches never overlap. A request with an unknown key waits for one fetch, unless the last one
//!    ended, with any result, less than 30 seconds ago.
//! 4. After a failed fetch the keys stay usable for up to an hour beyond their freshness, and the
//!    fetch is repeated every 30 seconds. The response for an unknown key is then 503, since the key
//!    may exist; after that hour it is 503 for every token. After a successful fetch it is 401: a key
//!    published after that fetch is unknown for up to 30 seconds. Issuers that publish a key before
//!    they sign with it are not affected.
//! 5. A key that a successful fetch did not return is cached as missing for 5 minutes: 1024 of
//!    them, as keyed hashes. A `kid` that cannot be a key id is refused without a fetch.
//! 6. A document has at most 64 KiB and 64 keys, or the configured limits. A larger one is refused
//!    and the current keys stay. An unusable key does not affect the others; the log names it once,
//!    by its index and the member at fault. Of two keys with one id that could both verify a token
//!    neither is used.
//! 7. A set without a usable key replaces the current one: the keys were withdrawn. Until the next
//!    usable set the response is 503.
//! 8. A fetch does not belong to a request: it continues when the request that started it is dropped.
//! 9. A token without `kid` names no key. If the only eligible key did not sign it, its key counts
//!    as unknown: by rule 3 it may start a fetch. Rule 5 cannot apply to it. With several eligible
//!    keys the token is refused, see `verify`.

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
use self::shared::RemoteKeySet;
use self::state::{FetchState, Unknown};
use crate::base::clock::{Clock, Timestamp};
use crate::base::config::ConfigError;
use crate::keys::algorithm::Algorithm;
#[cfg(any(test, feature = "testing"))]
use crate::keys::key::Key;
use crate::keys::key::is_key_id;
use crate::keys::ring::{CurrentRing, KeyRing};

pub use self::fetch::{FetchError, FetchKeys, FetchedKeys};
pub use self::task::RemoteKeysTask;
pub use crate::observe::words::FetchFault;

/// Parses the usable keys of a document.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn read_document(body: &[u8], allowed: &[Algorithm]) -> Result<Vec<Key>, FetchFault> {
    document::read(body, allowed, Limits::default()).map(|usable| usable.keys)
}

/// Timeout of a fetch, including all its requests.
const FETCH_LIMIT: Duration = Duration::from_secs(10);
/// Timeout of a waiting request: a fetch, plus time for the task to be scheduled.
const WAIT_LIMIT: Duration = Duration::from_secs(12);

/// The keys of one issuer, fetched from its published key set. Clones share them.
///
/// Pass them to an authenticator in place of local keys. `auth-jwks` creates them for HTTPS; a
/// custom [`FetchKeys`] can read any source:
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

/// A handle that ends the task when the last clone is dropped.
struct Handle(Arc<RemoteKeySet>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The state of an issuer's keys, for health checks and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteKeysStatus {
    /// Number of started fetches.
    pub fetches: u64,
    /// Number of fetches that returned keys, or confirmed the current ones.
    pub successes: u64,
    /// Number of failed fetches. The difference to `fetches` is still running.
    pub failures: u64,
    /// Time at which the last successful fetch ended.
    pub last_success: Option<Timestamp>,
    /// Fault of the last fetch. `None` if it succeeded.
    pub last_fault: Option<FetchFault>,
    /// Number of usable keys.
    pub keys: usize,
    /// Number of unusable keys in the last document.
    pub skipped: usize,
    /// Whether tokens can be verified now. False before the first set, an hour after the last set
    /// became stale, and after a set without a usable key.
    pub usable: bool,
}

impl RemoteKeys {
    /// Creates the keys of `issuer` for `algorithms`, and the task that fetches them with
    /// `fetcher`. Spawn the task: without it no keys are fetched.
    ///
    /// The first fetch starts with the first token that needs a key, or with [`load`](Self::load).
    /// `clock` must be the authenticator's.
    ///
    /// # Errors
    /// [`ConfigError`] if the issuer is empty, if no algorithm is given, or a symmetric one: a
    /// published secret is no secret.
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
            state: Mutex::new(FetchState::default()),
            wake: Notify::new(),
            ended: watch::Sender::new(0),
            closed: watch::Sender::new(false),
        });
        let task = RemoteKeysTask::new(Arc::clone(&shared), fetcher);
        let handle = Arc::new(Handle(shared));
        Ok((Self { handle }, task))
    }

    /// The issuer of the keys.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.handle.0.issuer
    }

    /// Waits until there are usable keys, for services that load them before they serve.
    ///
    /// # Errors
    /// [`FetchError`] if the fetch fails, or if the last one failed less than 30 seconds ago. The
    /// task continues: a later call, or a request, may find keys.
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

    /// The current state of the keys.
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

    /// Ends the task and a running fetch. The current keys stay usable until they are stale.
    pub fn shutdown(&self) {
        self.handle.0.close();
    }

    /// The holder of the current keys.
    pub(crate) fn ring(&self) -> Arc<CurrentRing> {
        Arc::clone(&self.handle.0.ring)
    }

    pub(crate) fn allows(&self, algorithm: Algorithm) -> bool {
        self.handle.0.algorithms.contains(&algorithm)
    }

    /// Whether the current keys may be used at `now`. Wakes the task if it is late.
    pub(crate) fn is_usable(&self, now: Timestamp) -> bool {
        let shared = &self.handle.0;
        if now.as_millis() >= shared.wake_at.load(Ordering::Relaxed) {
            // Wakes once: the task sets the next time.
            shared.wake_at.store(i64::MAX, Ordering::Relaxed);
            shared.wake.notify_one();
        }
        shared.is_usable(now)
    }

    /// The action for a token whose key is not in `seen`, the ring that was searched. For a token
    /// without a key id, the signature is not of the only key there. `was_usable` is the result of
    /// [`is_usable`](Self::is_usable) at that time.
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
        // A fetch may have ended in the meantime.
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

    /// Repeats [`find`](Self::find) for a token that has waited and must not wait again.
    pub(crate) fn find_after_fetch(&self, kid: Option<&str>, _: FetchEnded) -> KeySearch {
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
            "must not be empty: set those of the issuer's signatures",
        ));
    }
    if algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
        return Err(ConfigError::new(
            "algorithms",
            "HMAC keys of a published set are never used",
        ));
    }
    Ok(())
}

/// The action for a token whose key is missing.
#[derive(Debug)]
pub(crate) enum KeySearch {
    /// Refuse: there is no such key.
    Unknown,
    /// Respond with 503: the key may exist.
    Unavailable,
    /// Wait for the fetch.
    Wait(KeyWait),
}

/// The end of the running or next fetch, unless it has ended already.
#[derive(Debug)]
pub(crate) struct KeyWait(Option<watch::Receiver<u64>>);

impl KeyWait {
    pub(crate) async fn ended(self) -> FetchEnded {
        if let Some(ended) = self.0 {
            wait(ended).await;
        }
        FetchEnded(())
    }
}

/// Proof that a token has waited for a fetch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchEnded(());

async fn wait(mut ended: watch::Receiver<u64>) {
    // The timeout needs no handling: the state is read again in either case.
    let _ = tokio::time::timeout(WAIT_LIMIT, ended.changed()).await;
}

#[cfg(test)]
mod tests;
