//! Starting an [`Auth`]: opens the store, reads or makes the keys, loads the revocations, checks
//! all settings, and spawns the tasks.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use crate::auth::background::{Background, FollowFeed, PurgeSessions, RotateKeys};
use crate::auth::builder::AuthBuilder;
use crate::auth::error::StartError;
use crate::auth::settings::{Settings, Tasks};
use crate::auth::store::OpenedStore;
use crate::auth::{Auth, Parts};
use crate::base::config::ConfigError;
use crate::base::keep_alive::KeepAlive;
use crate::endpoints::health::Health;
use crate::endpoints::jwks::JwksEndpoint;
use crate::endpoints::routes::SessionRoutes;
use crate::guard::Guard;
use crate::guard::authenticator::Authenticator;
use crate::keys::rotation::KeyRotation;
use crate::revocation::{Follower, Revocations};
use crate::session::{ClaimsHook, Sessions};
use crate::token::issuer::Issuer;

impl<T: DeserializeOwned + Send + Sync + 'static> AuthBuilder<T> {
    /// Opens the store, reads or makes the keys, loads the revocations in force, checks all
    /// settings, and spawns the tasks that keep them up to date on the runtime that awaits it.
    ///
    /// # Errors
    /// [`StartError`] that names the remedy. Without a Tokio runtime there is nothing to run the
    /// tasks on, which is an error too.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing runs. The first keys may have been stored.
    pub async fn start(self) -> Result<Auth<T>, StartError> {
        let runtime = Handle::try_current().map_err(|_| no_runtime())?;
        let Self {
            settings,
            store,
            users,
            ..
        } = self;
        settings.check()?;
        let store = store.open(settings.issuer.clone()).await?;
        let rotation = rotation(&settings, &store).await?;
        let background = Arc::new(Background::default());
        let issuer = issuer(&settings, &rotation)?
            .with_keep_alive(KeepAlive::new(Arc::clone(&background) as _));
        let feed = follow(&settings, &store).await?;
        let revocations = feed.as_ref().map(|feed| feed.revocations.clone());
        let sessions = sessions(&settings, &issuer, &store, &rotation, users, &revocations)?;
        let authenticator = authenticator(&settings, &issuer, &sessions, &revocations)?;
        let mut guard = Guard::from(&authenticator);
        if let Some(responder) = &settings.responder {
            guard = guard.with_responder(Arc::clone(responder));
        }
        let parts = Parts {
            routes: SessionRoutes::new(sessions.clone(), authenticator)?
                .with_guard(guard.clone())?
                .with_clear_site_data(settings.site_data.iter().copied())
                .with_logout_page(settings.login_page.as_deref().unwrap_or("/"))?,
            jwks: jwks(&settings, &rotation).with_keep_alive(issuer.keep_alive.clone()),
            health: health(&settings, &background, &rotation, &sessions, &revocations),
            pages: pages(&settings, guard.clone(), &sessions)?,
            guard,
            issuer,
            sessions,
            background,
        };
        if settings.tasks == Tasks::Spawned {
            let purge = parts.sessions.purge_alone();
            let rotation = rotation.with_sessions(parts.sessions.clone())?;
            parts.background.spawn(&runtime, PurgeSessions(purge));
            parts.background.spawn(&runtime, RotateKeys(rotation));
            if let Some(feed) = feed {
                parts.background.spawn(&runtime, feed);
            }
        }
        Ok(Auth(Arc::new(parts)))
    }
}

fn no_runtime() -> ConfigError {
    ConfigError::new(
        "runtime",
        "start() spawns tasks and needs a Tokio runtime that lives as long as the app: await it in \
         #[tokio::main] or #[actix_web::main]",
    )
}

async fn rotation(settings: &Settings, store: &OpenedStore) -> Result<KeyRotation, StartError> {
    // Tokens of an earlier deployment, which lived longer, need their keys as long.
    let longest = store
        .sessions
        .raise_access_lifetime(&settings.issuer, settings.access_lifetime)
        .await?;
    let mut rotation =
        KeyRotation::builder(Arc::clone(&store.keys), settings.key_schedule(longest))
            .with_algorithm(settings.algorithm)
            .with_refresh_keys(settings.refresh_key_schedule())
            .with_clock(Arc::clone(&settings.clock));
    if let Some(events) = &settings.events {
        rotation = rotation.with_events(Arc::clone(events));
    }
    Ok(rotation.start().await?)
}

fn issuer(settings: &Settings, rotation: &KeyRotation) -> Result<Issuer, ConfigError> {
    Issuer::for_issuer(&*settings.issuer)
        .audience(&*settings.audience)
        .keys(rotation.keys())?
        .with_clock(Arc::clone(&settings.clock))
        .with_lifetime(settings.access_lifetime)
}

/// Loads the revocations in force. `None` without a list.
async fn follow(
    settings: &Settings,
    store: &OpenedStore,
) -> Result<Option<FollowFeed>, StartError> {
    let Some(policy) = settings.revocations.policy() else {
        return Ok(None);
    };
    let revocations = Revocations::new(policy, Arc::clone(&settings.clock));
    let feed = Arc::clone(&store.feed);
    let mut follower = Follower::new(Arc::clone(&feed), revocations.clone());
    follower.load().await?;
    Ok(Some(FollowFeed {
        feed,
        revocations,
        follower,
    }))
}

fn sessions(
    settings: &Settings,
    issuer: &Issuer,
    store: &OpenedStore,
    rotation: &KeyRotation,
    users: Option<Arc<dyn ClaimsHook>>,
    revocations: &Option<Revocations>,
) -> Result<Sessions, ConfigError> {
    let keys = rotation.refresh_keys().ok_or_else(|| {
        ConfigError::new(
            "keys",
            "the stored keys have no refresh key that is in force",
        )
    })?;
    let mut sessions = Sessions::builder(issuer.clone(), Arc::clone(&store.sessions), keys)
        .with_policy(settings.policy.clone());
    if let Some(users) = users {
        sessions = sessions.with_claims(users);
    }
    if let Some(events) = &settings.events {
        sessions = sessions.with_events(Arc::clone(events));
    }
    sessions = match revocations {
        Some(revocations) => sessions.with_revocations(revocations.clone()),
        None => sessions.without_revocations(),
    };
    if settings.reference_tokens {
        sessions = sessions.with_reference_tokens();
    }
    sessions.build()
}

fn jwks(settings: &Settings, rotation: &KeyRotation) -> JwksEndpoint {
    match settings.tasks {
        Tasks::Spawned => rotation.jwks(),
        #[cfg(feature = "testing")]
        Tasks::Off => JwksEndpoint::for_keys(rotation.keys(), std::time::Duration::from_secs(600)),
    }
}

fn health(
    settings: &Settings,
    background: &Background,
    rotation: &KeyRotation,
    sessions: &Sessions,
    revocations: &Option<Revocations>,
) -> Health {
    let health = Health::new().with_sessions(sessions.clone());
    match settings.tasks {
        Tasks::Spawned => {
            let health = health
                .with_rotation(rotation.health())
                .with_tasks(background.health().clone());
            match revocations {
                Some(revocations) => health.with_revocations(revocations.clone()),
                None => health,
            }
        }
        #[cfg(feature = "testing")]
        Tasks::Off => health,
    }
}

/// The guard for pages, which strangers leave for the login page.
fn pages<T>(
    settings: &Settings,
    guard: Guard<T>,
    sessions: &Sessions,
) -> Result<Guard<T>, ConfigError> {
    let guard = match settings.cookies {
        Some(_) if !settings.policy.is_strict() => guard.with_silent_refresh(sessions.clone())?,
        _ => guard,
    };
    match &settings.login_page {
        Some(page) => guard.with_login_page(&**page),
        None => Ok(guard),
    }
}

fn authenticator<T: DeserializeOwned + Send + Sync + 'static>(
    settings: &Settings,
    issuer: &Issuer,
    sessions: &Sessions,
    revocations: &Option<Revocations>,
) -> Result<Arc<Authenticator<T>>, ConfigError> {
    let mut builder = issuer
        .authenticator()
        .with_leeway(settings.leeway)
        .with_csrf(settings.csrf.clone());
    for trusted in &settings.issuers {
        builder = builder.with_issuer(trusted.clone());
    }
    if let Some(revocations) = revocations {
        builder = builder.with_revocations(revocations.clone());
    }
    if let Some(cookies) = &settings.cookies {
        builder = builder.with_cookies(Arc::clone(cookies));
    }
    if let Some(bytes) = settings.max_cookie_bytes {
        builder = builder.with_max_cookie_bytes(bytes);
    }
    if let Some(realm) = &settings.realm {
        builder = builder.with_realm(realm.as_str());
    }
    if let Some(name) = &settings.client_ip_field {
        builder = builder.with_client_ip_field(name)?;
    }
    if let Some(events) = &settings.events {
        builder = builder.with_events(Arc::clone(events));
    }
    if settings.grpc_statuses {
        builder = builder.with_grpc_statuses();
    }
    if settings.reference_tokens {
        builder = builder.with_reference_tokens(sessions.clone());
    }
    if let Some(tokens) = settings.cache_size {
        builder = builder.with_cache_size(tokens);
    }
    builder.build()
}
