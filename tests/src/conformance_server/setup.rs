//! Config → library builders.

use std::sync::Arc;
use std::time::Duration;

use auth_cookie::CookiePolicy;
use auth_core::adapter::Endpoint;
use auth_core::rotation::JwksEndpoint;
use auth_core::source::{BearerHeader, TokenSource};
use auth_core::testing::ManualClock;
use auth_core::{
    Authenticator, Clock, ConfigError, CsrfPolicy, Guard, Key, KeyRing, KeySource, Requires,
    SystemClock, Timestamp,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::config::{Config, CookiePreset, Source};
use super::issuers::Issuers;
use super::sessions::SessionPart;
use super::{Failure, sessions};

/// How long verifiers may cache the public keys.
const JWKS_MAX_AGE: Duration = Duration::from_secs(600);

/// The claims type of every route but `/typed`: whatever the token carries.
pub type PrivateClaims = Map<String, Value>;

/// The claims type of `/typed`.
#[derive(Clone, Debug, Deserialize)]
pub struct Typed {
    /// Any text.
    pub tenant: String,
    /// 0 to 255.
    pub level: u8,
}

/// What `/admin`'s handler asks for.
#[derive(Clone, Copy, Debug)]
pub struct Admin;

impl Requires for Admin {
    const SCOPE: &'static str = "admin";
}

/// Everything that the routes need, built and checked.
#[derive(Debug)]
pub struct Setup {
    /// `/me`, `/nested/a/b`, `/boom`, and `/admin`, whose handler asks for the scope.
    pub required: Guard<PrivateClaims>,
    /// `/maybe`.
    pub optional: Guard<PrivateClaims>,
    /// `/strict`.
    pub strict: Guard<PrivateClaims>,
    /// `/recent`.
    pub recent: Guard<PrivateClaims>,
    /// `/typed`.
    pub typed: Guard<Typed>,
    /// `/.well-known/jwks.json`.
    pub jwks: JwksEndpoint,
    /// `/.well-known/oauth-…` and `/oauth/…`.
    pub endpoints: Vec<Arc<dyn Endpoint>>,
    /// The other issuers.
    pub(super) issuers: Issuers,
    /// `/login`, `/auth/…` and most of `/shim/…`, where there is a store.
    pub sessions: Option<SessionPart>,
    /// `/shim/clock`.
    pub(super) clock: Option<Arc<ManualClock>>,
}

impl Setup {
    /// Builds what the configuration describes.
    ///
    /// # Errors
    /// What the library says to a configuration that it refuses, or a store that does not answer.
    pub async fn new(config: &Config) -> Result<Self, Failure> {
        let manual = config
            .now
            .map(|now| Arc::new(ManualClock::at(Timestamp::from_secs(now))));
        let time: Arc<dyn Clock> = match &manual {
            Some(clock) => Arc::clone(clock) as _,
            None => Arc::new(SystemClock),
        };
        let keys = KeySource::from(key_ring(config)?);
        let backend = sessions::Backend::start(config, &keys, &time).await?;
        let issuers = Issuers::start(&config.issuers, &time).await?;
        let parts = Parts {
            keys: &keys,
            clock: &time,
            backend: backend.as_ref(),
            issuers: &issuers,
        };
        let auth = authenticator::<PrivateClaims>(config, &parts)?;
        let typed = authenticator::<Typed>(config, &parts)?;
        let endpoints = match &config.oauth {
            Some(oauth) => super::oauth::endpoints(oauth, &config.issuer, &auth, backend.as_ref())?,
            None => Vec::new(),
        };
        let required = guard(config, &parts, &auth)?;
        Ok(Self {
            optional: required.clone().with_anonymous(),
            strict: required
                .clone()
                .require_scope("admin")?
                .require_max_age(Duration::from_secs(60)),
            recent: required.clone().require_max_age(Duration::from_secs(300)),
            required,
            typed: guard(config, &parts, &typed)?,
            jwks: JwksEndpoint::for_keys(keys, JWKS_MAX_AGE),
            endpoints,
            issuers,
            sessions: backend
                .map(|backend| backend.into_part(config, auth))
                .transpose()?,
            clock: manual,
        })
    }
}

fn guard<T>(
    config: &Config,
    parts: &Parts<'_>,
    auth: &Arc<Authenticator<T>>,
) -> Result<Guard<T>, ConfigError> {
    let mut guard = auth.guard();
    if config.preflight {
        guard = guard.with_preflight();
    }
    match parts.backend {
        Some(backend) => backend.serve_pages(config, guard),
        None => Ok(guard),
    }
}

fn key_ring(config: &Config) -> Result<KeyRing, ConfigError> {
    let keys = config
        .keys
        .iter()
        .map(|jwk| Key::from_jwk(&jwk.to_string()));
    let ring = KeyRing::new(keys.collect::<Result<Vec<_>, _>>()?)?;
    match &config.sign_with {
        Some(kid) => ring.with_signing_key(kid),
        None => Ok(ring),
    }
}

/// What authenticators share.
struct Parts<'p> {
    keys: &'p KeySource,
    clock: &'p Arc<dyn Clock>,
    backend: Option<&'p sessions::Backend>,
    issuers: &'p Issuers,
}

fn authenticator<T: DeserializeOwned + Send + Sync + 'static>(
    config: &Config,
    parts: &Parts<'_>,
) -> Result<Arc<Authenticator<T>>, ConfigError> {
    let mut builder = Authenticator::for_issuer(&config.issuer)
        .audience(&config.audience)
        .keys(parts.keys.clone())
        .with_clock(Arc::clone(parts.clock))
        .with_csrf(csrf(config)?);
    for issuer in parts.issuers.iter() {
        builder = builder.with_issuer(issuer.clone());
    }
    if let Some(seconds) = config.leeway_s {
        builder = builder.with_leeway(Duration::from_secs(seconds));
    }
    if let Some(seconds) = config.max_lifetime_s {
        builder = builder.with_max_lifetime(Duration::from_secs(seconds));
    }
    if let Some(tokens) = config.cache {
        builder = builder.with_cache_size(tokens);
    }
    let mut reads_cookies = config.cookies.is_some();
    if let Some(sources) = &config.sources {
        let count = |wanted| sources.iter().filter(|source| **source == wanted).count();
        if count(Source::Bearer) > 1 || count(Source::Cookie) > 1 {
            return Err(ConfigError::new("sources", "each at most once"));
        }
        let bearer =
            (count(Source::Bearer) == 1).then(|| Arc::new(BearerHeader) as Arc<dyn TokenSource>);
        builder = builder.with_sources(bearer);
        reads_cookies = count(Source::Cookie) == 1;
    }
    if reads_cookies {
        builder = builder.with_cookies(cookies(config)?);
    }
    if let Some(oauth) = &config.oauth {
        let resource = super::oauth::resource(oauth, &config.issuer)?;
        builder = builder.with_resource_metadata(&resource);
    }
    if let Some(name) = &config.client_ip_field {
        builder = builder.with_client_ip_field(name)?;
    }
    if let Some(backend) = parts.backend {
        builder = backend.plug_into(config, builder);
    }
    builder.build()
}

fn cookies(config: &Config) -> Result<CookiePolicy, ConfigError> {
    match &config.cookies {
        None | Some(CookiePreset::SameOriginSpa) => Ok(CookiePolicy::same_origin_spa()),
        Some(CookiePreset::ServerRendered) => Ok(CookiePolicy::server_rendered()),
        Some(CookiePreset::CrossSite) => CookiePolicy::cross_site("X-Requested-With"),
        Some(CookiePreset::Subdomains(domain)) => CookiePolicy::subdomains(domain),
    }
}

fn csrf(config: &Config) -> Result<CsrfPolicy, ConfigError> {
    config
        .origins
        .iter()
        .try_fold(CsrfPolicy::new(), |policy, origin| {
            policy.with_trusted_origin(origin)
        })
}
