//! [`KeyRotation`]: reads the shared document, does what is due, and follows it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::{Clock, Timestamp};
use crate::base::config::ConfigError;
use crate::keys::refresh::{RefreshKey, RefreshKeys};
use crate::keys::rotation::document::{Entry, KeySet, Keys};
use crate::keys::rotation::health::RotationHealth;
use crate::keys::rotation::persistence::{KeyPersistence, PersistenceError, PersistenceErrorKind};
use crate::keys::rotation::plan::KeyState;
use crate::keys::rotation::rules::Rules;
use crate::keys::rotation::schedule::Timing;
use crate::keys::rotation::{material, plan};
use crate::keys::source::KeySource;
use crate::keys::{Key, KeyRing};
use crate::observe::events::{Event, Events};
use crate::observe::metrics;

/// Tries to write while other nodes write; each means that one of them succeeded.
const TRIES: u32 = 8;
/// A document that is not read or written by then counts as unavailable.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_BACK_OFF: Duration = Duration::from_millis(200);

/// Why keys could not be rotated. The keys in use stay as they are.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The configuration cannot work, or no key could be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Other nodes changed the document again and again.
    #[error("other nodes kept changing the keys")]
    Contended,
    /// The document could not be read or written.
    #[error(transparent)]
    Persistence(#[from] PersistenceError),
}

fn corrupt() -> RotationError {
    PersistenceError::new(PersistenceErrorKind::Corrupt).into()
}

type RefreshListener = Arc<dyn Fn(RefreshKeys) + Send + Sync>;

/// Rotates the keys of an issuer, and its refresh keys.
///
/// ```
/// use std::time::Duration;
/// use auth_core::rotation::{KeyPersistence, KeyRotation, KeySchedule};
/// use auth_core::{Issuer, RequestView};
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
    /// Milliseconds by which the store's clock is ahead of ours.
    ahead: i64,
    known: Keys,
    signing: Vec<Key>,
    refresh: Vec<RefreshKey>,
    pub(crate) source: KeySource,
    refresh_keys: Option<RefreshKeys>,
    listener: Option<RefreshListener>,
    events: Option<Arc<dyn Events>>,
    pub(crate) health: RotationHealth,
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
        }
    }

    /// The keys, for the issuer; what is given out here follows the rotation.
    #[must_use]
    pub fn keys(&self) -> KeySource {
        self.source.clone()
    }

    /// The refresh keys as they are now; `None` if they are not rotated here.
    #[must_use]
    pub fn refresh_keys(&self) -> Option<RefreshKeys> {
        self.refresh_keys.clone()
    }

    /// Calls `listener` with the refresh keys, now and whenever they change.
    #[must_use]
    pub fn on_refresh_keys(
        mut self,
        listener: impl Fn(RefreshKeys) + Send + Sync + 'static,
    ) -> Self {
        if let Some(keys) = self.refresh_keys() {
            listener(keys);
        }
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Whether this node is up to date; it can be asked while [`run`](Self::run) runs.
    #[must_use]
    pub fn health(&self) -> RotationHealth {
        self.health.clone()
    }

    /// The signing keys' ids and states, in the order in which they sign.
    #[must_use]
    pub fn states(&self) -> Vec<(String, KeyState)> {
        let (timing, now) = (self.rules.schedule.timing(), self.now());
        let line = &self.known.signing;
        line.iter()
            .enumerate()
            .map(|(at, entry)| (entry.id.to_string(), plan::state(line, at, &timing, now)))
            .collect()
    }

    /// Reads the document and does what is due: publishes the next key, removes what is gone,
    /// changes over to what other nodes have published.
    ///
    /// # Errors
    /// [`RotationError`]; then the keys follow what was read before.
    ///
    /// # Cancel safety
    /// Dropped half-way, the document is the old one or the new one.
    pub async fn step(&mut self) -> Result<(), RotationError> {
        self.advance_to_due(false).await
    }

    /// Replaces all signing keys by one new key that signs at once: for when one has leaked.
    /// Access tokens issued before are refused, here at once and on other nodes when they have
    /// read the document again; until then those refuse new ones. Refresh tokens stay valid.
    ///
    /// # Errors
    /// [`RotationError`]; call again, or look at [`states`](Self::states).
    pub async fn rekey(&mut self) -> Result<(), RotationError> {
        self.advance_to_due(true).await
    }

    /// Rotates until dropped. Spawn it.
    pub async fn run(mut self) {
        let mut failed: u32 = 0;
        loop {
            match self.step().await {
                Ok(()) => failed = 0,
                Err(error) => {
                    self.report(&error, failed);
                    failed = failed.saturating_add(1);
                }
            }
            tokio::time::sleep(self.pause(failed)).await;
        }
    }

    /// Says it loudly when trouble begins, quietly while it lasts.
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

    /// Until the next look at the document, or the next moment at which the keys change.
    pub(crate) fn pause(&self, failed: u32) -> Duration {
        let poll = self.rules.schedule.poll();
        let pause = match failed {
            0 => poll,
            // Doubling, and never longer than usual.
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
        // Even if nothing could be read, time has passed.
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
                tracing::info!(target: "auth::keys", "the shared keys were changed by this node");
                metrics::keys_changed();
                self.emit(&Event::KeysChanged { rekeyed });
            }
            // Won or lost: what counts is what is read next.
        }
        Err(RotationError::Contended)
    }

    /// Reads the document and takes over what it says. If there is none although there was one,
    /// what is known stays and is to be written again: losing the document must not sign
    /// everybody out.
    async fn read(&mut self) -> Result<(Option<u64>, bool), RotationError> {
        let asked_at = self.clock.now();
        let kept = bounded(self.persistence.load()).await?;
        let answered_at = self.clock.now();
        self.ahead = kept.now.map_or(0, |now| {
            // The store looked at its clock somewhere in between.
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
        // The same id for another key: rings are told apart by their ids otherwise.
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

    /// Puts the keys in force that the document says are in force now.
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

    /// The time that all nodes share, as far as we know it.
    fn now(&self) -> Timestamp {
        let own = self.clock.now().as_millis();
        Timestamp::from_millis(own.saturating_add(self.ahead))
    }
}

/// The keys of a line; two with one id are as corrupt as one that cannot be read.
fn parse<K, I: PartialEq>(
    line: &[Entry],
    key: impl Fn(&Entry) -> Option<K>,
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
    line: &'k [Entry],
    keys: &'k [K],
    timing: &'k Timing,
    now: Timestamp,
) -> impl Iterator<Item = &'k K> {
    keys.iter()
        .enumerate()
        .filter(move |(at, _)| plan::state(line, *at, timing, now) != KeyState::Gone)
        .map(|(_, key)| key)
}

/// The key at `at`, or the nearest later one if its private half is gone: that happens on a node
/// whose clock is behind, and the later one is known everywhere by then.
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
