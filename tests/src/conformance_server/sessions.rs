//! Config → store, sessions and their routes.

use std::sync::Arc;
use std::time::Duration;

use auth_core::adapter::{BoxFuture, RequestView};
use auth_core::revocation::{Follower, Revocations, StalePolicy};
use auth_core::session::{
    LateRecovery, LoginRequest, OnRollback, RefreshKey, RefreshKeys, SessionPolicy, Sessions,
};
use auth_core::store::{RefreshStore, RevocationFeed, StoreClock};
use auth_core::testing::{FaultStore, MemoryStore};
use auth_core::{
    Authenticator, AuthenticatorBuilder, Clock, ConfigError, Guard, Issuer, KeySource, Scope,
    SessionRoutes, SiteData, Timestamp, Transport,
};
use auth_store::{PostgresStore, RedisStore, SqliteStore, StoreOptions};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::app::{Journal, Users};
use super::config::{
    AccessTokenKind, Config, RevocationConfig, Rollback, SessionConfig, SiteDataKind, Stale,
    StoreTime,
};
use super::feed::FaultFeed;
use super::{Failure, PrivateClaims};

/// Sessions and what watches them, before there is an authenticator.
#[derive(Debug)]
pub(super) struct Backend {
    sessions: Sessions,
    store: Arc<FaultStore>,
    users: Arc<Users>,
    journal: Arc<Journal>,
    revocations: Option<Revocations>,
    clock: Arc<dyn Clock>,
    feed: Arc<FaultFeed>,
}

/// Everything about sessions that the routes need.
#[derive(Debug)]
pub struct SessionPart {
    /// `/auth/…`, to be mounted.
    pub routes: SessionRoutes<PrivateClaims>,
    transport: Transport,
    pub(super) sessions: Sessions,
    pub(super) store: Arc<FaultStore>,
    pub(super) users: Arc<Users>,
    pub(super) journal: Arc<Journal>,
    pub(super) revocations: Option<Revocations>,
    clock: Arc<dyn Clock>,
    pub(super) feed: Arc<FaultFeed>,
}

impl Backend {
    /// `None` without a store.
    pub(super) async fn start(
        config: &Config,
        keys: &KeySource,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Self>, Failure> {
        let Some(url) = &config.store else {
            return Ok(None);
        };
        let (store, feed) = open(url, store_clock(config, clock)?).await?;
        let store = Arc::new(FaultStore::new(store));
        let feed = Arc::new(FaultFeed::new(feed));
        let users = Arc::new(Users::default());
        let journal = Arc::new(Journal::default());
        let issuer = issuer(config, keys, clock)?;
        let mut builder = Sessions::builder(issuer, Arc::clone(&store) as _, refresh_keys(config)?)
            .with_policy(policy(config))
            .with_claims(Arc::clone(&users) as _)
            .with_events(Arc::clone(&journal) as _);
        if config.session.access_token == AccessTokenKind::Reference {
            builder = builder.with_reference_tokens();
        }
        let revocations = match config.revocation {
            Some(wanted) => Some(follow(wanted, Arc::clone(&feed) as _, clock).await?),
            None => None,
        };
        builder = match &revocations {
            Some(list) => builder.with_revocations(list.clone()),
            None => builder.without_revocations(),
        };
        Ok(Some(Self {
            sessions: builder.build()?,
            store,
            users,
            journal,
            revocations,
            clock: Arc::clone(clock),
            feed,
        }))
    }

    /// What the authenticator needs to know of the sessions.
    pub(super) fn plug_into<T>(
        &self,
        config: &Config,
        mut builder: AuthenticatorBuilder<T>,
    ) -> AuthenticatorBuilder<T> {
        builder = builder.with_events(Arc::clone(&self.journal) as _);
        if let Some(revocations) = &self.revocations {
            builder = builder.with_revocations(revocations.clone());
        }
        if config.session.access_token == AccessTokenKind::Reference {
            builder = builder.with_reference_tokens(self.sessions.clone());
        }
        builder
    }

    /// What a guard of pages needs to know of them.
    pub(super) fn serve_pages<T>(
        &self,
        config: &Config,
        guard: Guard<T>,
    ) -> Result<Guard<T>, ConfigError> {
        if config.session.silent_refresh {
            guard.with_silent_refresh(self.sessions.clone())
        } else {
            Ok(guard)
        }
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(super) fn into_part(
        self,
        config: &Config,
        auth: Arc<Authenticator<PrivateClaims>>,
    ) -> Result<SessionPart, Failure> {
        let Self {
            sessions,
            store,
            users,
            journal,
            revocations,
            clock,
            feed,
        } = self;
        let transport = match config.cookies {
            Some(_) => Transport::Cookie,
            None => Transport::Body,
        };
        let mut routes = SessionRoutes::new(sessions.clone(), Arc::clone(&auth))?
            .with_clear_site_data(config.clear_site_data.iter().map(|kind| match kind {
                SiteDataKind::Cache => SiteData::Cache,
                SiteDataKind::Cookies => SiteData::Cookies,
                SiteDataKind::ExecutionContexts => SiteData::ExecutionContexts,
                SiteDataKind::Storage => SiteData::Storage,
            }));
        if let Some(asked) = &config.sessions_guard {
            let mut guard = auth.guard();
            if let Some(seconds) = asked.max_age_s {
                guard = guard.require_max_age(Duration::from_secs(seconds));
            }
            if let Some(scope) = &asked.scope {
                guard = guard.require_scope(scope)?;
            }
            routes = routes.with_guard(guard)?;
        }
        Ok(SessionPart {
            routes,
            transport,
            sessions,
            store,
            users,
            journal,
            revocations,
            clock,
            feed,
        })
    }
}

type Opened = (Arc<dyn RefreshStore>, Arc<dyn RevocationFeed>);

async fn open(url: &str, clock: StoreClock) -> Result<Opened, Failure> {
    fn both<S: RefreshStore + RevocationFeed + 'static>(store: S) -> Opened {
        let store = Arc::new(store);
        (Arc::clone(&store) as _, store)
    }
    let options = StoreOptions::new().with_clock(clock.clone());
    if url == "memory:" {
        Ok(both(MemoryStore::new().with_clock(clock)))
    } else if let Some(path) = url.strip_prefix("sqlite:") {
        Ok(both(SqliteStore::open_with(path, options).await?))
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        Ok(both(PostgresStore::connect_with(url, options).await?))
    } else if url.starts_with("redis:") {
        Ok(both(RedisStore::connect_with(url, options).await?))
    } else {
        Err("store: memory:, sqlite:PATH, postgres://… or redis://…".into())
    }
}

fn store_clock(config: &Config, clock: &Arc<dyn Clock>) -> Result<StoreClock, ConfigError> {
    match (config.session.store_clock, config.now) {
        (Some(StoreTime::Manual), None) => Err(ConfigError::new(
            "store_clock",
            "there is no manual clock: say what `now` is",
        )),
        (Some(StoreTime::Store), _) | (None, None) => Ok(StoreClock::own()),
        (_, Some(_)) => Ok(StoreClock::driven(Arc::clone(clock))),
    }
}

fn issuer(
    config: &Config,
    keys: &KeySource,
    clock: &Arc<dyn Clock>,
) -> Result<Issuer, ConfigError> {
    let mut issuer = Issuer::for_issuer(&config.issuer)
        .audience(&config.audience)
        .keys(keys.clone())?
        .with_clock(Arc::clone(clock));
    if let Some(seconds) = config.session.access_s {
        issuer = issuer.with_lifetime(Duration::from_secs(seconds))?;
    }
    if let Some(percent) = config.session.access_jitter {
        issuer = issuer.with_jitter(percent)?;
    }
    Ok(issuer)
}

fn refresh_keys(config: &Config) -> Result<RefreshKeys, ConfigError> {
    let mut keys = config
        .refresh_keys
        .iter()
        .map(|key| RefreshKey::from_base64url(key.id, &key.k));
    let signing = keys.next().unwrap_or_else(RefreshKey::ephemeral)?;
    keys.try_fold(RefreshKeys::new(signing), |all, key| {
        all.with_verify_only(key?)
    })
}

fn policy(config: &Config) -> SessionPolicy {
    let SessionConfig {
        idle_s,
        absolute_s,
        retry_window_s,
        settle_s,
        request_deadline_s,
        late_recovery,
        on_rollback,
        max_per_subject,
        ..
    } = config.session;
    let seconds = Duration::from_secs;
    let mut policy = SessionPolicy::default();
    if let Some(idle) = idle_s {
        policy = policy.with_idle(seconds(idle));
    }
    if let Some(absolute) = absolute_s {
        policy = policy.with_absolute(seconds(absolute));
    }
    if let Some(deadline) = request_deadline_s {
        policy = policy.with_request_deadline(seconds(deadline));
    }
    match retry_window_s {
        Some(0) => policy = policy.with_strict_mode(),
        Some(window) => policy = policy.with_reuse_interval(seconds(window)),
        None => {}
    }
    if let Some(min_rotation_interval) = settle_s {
        policy = policy.with_min_rotation_interval(seconds(min_rotation_interval));
    }
    if let Some(on) = late_recovery {
        policy = policy.with_late_recovery(if on {
            LateRecovery::On
        } else {
            LateRecovery::Off
        });
    }
    if let Some(choice) = on_rollback {
        policy = policy.with_on_rollback(match choice {
            Rollback::Resume => OnRollback::Resume,
            Rollback::Refuse => OnRollback::Refuse,
        });
    }
    match max_per_subject {
        Some(limit) => policy.with_session_limit(limit),
        None => policy,
    }
}

pub(super) const FOLLOW_WAIT: Duration = Duration::from_millis(20);

/// Loads what is in force before anything is served, then follows.
async fn follow(
    config: RevocationConfig,
    feed: Arc<dyn RevocationFeed>,
    clock: &Arc<dyn Clock>,
) -> Result<Revocations, Failure> {
    let policy = match (config.stale, config.after_s) {
        (Stale::FailClosed, Some(after)) => StalePolicy::FailClosed {
            after: Duration::from_secs(after),
        },
        (Stale::FailOpen, None) => StalePolicy::FailOpen,
        (Stale::FailClosed, None) => return Err("revocation: fail_closed needs after_s".into()),
        (Stale::FailOpen, Some(_)) => return Err("revocation: fail_open has no after_s".into()),
    };
    let revocations = Revocations::new(policy, Arc::clone(clock));
    // Short waits, so that a clock that has been moved by hand finds the node up to date again.
    let mut follower = Follower::new(feed, revocations.clone()).with_wait(FOLLOW_WAIT);
    follower.load().await?;
    tokio::spawn(follower.run());
    Ok(revocations)
}

/// What `/login` is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    sub: String,
    scope: Option<String>,
    transport: Option<LoginTransport>,
    device: Option<String>,
    idle_s: Option<u64>,
    absolute_s: Option<u64>,
    claims: Option<Map<String, Value>>,
    /// Whether another site has brought the user back; else the app has just asked for a password.
    #[serde(default)]
    after_redirect: bool,
    auth_time: Option<i64>,
    acr: Option<String>,
    #[serde(default)]
    amr: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LoginTransport {
    Cookie,
    Body,
}

impl SessionPart {
    /// `/login`: the app believes whoever asks. `None` if the body makes no sense.
    #[must_use]
    pub fn login(
        &self,
        request: &dyn RequestView,
        body: &[u8],
    ) -> Option<BoxFuture<auth_core::adapter::Response>> {
        let asked: Login = serde_json::from_slice(body).ok()?;
        let mut login = LoginRequest::for_subject(asked.sub).with_amr(asked.amr);
        if let Some(acr) = asked.acr {
            login = login.with_acr(acr);
        }
        let auth_time = asked.auth_time.map(Timestamp::from_secs);
        if let Some(at) = auth_time.or_else(|| (!asked.after_redirect).then(|| self.clock.now())) {
            login = login.with_auth_time(at);
        }
        if let Some(scope) = asked.scope {
            login = login.with_scope(Scope::parse(&scope).ok()?);
        }
        if let Some(device) = asked.device {
            login = login.with_label(&device);
        }
        if let Some(idle) = asked.idle_s {
            login = login.with_idle(Duration::from_secs(idle));
        }
        if let Some(absolute) = asked.absolute_s {
            login = login.with_absolute(Duration::from_secs(absolute));
        }
        if let Some(claims) = asked.claims {
            login = login.with_data(&claims);
        }
        let transport = match asked.transport {
            Some(LoginTransport::Cookie) => Transport::Cookie,
            Some(LoginTransport::Body) => Transport::Body,
            None => self.transport,
        };
        Some(if asked.after_redirect {
            self.routes.login_after_redirect(request, login)
        } else {
            self.routes.login(request, login, transport)
        })
    }
}
