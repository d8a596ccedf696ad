//! [`KeyRotationBuilder`]: the options of a rotation.

use std::sync::Arc;

use crate::base::clock::{Clock, SystemClock};
use crate::base::config::ConfigError;
use crate::keys::Algorithm;
use crate::keys::rotation::material;
use crate::keys::rotation::persistence::KeyPersistence;
use crate::keys::rotation::rules::Rules;
use crate::keys::rotation::schedule::{KeySchedule, RefreshKeySchedule};
use crate::keys::rotation::task::{KeyRotation, RotationError};
use crate::observe::events::Events;

/// A builder of a [`KeyRotation`].
#[derive(Clone, Debug)]
#[must_use]
pub struct KeyRotationBuilder {
    rules: Rules,
    persistence: Arc<dyn KeyPersistence>,
    clock: Arc<dyn Clock>,
    events: Option<Arc<dyn Events>>,
}

impl KeyRotationBuilder {
    pub(crate) fn new(persistence: Arc<dyn KeyPersistence>, schedule: KeySchedule) -> Self {
        Self {
            rules: Rules {
                schedule,
                algorithm: Algorithm::Es256,
                refresh: None,
                first_key: None,
                first_refresh_key: None,
            },
            persistence,
            clock: Arc::new(SystemClock),
            events: None,
        }
    }

    /// Sets the algorithm of new keys. Default: ES256. Existing keys stay until they retire, so a
    /// change takes effect with the next key.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.rules.algorithm = algorithm;
        self
    }

    /// Sets the private JWK to start with if no key is stored yet, instead of a new key, so that
    /// issued tokens stay valid.
    ///
    /// # Errors
    /// [`ConfigError`] as for [`Key::from_jwk`](crate::Key::from_jwk), and if it is not a private
    /// key.
    pub fn with_first_key(mut self, jwk: &str) -> Result<Self, ConfigError> {
        self.rules.first_key = Some(material::given_signing_key(jwk)?);
        Ok(self)
    }

    /// Rotates refresh keys too, by this schedule. Default: off.
    pub fn with_refresh_keys(mut self, schedule: RefreshKeySchedule) -> Self {
        self.rules.refresh = Some(schedule);
        self
    }

    /// Sets the refresh key to start with if none is stored yet, instead of a new one, so that
    /// sessions stay valid.
    ///
    /// # Errors
    /// [`ConfigError`] as for [`RefreshKey::new`](crate::keys::refresh::RefreshKey::new).
    pub fn with_first_refresh_key(mut self, id: u8, secret: &[u8]) -> Result<Self, ConfigError> {
        self.rules.first_refresh_key = Some(material::given_refresh_key(id, secret)?);
        Ok(self)
    }

    /// Reads the time from `clock`. Default: the system clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets a listener for key events: changes by this node, and failures.
    pub fn with_events(mut self, events: Arc<dyn Events>) -> Self {
        self.events = Some(events);
        self
    }

    /// Reads the document, or creates the first one. Any number of nodes may start at once: they
    /// start with the same keys.
    ///
    /// # Errors
    /// [`RotationError`] if the times do not fit together, or there are no keys to start with.
    pub async fn start(self) -> Result<KeyRotation, RotationError> {
        self.rules.schedule.check()?;
        if let Some(refresh) = &self.rules.refresh {
            refresh.check(&self.rules.schedule)?;
        }
        let mut rotation = KeyRotation::new(self.rules, self.persistence, self.clock, self.events);
        rotation.step().await?;
        Ok(rotation)
    }
}

impl KeyRotation {
    /// Creates a builder for keys that are stored in `persistence`.
    pub fn builder(
        persistence: impl KeyPersistence + 'static,
        schedule: KeySchedule,
    ) -> KeyRotationBuilder {
        KeyRotationBuilder::new(Arc::new(persistence), schedule)
    }
}
