//! The schedules, and the rotation itself.

use std::sync::Arc;
use std::time::Duration;

use auth_core::rotation::{
    EncryptedKeys, KeyEncryptionKey, KeyRotation, KeySchedule, RefreshKeySchedule,
};
use auth_core::session::SessionPolicy;
use auth_core::store::{KeyPersistence, RefreshStore, StoreClock};
use auth_core::{Clock, SystemClock, Timestamp};
use auth_store::{PostgresStore, RedisStore, StoreOptions};
use serde::{Deserialize, Serialize};

use super::LAPSE;
use super::clock::Lapse;
use super::node::Settings;
use crate::cluster::Failure;

/// How fast time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pace {
    /// As it does. Nobody caches keys, so they change every second.
    Real,
    /// Faster; lifetimes are ordinary.
    Lapse,
}

const IDLE: Duration = Duration::from_secs(5);

impl Pace {
    pub(super) fn clock(self, from: i64) -> Arc<dyn Clock> {
        match self {
            Self::Real => Arc::new(SystemClock),
            Self::Lapse => Arc::new(Lapse::new(Timestamp::from_millis(from), LAPSE)),
        }
    }

    pub(super) fn lifetime(self) -> Duration {
        Duration::from_secs(match self {
            Self::Real => 2,
            Self::Lapse => 300,
        })
    }

    pub(super) fn leeway(self) -> Duration {
        Duration::from_secs(match self {
            Self::Real => 0,
            Self::Lapse => 30,
        })
    }

    /// What the machine may be late by, which is a multiple of what was seen under load.
    fn margin(self) -> Duration {
        match self {
            Self::Real => Duration::from_millis(500),
            Self::Lapse => Duration::from_secs(120),
        }
    }

    fn schedule(self) -> KeySchedule {
        let schedule = KeySchedule::for_lifetime(self.lifetime())
            .with_leeway(self.leeway())
            .with_margin(self.margin());
        match self {
            Self::Real => schedule
                .without_remote_verifiers()
                .with_poll_interval(Duration::from_millis(100))
                .with_period(Duration::from_secs(1)),
            Self::Lapse => schedule
                .with_max_age(Duration::from_secs(300))
                .with_poll_interval(Duration::from_secs(30))
                .with_period(Duration::from_secs(900)),
        }
    }

    pub(super) fn policy(self) -> SessionPolicy {
        let policy = SessionPolicy::default();
        match self {
            Self::Real => policy
                .with_idle(IDLE)
                .with_reuse_interval(Duration::from_millis(200))
                .with_request_deadline(Duration::from_millis(900))
                .with_min_rotation_interval(Duration::from_secs(2)),
            Self::Lapse => policy,
        }
    }

    fn refresh_schedule(self) -> RefreshKeySchedule {
        let schedule = RefreshKeySchedule::for_longest_idle(self.policy().idle());
        match self {
            Self::Real => schedule.with_period(Duration::from_secs(1)),
            Self::Lapse => schedule,
        }
    }
}

/// The store of a node.
pub(super) struct Store {
    pub(super) sessions: Arc<dyn RefreshStore>,
    keys: Arc<dyn KeyPersistence>,
}

impl Store {
    pub(super) async fn open(settings: &Settings) -> Result<Self, Failure> {
        let options = StoreOptions::new().with_timeout(Duration::from_secs(2));
        let options = options.with_clock(match settings.pace {
            Pace::Real => StoreClock::own(),
            Pace::Lapse => StoreClock::driven(settings.clock()),
        });
        let key = KeyEncryptionKey::from_base64url(&settings.key_encryption_key)?;
        if settings.store.starts_with("redis") {
            let store = Arc::new(RedisStore::connect_with(&settings.store, options).await?);
            return Ok(Self {
                keys: Arc::new(EncryptedKeys::new(store.clone(), key)),
                sessions: store,
            });
        }
        let store = Arc::new(PostgresStore::connect_with(&settings.store, options).await?);
        Ok(Self {
            keys: Arc::new(EncryptedKeys::new(store.clone(), key)),
            sessions: store,
        })
    }

    /// Takes part in the rotation.
    pub(super) async fn rotation(&self, settings: &Settings) -> Result<KeyRotation, Failure> {
        let pace = settings.pace;
        let rotation = KeyRotation::builder(self.keys.clone(), pace.schedule())
            .with_refresh_keys(pace.refresh_schedule())
            .with_clock(settings.clock());
        Ok(rotation.start().await?)
    }
}

/// Rotates until dropped. The library's own task sleeps by the machine's clock, so in time lapse
/// its steps are taken here.
pub(super) async fn rotate(mut rotation: KeyRotation, pace: Pace) {
    if pace == Pace::Real {
        return rotation.run().await;
    }
    loop {
        if let Err(error) = rotation.step().await {
            tracing::error!(%error, "a step of the rotation failed");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
