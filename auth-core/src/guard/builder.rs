//! From issuer, audience and keys to an [`Authenticator`]: the required choices are successive types,
//! the optional ones have defaults.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::base::clock::{Clock, SystemClock};
use crate::base::config::ConfigError;
use crate::guard::authenticator::Authenticator;
use crate::guard::context::GuardRuntime;
use crate::guard::refusal::{Realm, RefusalRenderer, Responder};
use crate::http::cookies::CookieTransport;
use crate::http::csrf::CsrfPolicy;
use crate::http::request::RequestView;
use crate::http::source::{
    BearerHeader, CredentialError, PresentedToken, TokenSource, TokenSources, is_tchar,
};
use crate::keys::source::KeySource;
use crate::observe::events::Events;
#[cfg(feature = "metrics")]
use crate::observe::metrics;
use crate::revocation::Revocations;
use crate::session::{SessionPolicy, Sessions};
use crate::token::cache::TokenCache;
use crate::token::issuer::Issuer;
use crate::token::verify::{
    TimeRules, TrustedIssuer, TrustedIssuerWithoutAudience, TrustedIssuerWithoutKeys,
    TrustedIssuers,
};
use crate::token::{cache, claims};

/// What proxies buffer of an answer's head unless told otherwise (nginx: one page of memory).
const MAX_COOKIE_BYTES: usize = 4096;

/// An issuer is named, the audience is missing.
#[derive(Debug)]
#[must_use = "name the audience next"]
pub struct ForIssuer<T> {
    named: TrustedIssuerWithoutAudience,
    claims: PhantomData<fn() -> T>,
}

impl<T> ForIssuer<T> {
    pub(crate) fn new(named: TrustedIssuerWithoutAudience) -> Self {
        Self {
            named,
            claims: PhantomData,
        }
    }

    /// The name of this service: `aud` must be it or contain it.
    pub fn audience(self, audience: impl Into<String>) -> ForAudience<T> {
        ForAudience {
            named: self.named.audience(audience),
            claims: self.claims,
        }
    }
}

/// Issuer and audience are named, the keys are missing.
#[derive(Debug)]
#[must_use = "name the keys next"]
pub struct ForAudience<T> {
    named: TrustedIssuerWithoutKeys,
    claims: PhantomData<fn() -> T>,
}

impl<T> ForAudience<T> {
    /// A further name of this service, e.g. during a move.
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.named = self.named.with_audience(audience);
        self
    }

    /// The keys that verify this issuer's tokens: ours, or the
    /// [`RemoteKeys`](crate::keys::remote::RemoteKeys) that it publishes.
    pub fn keys(self, keys: impl Into<KeySource>) -> AuthenticatorBuilder<T> {
        AuthenticatorBuilder::new(self.named.keys(keys).into_own(), self.claims)
    }
}

/// Everything that is required is there; the rest has defaults that are safe in production.
#[derive(Debug)]
#[must_use = "call build()"]
pub struct AuthenticatorBuilder<T> {
    issuer: TrustedIssuer,
    others: Vec<TrustedIssuer>,
    times: TimeRules,
    sources: Vec<Arc<dyn TokenSource>>,
    cookies: Option<Arc<dyn CookieTransport>>,
    max_cookie_bytes: usize,
    csrf: CsrfPolicy,
    realm: String,
    responder: Option<Arc<dyn Responder>>,
    login_page: Option<Box<str>>,
    pub(crate) resource_metadata: Option<Box<str>>,
    grpc: bool,
    clock: Arc<dyn Clock>,
    events: Option<Arc<dyn Events>>,
    client_ip_field: Option<Box<str>>,
    revocations: Option<Revocations>,
    silent_refresh: Option<Sessions>,
    reference_tokens: Option<Sessions>,
    cache_size: usize,
    claims: PhantomData<fn() -> T>,
}

impl<T> AuthenticatorBuilder<T> {
    pub(crate) fn new(issuer: TrustedIssuer, claims: PhantomData<fn() -> T>) -> Self {
        Self {
            issuer,
            others: Vec::new(),
            times: TimeRules::default(),
            sources: vec![Arc::new(BearerHeader)],
            cookies: None,
            max_cookie_bytes: MAX_COOKIE_BYTES,
            csrf: CsrfPolicy::new(),
            realm: "api".to_owned(),
            responder: None,
            login_page: None,
            resource_metadata: None,
            grpc: false,
            clock: Arc::new(SystemClock),
            events: None,
            client_ip_field: None,
            revocations: None,
            silent_refresh: None,
            reference_tokens: None,
            cache_size: cache::DEFAULT_TOKENS,
            claims,
        }
    }

    /// Accepts tokens of this issuer as well. The token's `iss` chooses the issuer, whose keys and
    /// rules then decide alone; a token of an issuer that is not named is refused, whatever it is
    /// signed with.
    ///
    /// # Security
    /// Subjects of different issuers are different people, even if they have the same name; see
    /// [`TrustedIssuer`]. The session routes answer to tokens of the sessions' own issuer only.
    /// Revocations hold for all issuers.
    pub fn with_issuer(mut self, issuer: TrustedIssuer) -> Self {
        self.others.push(issuer);
        self
    }

    /// How far clocks may disagree: default 30 s, at most 5 min.
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.times.leeway = leeway;
        self
    }

    /// The longest accepted `exp - iat`: default 24 h.
    pub fn with_max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.times.max_lifetime = max_lifetime;
        self
    }

    /// Where tokens are looked for, in this order; default: the `Authorization` header. A second
    /// token anywhere among them refuses the request.
    pub fn with_sources(mut self, sources: impl IntoIterator<Item = Arc<dyn TokenSource>>) -> Self {
        self.sources = sources.into_iter().collect();
        self
    }

    /// Looks for the access cookie as well, after the other sources.
    pub fn with_cookies(mut self, cookies: impl CookieTransport + 'static) -> Self {
        self.cookies = Some(Arc::new(cookies));
        self
    }

    /// The longest that the `Set-Cookie` lines of an answer may be, both together: default 4096
    /// bytes, which is what proxies buffer of an answer's head unless told otherwise.
    ///
    /// Logins and refreshes whose cookies would be longer are refused with 500 before anything is
    /// written: the session stays as it is. Raise it together with the proxy's buffer (nginx:
    /// `proxy_buffer_size`), or carry fewer claims. A single cookie has at most 4096 bytes in any
    /// case.
    pub fn with_max_cookie_bytes(mut self, bytes: usize) -> Self {
        self.max_cookie_bytes = bytes;
        self
    }

    /// Which origins besides our own may send cookie-carried requests that change something.
    pub fn with_csrf(mut self, csrf: CsrfPolicy) -> Self {
        self.csrf = csrf;
        self
    }

    /// The protection space named in challenges (RFC 9110 §11.5): default `api`.
    pub fn with_realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Who writes the bodies of refusals; default: problem JSON (RFC 9457).
    pub fn with_responder(mut self, responder: impl Responder + 'static) -> Self {
        self.responder = Some(Arc::new(responder));
        self
    }

    /// Where a browser that navigates (`GET` with `Sec-Fetch-Mode: navigate`) is sent instead of
    /// a 401: a path of this site, such as `/login`. Everything else keeps its 401.
    pub fn with_login_page(mut self, path: impl Into<String>) -> Self {
        self.login_page = Some(path.into().into_boxed_str());
        self
    }

    /// Refuses gRPC calls with a gRPC status, which their clients understand, instead of an HTTP one.
    /// All other requests are answered as before.
    ///
    /// # Security
    /// gRPC carries its status beside an HTTP 200. Leave it off where something decides by the HTTP
    /// status alone, such as a proxy that asks this server whether a request may pass.
    pub fn with_grpc_statuses(mut self) -> Self {
        self.grpc = true;
        self
    }

    /// Tells the app of requests that were refused although somebody had signed in, for lack of a
    /// scope or role, and of those that come from another site ([`Event::Refused`](crate::session::Event::Refused)).
    pub fn with_events(mut self, events: Arc<dyn Events>) -> Self {
        self.events = Some(events);
        self
    }

    /// The field in which the proxy in front of this app puts the client's address, such as
    /// `x-real-ip`: for the list of devices and for events. Without it they know no address, unless
    /// the app gives one. A value that is no address is passed over.
    ///
    /// # Security
    /// The proxy must replace what a client sends in that field. Nothing is decided by it here, but
    /// somebody may believe what is in a log.
    ///
    /// # Errors
    /// If this is not the name of a header field.
    pub fn with_client_ip_field(mut self, name: &str) -> Result<Self, ConfigError> {
        if name.is_empty() || !name.bytes().all(is_tchar) {
            return Err(ConfigError::new(
                "client_ip_field",
                "not a header field name (RFC 9110 §5.6.2)",
            ));
        }
        self.client_ip_field = Some(name.to_ascii_lowercase().into_boxed_str());
        Ok(self)
    }

    /// Refuses tokens of revoked sessions and subjects, from memory. Without it an access token
    /// is good until it expires.
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Refreshes sessions without the page's help when their access cookie has expired: for pages
    /// that a server renders. Needs [`with_cookies`](Self::with_cookies), and sessions whose policy
    /// is not [strict](crate::session::SessionPolicy::strict).
    ///
    /// A request whose session moves on is answered with a redirect to its own URL and the new
    /// cookies, 303 or, beyond `GET` and `HEAD`, 307. Visitors who follow a link of another site get
    /// an interstitial page first, which a guard
    /// [can leave out](crate::Guard::without_interstitial).
    pub fn with_silent_refresh(mut self, sessions: Sessions) -> Self {
        self.silent_refresh = Some(sessions);
        self
    }

    /// Accepts the opaque access tokens of these sessions besides JWTs: one load per request. Needs
    /// sessions that were built with
    /// [`with_reference_tokens`](crate::session::SessionsBuilder::with_reference_tokens).
    pub fn with_reference_tokens(mut self, sessions: Sessions) -> Self {
        self.reference_tokens = Some(sessions);
        self
    }

    /// How many tokens are remembered that were verified lately, so that the next request with one
    /// of them costs no cryptography: default 10,000, and 0 is
    /// [`without_cache`](Self::without_cache).
    ///
    /// That many access tokens should be in use at a time on one node, about as many as there are
    /// people there within an access token's lifetime. A token is counted as twice its length and
    /// 256 bytes, and all of them together as 2 KiB times `tokens` at most, so long tokens take the
    /// room of several: the default is at most 20 MB, in use about 1.3 kB for a token of 500 bytes.
    /// 160 kB of it are there from the start.
    ///
    /// # Security
    /// What is remembered is that a token was signed, and what it says. On every request it is
    /// checked anew whether the keys are the same, whether it has expired, whether it was revoked,
    /// and everything that the route asks: a token is refused as early as without the cache. The
    /// tokens themselves are in memory as long; they are overwritten when they are dropped, and
    /// shown in no `Debug`. No other authenticator sees them.
    pub fn with_cache_size(mut self, tokens: usize) -> Self {
        self.cache_size = tokens;
        self
    }

    /// Verifies every token on every request.
    pub fn without_cache(self) -> Self {
        self.with_cache_size(0)
    }

    /// Where the time comes from; default: the system clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> AuthenticatorBuilder<T> {
    /// Checks everything and builds.
    ///
    /// # Errors
    /// [`ConfigError`] that says what to do: an empty issuer or audience, an issuer named twice or
    /// given the keys of another one, a leeway over 5 minutes, a cache for more than 16,777,216
    /// tokens, sessions, revocations or clocks that do not belong together, no token source, a realm or
    /// login page that cannot be written into a header, a silent refresh without cookies or in strict
    /// mode, a `T` that
    /// declares a registered claim, which it would never see.
    pub fn build(self) -> Result<Arc<Authenticator<T>>, ConfigError> {
        let issuers = TrustedIssuers::new(self.issuer, self.others)?;
        self.times.check()?;
        claims::probe::<T>()?;
        let mut csrf = self.csrf;
        let mut sources = self.sources;
        if let Some(cookies) = &self.cookies {
            if let Some(header) = cookies.required_header() {
                csrf = csrf.with_required_header(header)?;
            }
            sources.push(Arc::new(AccessCookie(Arc::clone(cookies))));
        }
        if let Some(sessions) = &self.silent_refresh {
            check_silent_refresh(sessions.policy(), self.cookies.is_some())?;
        }
        if sources.is_empty() {
            return Err(ConfigError::new(
                "sources",
                "name at least one place to look for tokens",
            ));
        }
        if let Some(page) = self.login_page.as_deref() {
            check_login_page(page)?;
        }
        let answers = RefusalRenderer {
            realm: Realm::parse(&self.realm)?,
            responder: self.responder,
            login_page: self.login_page,
            resource_metadata: self.resource_metadata,
            grpc: self.grpc,
        };
        let silent_refresh = self.silent_refresh;
        let reference_tokens = self.reference_tokens;
        let authenticator = Authenticator {
            issuers,
            times: self.times,
            sources: TokenSources::new(sources),
            csrf,
            rules: Arc::new(GuardRuntime {
                answers,
                clock: self.clock,
                revocations: self.revocations,
                leeway: self.times.leeway,
                events: self.events,
                client_ip_field: self.client_ip_field,
            }),
            cookies: self.cookies,
            max_cookie_bytes: self.max_cookie_bytes,
            silent_refresh: silent_refresh.clone(),
            reference_tokens: reference_tokens.clone(),
            cache: TokenCache::new(self.cache_size)?,
            #[cfg(feature = "metrics")]
            hits: metrics::Hits::default(),
        };
        authenticator.check_clocks()?;
        for sessions in silent_refresh.iter().chain(&reference_tokens) {
            authenticator.check_beside(sessions)?;
        }
        Ok(Arc::new(authenticator))
    }
}

/// A redirect whose answer is lost must be answered again, which strict mode takes for theft.
fn check_silent_refresh(policy: &SessionPolicy, cookies: bool) -> Result<(), ConfigError> {
    let refuse = |problem| Err(ConfigError::new("silent_refresh", problem));
    if !cookies {
        return refuse("needs cookies: call with_cookies");
    }
    if policy.is_strict() {
        return refuse("needs a retry window: sessions in strict mode are refreshed by script");
    }
    Ok(())
}

/// A path of this site: a login page elsewhere would be an open door for phishing by typing error.
fn check_login_page(page: &str) -> Result<(), ConfigError> {
    let visible = page
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if visible && page.starts_with('/') && !page.starts_with("//") {
        Ok(())
    } else {
        Err(ConfigError::new(
            "login_page",
            "must be a path of this site, such as /login",
        ))
    }
}

/// The access cookie as a token source.
#[derive(Debug)]
struct AccessCookie(Arc<dyn CookieTransport>);

impl TokenSource for AccessCookie {
    fn find<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        self.0.find_access(request)
    }
}

impl<T> Authenticator<T> {
    /// Accepts tokens of this issuer, by the rules that it was given: for issuers that do not
    /// follow RFC 9068.
    pub fn trusting(issuer: TrustedIssuer) -> AuthenticatorBuilder<T> {
        AuthenticatorBuilder::new(issuer, PhantomData)
    }

    /// Accepts tokens of this issuer: compared with `iss` byte for byte.
    ///
    /// The audience comes next; without it there is nothing to build.
    pub fn for_issuer(issuer: impl Into<String>) -> ForIssuer<T> {
        ForIssuer::new(TrustedIssuer::for_issuer(issuer))
    }
}

impl Issuer {
    /// Begins an authenticator that accepts this issuer's tokens, by the same keys and clock.
    pub fn authenticator<T>(&self) -> AuthenticatorBuilder<T> {
        AuthenticatorBuilder::new(self.own.clone(), std::marker::PhantomData)
            .with_clock(Arc::clone(&self.clock))
    }
}
