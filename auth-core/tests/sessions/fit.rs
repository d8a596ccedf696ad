//! Parts that do not belong together are refused when they are put together, with the setting, both
//! values, and the call that mends it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::revocation::{Revocations, StalePolicy};
use auth_core::rotation::{KeyRotation, KeySchedule, RefreshKeySchedule};
use auth_core::session::{SessionPolicy, Sessions, SessionsBuilder};
use auth_core::store::{KeyPersistence, KeySet, LoadedKeys, PersistenceError};
use auth_core::testing::ManualClock;
use auth_core::{
    Authenticator, AuthenticatorBuilder, Clock, ConfigError, Issuer, SessionRoutes, SystemClock,
};

use crate::cookies::Cookies;
use crate::world::{World, issuer, refresh_key, secs};

/// The parts of an app that fit.
struct Parts {
    world: World,
    list: Revocations,
}

impl Parts {
    fn new() -> Self {
        let world = World::new();
        let list = Revocations::new(StalePolicy::FailOpen, world.clock.clone());
        Self { world, list }
    }

    fn issuer(&self) -> Issuer {
        issuer(&self.world.clock)
    }

    fn builder(&self, issuer: Issuer) -> SessionsBuilder {
        Sessions::builder(issuer, self.world.store.clone(), refresh_key(1))
    }

    fn sessions(&self) -> Sessions {
        let builder = self.builder(self.issuer());
        builder.with_revocations(self.list.clone()).build().unwrap()
    }

    fn auth(&self) -> AuthenticatorBuilder<()> {
        let auth = self.issuer().authenticator().with_cookies(Cookies);
        auth.with_revocations(self.list.clone())
    }

    fn other_list(&self) -> Revocations {
        Revocations::new(StalePolicy::FailOpen, self.world.clock.clone())
    }
}

/// What session routes, silent refresh and opaque tokens say to these parts: the same.
#[track_caller]
fn refused(sessions: &Sessions, auth: impl Fn() -> AuthenticatorBuilder<()>) -> ConfigError {
    let built = auth().build().unwrap();
    let refused = SessionRoutes::new(sessions.clone(), built.clone());
    let error = refused.map(drop).unwrap_err();
    let pages = built.guard().with_silent_refresh(sessions.clone());
    assert_eq!(pages.map(drop).unwrap_err(), error);
    let opaque = auth().with_reference_tokens(sessions.clone()).build();
    assert_eq!(opaque.map(drop).unwrap_err(), error);
    error
}

#[track_caller]
fn says(error: &ConfigError, setting: &str, words: &[&str]) {
    assert_eq!(error.setting(), setting, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?}: {error}");
    }
}

#[test]
fn h06_parts_that_fit_build() {
    let parts = Parts::new();
    let sessions = parts.sessions();
    let auth = parts.auth().with_reference_tokens(sessions.clone());
    let auth = auth.build().unwrap();
    assert!(auth.guard().with_silent_refresh(sessions.clone()).is_ok());
    assert!(SessionRoutes::new(sessions, auth).is_ok());
    // The system's clock is one, however often it is named.
    let own = || Arc::new(SystemClock);
    let issuer = parts.issuer().with_clock(own());
    let auth = issuer.authenticator::<()>().with_clock(own()).build();
    let sessions = parts.builder(issuer).without_revocations().build();
    assert!(SessionRoutes::new(sessions.unwrap(), auth.unwrap()).is_ok());
}

#[test]
fn h06_sessions_of_an_issuer_that_is_not_accepted_are_refused() {
    let parts = Parts::new();
    let key = || auth_core::Key::hs256("k1", &[7; 32]).unwrap();
    let another = || {
        Authenticator::for_issuer("https://another.example")
            .audience("https://api.example")
            .keys(key())
            .with_clock(parts.world.clock.clone())
            .with_cookies(Cookies)
            .with_revocations(parts.list.clone())
    };
    let error = refused(&parts.sessions(), another);
    let names = ["https://issuer.example", "https://another.example"];
    says(&error, "issuer", &names);
    says(&error, "issuer", &["issuer.authenticator()"]);

    let another = || {
        Authenticator::for_issuer("https://issuer.example")
            .audience("https://another.example")
            .keys(key())
            .with_clock(parts.world.clock.clone())
            .with_cookies(Cookies)
            .with_revocations(parts.list.clone())
    };
    let error = refused(&parts.sessions(), another);
    let names = ["https://api.example", "https://another.example"];
    says(&error, "audience", &names);
    says(
        &error,
        "audience",
        &[".with_audience(\"https://api.example\")"],
    );
}

#[test]
fn h06_access_tokens_that_live_too_long_to_be_accepted_are_refused() {
    let parts = Parts::new();
    let error = refused(&parts.sessions(), || {
        parts.auth().with_max_lifetime(secs(599))
    });
    let words = ["600 s", "599 s", ".with_max_lifetime("];
    says(&error, "max_lifetime", &words);
}

#[test]
fn h06_clocks_that_differ_are_refused() {
    let parts = Parts::new();
    let other: Arc<dyn Clock> = Arc::new(ManualClock::at(parts.world.now()));
    let own_list = || Revocations::new(StalePolicy::FailOpen, other.clone());
    let words = ["ManualClock", "SystemClock", ".with_clock("];

    let sessions = parts.builder(parts.issuer()).without_revocations().build();
    let error = refused(&sessions.unwrap(), || {
        let auth = parts.issuer().authenticator().with_cookies(Cookies);
        auth.with_clock(Arc::new(SystemClock))
    });
    says(&error, "clock", &words);
    let auth = parts.auth().with_clock(Arc::new(SystemClock)).build();
    says(&auth.unwrap_err(), "clock", &words);
    let issuer = parts.issuer().with_clock(Arc::new(SystemClock));
    let sessions = parts.builder(issuer).with_revocations(own_list()).build();
    let words = ["ManualClock", "SystemClock", "Issuer::with_clock"];
    says(&sessions.unwrap_err(), "clock", &words);
    // Two clocks that stand alike are two.
    let auth = parts.issuer().authenticator::<()>();
    let auth = auth.with_revocations(own_list()).build();
    says(&auth.unwrap_err(), "clock", &["ManualClock"]);
}

#[test]
fn h06_revocation_lists_that_differ_are_refused() {
    let parts = Parts::new();
    let bare = || parts.issuer().authenticator().with_cookies(Cookies);
    let call = ".with_revocations(list.clone())";

    let error = refused(&parts.sessions(), bare);
    let words = ["the authenticator has none", call, "to the authenticator"];
    says(&error, "revocations", &words);
    let other = parts.other_list();
    let error = refused(&parts.sessions(), || bare().with_revocations(other.clone()));
    says(&error, "revocations", &["different revocation lists", call]);
    let without = parts.builder(parts.issuer()).without_revocations().build();
    let error = refused(&without.unwrap(), || parts.auth());
    let words = ["the sessions have none", call, "to the sessions"];
    says(&error, "revocations", &words);
}

#[test]
fn h06_a_leeway_longer_than_revocations_are_listed_for_is_refused() {
    let parts = Parts::new();
    parts.auth().with_leeway(secs(300)).build().unwrap();
    let error = parts.auth().with_leeway(secs(301)).build().unwrap_err();
    says(&error, "leeway", &["301 s", "300 s", ".with_leeway("]);
}

#[test]
fn h06_to_go_without_a_revocation_list_must_be_said() {
    let parts = Parts::new();
    let error = parts.builder(parts.issuer()).build().unwrap_err();
    let words = ["600 s", ".with_revocations(", ".without_revocations()"];
    says(&error, "revocations", &words);
    let said = parts.builder(parts.issuer()).without_revocations();
    said.build().unwrap();
    // The end of a session with opaque tokens takes effect at once.
    let opaque = parts.builder(parts.issuer()).with_reference_tokens();
    opaque.build().unwrap();
}

/// Keys that end with the test.
#[derive(Debug, Default)]
struct InMemory(Mutex<Option<(u64, KeySet)>>);

#[async_trait]
impl KeyPersistence for InMemory {
    async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
        Ok(match &*self.0.lock().unwrap() {
            Some((version, keys)) => LoadedKeys::document(*version, keys.clone()),
            None => LoadedKeys::nothing(),
        })
    }

    async fn save(&self, expected: Option<u64>, keys: &KeySet) -> Result<bool, PersistenceError> {
        let version = expected.map_or(1, |version| version + 1);
        *self.0.lock().unwrap() = Some((version, keys.clone()));
        Ok(true)
    }
}

async fn rotation(lifetime: Duration, idle: Duration) -> KeyRotation {
    let schedule = KeySchedule::for_lifetime(lifetime);
    let rotation = KeyRotation::builder(InMemory::default(), schedule);
    let refresh_keys = RefreshKeySchedule::for_longest_idle(idle);
    let rotation = rotation.with_refresh_keys(refresh_keys).start().await;
    rotation.unwrap()
}

#[tokio::test]
async fn h06_sessions_that_outlive_their_keys_are_refused() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let parts = Parts::new();
    let week = SessionPolicy::default().with_idle(7 * DAY);
    let sessions = parts.builder(parts.issuer()).with_policy(week);
    let sessions = sessions.without_revocations().build().unwrap();
    let refused = async |lifetime, idle| {
        let rotation = rotation(lifetime, idle).await;
        rotation.with_sessions(sessions.clone()).map(drop)
    };
    refused(secs(600), 7 * DAY).await.unwrap();
    let error = refused(secs(599), 7 * DAY).await.unwrap_err();
    let words = ["600 s", "599 s", "KeySchedule::for_lifetime("];
    says(&error, "key schedule", &words);
    let error = refused(secs(600), 6 * DAY).await.unwrap_err();
    let words = [
        "604800 s",
        "518400 s",
        "RefreshKeySchedule::for_longest_idle(",
    ];
    says(&error, "longest idle", &words);
}
