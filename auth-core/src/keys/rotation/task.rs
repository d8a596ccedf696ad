//! [`KeyRotation`]: the task that reads the shared document and applies due changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::{Clock, Timestamp};
use crate::base::config::ConfigError;
use crate::keys::refresh::{RefreshKey, RefreshKeys};
use crate::keys::rotation::document::{KeyEntry, KeySet, Keys};
use crate::keys::rotation::health::RotationHealth;
use crate::keys::rotation::persistence::{KeyPersistence, PersistenceError, PersistenceErrorKind};
use crate::keys::rotation::plan::KeyState;
use crate::keys::rotation::rules::Rules;
use crate::keys::rotation::schedule::{RefreshKeySchedule, Timing};
use crate::keys::rotation::{material, plan};
use crate::keys::source::KeySource;
use crate::keys::{Key, KeyRing};
use crate::observe::events::{Event, Events};
use crate::observe::metrics;

/// Number of write attempts. Each failed one means that another node succeeded.
const TRIES: u32 = 8;
/// Timeout for a read or write of the document.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_BACK_OFF: Duration = Duration::from_millis(200);

/// The error of a rotation step. The current keys stay as they are.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The configuration is invalid, or no key could be generated.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Concurrent changes by other nodes won against every retry.
    #[error("concurrent changes by other nodes won every retry")]
    Contended,
    /// The document could not be read or written.
    #[error(transparent)]
    Persistence(#[from] PersistenceError),
}

fn corrupt() -> RotationError {
    PersistenceError::new(PersistenceErrorKind::Corrupt).into()
}

type RefreshListener = Arc<dyn Fn(RefreshKeys) + Send + Sync>;

/// A task that rotates the signing keys of an issuer, and its refresh keys.
///
/// ```
/// use std::time::Duration;
/// use auth_core::rotation::{KeyRotation, KeySchedule};
/// use auth_core::store::KeyPersistence;
/// use auth_core::adapter::RequestView;
/// use auth_core::Issuer;
///
/// # async fn start(kept: impl KeyPersistence + 'static) -> Result<(), Box<dyn std::error::Error>> {
/// let schedule = KeySchedule::for_lifetime(Duration::from_secs(600));
/// let rotation = KeyRotation::builder(kept, schedule).start().await?;
/// let issuer = Issuer::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(rotation.keys())?;
/// rotation.check(&issuer)?;
/// let jwks = rotation.jwks();
/// let health = rotation.health();
///
/// // Ends when its handle is aborted or the runtime shuts down.
/// let task = tokio::spawn(rotation.run());
/// # Ok(())
/// # }
/// ```
pub struct KeyRotation {
    pub(crate) rules: Rules,
    persistence: Arc<dyn KeyPersistence>,
    clock: Arc<dyn Clock>,
    /// Difference between the store's clock and the local one, in milliseconds.
    ahead: i64,
    known: Keys,
    signing: Vec<Key>,
    refresh: Vec<RefreshKey>,
    pub(crate) source: KeySource,
    refresh_keys: Option<RefreshKeys>,
    listener: Option<RefreshListener>,
    events: Option<Arc<dyn Events>>,
    pub(crate) health: RotationHealth,
    /// Number of failed steps in a row.
    failed: u32,
}

impl fmt::Debug for KeyRotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRotation")
            .field("rules", &self.rules)
            .field("persistence", &self.persistence)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

impl KeyRotation {
    pub(crate) fn new(
        rules: Rules,
        persistence: Arc<dyn KeyPersistence>,
        clock: Arc<dyn Clock>,
        events: Option<Arc<dyn Events>>,
    ) -> Self {
        let staleness = rules.schedule.staleness();
        Self {
            health: RotationHealth::new(Arc::clone(&clock), staleness),
            rules,
            persistence,
            clock,
            ahead: 0,
            known: Keys::default(),
            signing: Vec::new(),
            refresh: Vec::new(),
            source: KeyRing::of(Vec::new(), None).into(),
            refresh_keys: None,
            listener: None,
            events,
            failed: 0,
        }
    }

    /// The signing keys, for the issuer. The returned source follows the rotation.
    #[must_use]
    pub fn keys(&self) -> KeySource {
        self.source.clone()
    }

    /// The current refresh keys. `None` if this rotation has none.
    #[must_use]
    pub fn refresh_keys(&self) -> Option<RefreshKeys> {
        self.refresh_keys.clone()
    }

    /// The longest idle time of sessions that the refresh keys allow for. `None` without refresh
    /// keys.
    pub(crate) fn longest_idle(&self) -> Option<Duration> {
        self.rules
            .refresh
            .as_ref()
            .map(RefreshKeySchedule::longest_idle)
    }

    /// Sets a listener that is called with the refresh keys, now and on every change.
    #[must_use]
    pub fn with_refresh_key_listener(
        mut self,
        listener: impl Fn(RefreshKeys) + Send + Sync + 'static,
    ) -> Self {
        if let Some(keys) = self.refresh_keys() {
            listener(keys);
        }
        self.listener = Some(Arc::new(listener));
        self
    }

    /// The freshness of this node's keys, also readable while [`run`](Self::run) runs.
    #[must_use]
    pub fn health(&self) -> RotationHealth {
        self.health.clone()
    }

    /// The ids and states of the signing keys, in the order in which they sign.
    #[must_use]
    pub fn states(&self) -> Vec<(String, KeyState)> {
        let (timing, now) = (self.rules.schedule.timing(), self.now());
        let line = &self.known.signing;
        line.iter()
            .enumerate()
            .map(|(at, entry)| (entry.id.to_string(), plan::state(line, at, &timing, now)))
            .collect()
    }

    /// Reads the document and applies due changes: publishes the next key, removes keys that are
    /// gone, and switches to keys that other nodes have published.
    ///
    /// # Errors
    /// [`RotationError`]; the keys then stay as last read.
    ///
    /// # Cancel safety
    /// If the call is dropped, the document is the old one or the new one.
    pub async fn step(&mut self) -> Result<(), RotationError> {
        self.advance_to_due(false).await
    }

    /// Replaces all signing keys by one new key that signs at once, for use after a leak. Access
    /// tokens issued before are refused, at once here, and on other nodes after their next poll;
    /// until then those refuse new ones. Refresh tokens stay valid.
    ///
    /// # Errors
    /// [`RotationError`]; call again, or check [`states`](Self::states).
    pub async fn rekey(&mut self) -> Result<(), RotationError> {
        self.advance_to_due(true).await
    }

    /// Rotates keys until the future is dropped. Spawn it.
    pub async fn run(mut self) {
        loop {
            let pause = self.advance().await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Runs one step and reports its failure. Returns the pause before the next one.
    pub(crate) async fn advance(&mut self) -> Duration {
        match self.step().await {
            Ok(()) => self.failed = 0,
            Err(error) => {
                self.report(&error, self.failed);
                self.failed = self.failed.saturating_add(1);
            }
        }
        self.pause(self.failed)
    }

    /// Logs an error when a failure starts, and at a lower level while it lasts.
    fn report(&self, error: &RotationError, failed: u32) {
        metrics::keys_failed();
        if failed == 0 {
            tracing::error!(target: "auth::keys", "{error}");
            self.emit(&Event::KeysFailed);
        } else {
            tracing::debug!(target: "auth::keys", failed, "{error}");
        }
    }

    fn emit(&self, event: &Event<'_>) {
        if let Some(events) = &self.events {
            events.on_event(event);
        }
    }

    /// The time until the next poll of the document or the next change of keys.
    pub(crate) fn pause(&self, failed: u32) -> Duration {
        let poll = self.rules.schedule.poll();
        let pause = match failed {
            0 => poll,
            // Doubles, up to the poll interval.
            _ => FIRST_BACK_OFF.saturating_mul(1 << failed.min(16)).min(poll),
        };
        let now = self.now();
        let due = [
            plan::due(&self.known.signing, &self.rules.schedule.timing(), now),
            self.rules
                .refresh_timing()
                .and_then(|timing| plan::due(&self.known.refresh, &timing, now)),
        ];
        due.into_iter()
            .flatten()
            .map(|moment| moment.saturating_since(now))
            .fold(pause, Duration::min)
    }

    async fn advance_to_due(&mut self, mut rekey: bool) -> Result<(), RotationError> {
        let settled = self.try_settle(&mut rekey).await;
        // Time has passed even if the read failed.
        self.follow();
        settled
    }

    async fn try_settle(&mut self, rekey: &mut bool) -> Result<(), RotationError> {
        for _ in 0..TRIES {
            let (version, outdated) = self.read().await?;
            let now = self.now();
            let changed = if *rekey {
                Some(self.rules.rekeyed(&self.known, now)?)
            } else {
                self.rules.next(&self.known, now)?
            };
            let must_write = outdated || version.is_none();
            let Some(keys) = changed.or_else(|| must_write.then(|| self.known.clone())) else {
                return Ok(());
            };
            let document = keys.encode().ok_or_else(corrupt)?;
            if bounded(self.persistence.save(version, &document)).await? {
                let rekeyed = std::mem::take(rekey);
                tracing::info!(target: "auth::keys", "this node changed the shared keys");
                metrics::keys_changed();
                self.emit(&Event::KeysChanged { rekeyed });
            }
            // The next read decides whether the write succeeded.
        }
        Err(RotationError::Contended)
    }

    /// Reads the document and applies it. If it is missing although there was one, the known keys
    /// stay and are to be written again: a lost document must not log out all users.
    async fn read(&mut self) -> Result<(Option<u64>, bool), RotationError> {
        let asked_at = self.clock.now();
        let kept = bounded(self.persistence.load()).await?;
        let answered_at = self.clock.now();
        self.ahead = kept.now.map_or(0, |now| {
            // The store read its clock at some time in between: half-way is the best estimate.
            let half = answered_at.saturating_since(asked_at) / 2;
            now.millis_since(asked_at.saturating_add(half))
        });
        let version = match &kept.document {
            Some((version, document)) => {
                self.take_over(document)?;
                Some(*version)
            }
            None => None,
        };
        self.health.read(asked_at);
        self.follow();
        Ok((version, kept.outdated))
    }

    fn take_over(&mut self, document: &KeySet) -> Result<(), RotationError> {
        let keys = Keys::decode(document).ok_or_else(corrupt)?;
        if keys == self.known {
            return Ok(());
        }
        let signing = parse(&keys.signing, material::signing_key, |key| {
            key.id().to_owned()
        })?;
        let refresh = parse(&keys.refresh, material::refresh_key, RefreshKey::id)?;
        // A different key may have the same id, which a comparison of ids would miss.
        let replaced = keys.refresh.iter().any(|entry| {
            let mut known = self.known.refresh.iter();
            known.any(|old| old.id == entry.id && old.material != entry.material)
        });
        if replaced {
            self.refresh_keys = None;
        }
        (self.known, self.signing, self.refresh) = (keys, signing, refresh);
        Ok(())
    }

    /// Activates the current keys of the document.
    fn follow(&mut self) {
        let now = self.now();
        let ring = self.ring(now);
        let current = self.source.load();
        if !current.is_like(&ring) {
            self.source.replace(ring);
        }
        let Some(keys) = self.refresh_ring(now) else {
            return;
        };
        let unchanged = |old: &RefreshKeys| old.ids().eq(keys.ids());
        if !self.refresh_keys.as_ref().is_some_and(unchanged) {
            self.refresh_keys = Some(keys.clone());
            if let Some(listener) = &self.listener {
                listener(keys);
            }
        }
    }

    fn ring(&self, now: Timestamp) -> KeyRing {
        let timing = self.rules.schedule.timing();
        let cut_off_for = self.health.age();
        if cut_off_for >= timing.lead.saturating_add(timing.retiring) {
            return KeyRing::of(Vec::new(), None);
        }
        let line = &self.known.signing;
        let keys = in_force(line, &self.signing, &timing, now)
            .cloned()
            .collect();
        let signing = plan::signing(line, now)
            .filter(|_| cut_off_for < timing.lead)
            .and_then(|at| able_to_sign(&self.signing, at));
        KeyRing::of(keys, signing.cloned())
    }

    fn refresh_ring(&self, now: Timestamp) -> Option<RefreshKeys> {
        let timing = self.rules.refresh_timing()?;
        let line = &self.known.refresh;
        let signing = self.refresh.get(plan::signing(line, now)?)?;
        in_force(line, &self.refresh, &timing, now)
            .filter(|key| key.id() != signing.id())
            .try_fold(RefreshKeys::new(signing.clone()), |keys, key| {
                keys.with_verify_only(key.clone())
            })
            .ok()
    }

    /// The time that all nodes share, as far as known.
    fn now(&self) -> Timestamp {
        let own = self.clock.now().as_millis();
        Timestamp::from_millis(own.saturating_add(self.ahead))
    }
}

/// Parses the keys of a line. Two keys with one id are as corrupt as an unreadable one.
fn parse<K, I: PartialEq>(
    line: &[KeyEntry],
    key: impl Fn(&KeyEntry) -> Option<K>,
    id: impl Fn(&K) -> I,
) -> Result<Vec<K>, RotationError> {
    let mut keys: Vec<K> = Vec::with_capacity(line.len());
    for entry in line {
        let key = key(entry).ok_or_else(corrupt)?;
        if keys.iter().any(|other| id(other) == id(&key)) {
            return Err(corrupt());
        }
        keys.push(key);
    }
    Ok(keys)
}

fn in_force<'k, K>(
    line: &'k [KeyEntry],
    keys: &'k [K],
    timing: &'k Timing,
    now: Timestamp,
) -> impl Iterator<Item = &'k K> {
    keys.iter()
        .enumerate()
        .filter(move |(at, _)| plan::state(line, *at, timing, now) != KeyState::Gone)
        .map(|(_, key)| key)
}

/// The key at `at`, or the nearest later one if its private half is gone. That happens on a node
/// whose clock is behind; the later key is known everywhere by then.
fn able_to_sign(keys: &[Key], at: usize) -> Option<&Key> {
    keys.iter().skip(at).find(|key| key.can_sign())
}

async fn bounded<T>(
    call: impl Future<Output = Result<T, PersistenceError>>,
) -> Result<T, PersistenceError> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => answer,
        Err(elapsed) => {
            Err(PersistenceError::new(PersistenceErrorKind::Unavailable).with_source(elapsed))
        }
    }
}
