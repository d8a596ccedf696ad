//! [`AuthenticatorBuilder`]: required settings are successive types, optional ones have defaults.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::base::clock::{Clock, SystemClock};
use crate::base::config::ConfigError;
use crate::base::keep_alive::KeepAlive;
use crate::guard::authenticator::Authenticator;
use crate::guard::refusal::{Realm, RefusalRenderer};
use crate::guard::request_rules::RequestRules;
use crate::guard::verifier::{TokenVerifier, Validity};
use crate::http::cookies::CookieTransport;
use crate::http::csrf::CsrfPolicy;
use crate::http::request::RequestView;
use crate::http::source::{
    BearerHeader, CredentialError, PresentedToken, TokenSource, TokenSources, is_tchar,
};
use crate::keys::source::KeySource;
use crate::observe::events::Events;
use crate::revocation::Revocations;
use crate::session::Sessions;
use crate::token::cache::TokenCache;
use crate::token::issuer::Issuer;
use crate::token::needs::{NeedsAudience, NeedsKeys};
use crate::token::verify::{TimeRules, TrustedIssuer, TrustedIssuers};
use crate::token::{cache, claims};

/// Default header buffer of proxies, in bytes (nginx: one page of memory).
const MAX_COOKIE_BYTES: usize = 4096;

impl<T> NeedsKeys<AuthenticatorBuilder<T>> {
    /// Adds an audience of this API, e.g. during a migration.
    pub fn with_audience(self, audience: impl Into<String>) -> Self {
        self.and_audience(audience)
    }

    /// Sets the keys that verify this issuer's tokens: local keys, or the
    /// [`RemoteKeys`](crate::keys::remote::RemoteKeys) that the issuer publishes.
    pub fn keys(self, keys: impl Into<KeySource>) -> AuthenticatorBuilder<T> {
        AuthenticatorBuilder::new(self.trusted(keys).into_own())
    }
}

/// A builder with all required settings. The optional ones have defaults that are safe in
/// production.
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
    pub(crate) resource_metadata: Option<Box<str>>,
    grpc: bool,
    clock: Arc<dyn Clock>,
    events: Option<Arc<dyn Events>>,
    client_ip_field: Option<Box<str>>,
    revocations: Option<Revocations>,
    reference_tokens: Option<Sessions>,
    cache_size: usize,
    keep_alive: Option<KeepAlive>,
    claims: PhantomData<fn() -> T>,
}

impl<T> AuthenticatorBuilder<T> {
    pub(crate) fn new(issuer: TrustedIssuer) -> Self {
        Self {
            issuer,
            others: Vec::new(),
            times: TimeRules::default(),
            sources: vec![Arc::new(BearerHeader)],
            cookies: None,
            max_cookie_bytes: MAX_COOKIE_BYTES,
            csrf: CsrfPolicy::new(),
            realm: "api".to_owned(),
            resource_metadata: None,
            grpc: false,
            clock: Arc::new(SystemClock),
            events: None,
            client_ip_field: None,
            revocations: None,
            reference_tokens: None,
            cache_size: cache::DEFAULT_TOKENS,
            keep_alive: None,
            claims: PhantomData,
        }
    }

    /// Adds an issuer whose tokens are accepted too. The token's `iss` selects the issuer, whose
    /// keys and rules alone then apply. A token of any other issuer is refused, regardless of the
    /// key.
    ///
    /// # Security
    /// Equal subjects of different issuers are different users; see [`TrustedIssuer`]. The session
    /// routes accept tokens of the sessions' own issuer only. Revocations apply to all issuers.
    pub fn with_issuer(mut self, issuer: TrustedIssuer) -> Self {
        self.others.push(issuer);
        self
    }

    /// Sets the leeway for clock differences. Default: 30 s, at most 5 min.
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.times.leeway = leeway;
        self
    }

    /// Sets the maximum lifetime of a token, `exp - iat`. Default: 24 h.
    pub fn with_max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.times.max_lifetime = max_lifetime;
        self
    }

    /// Sets the token sources, in order. Default: the `Authorization` header. A second token in any
    /// of them refuses the request.
    pub fn with_sources(mut self, sources: impl IntoIterator<Item = Arc<dyn TokenSource>>) -> Self {
        self.sources = sources.into_iter().collect();
        self
    }

    /// Adds the access cookie as the last token source.
    pub fn with_cookies(mut self, cookies: impl CookieTransport + 'static) -> Self {
        self.cookies = Some(Arc::new(cookies));
        self
    }

    /// Sets the maximum total length of a response's `Set-Cookie` lines, in bytes. Default: 4096,
    /// the default header buffer of proxies.
    ///
    /// Logins and refreshes with longer cookies are refused with 500 before any write: the session
    /// stays as it is. Raise the limit together with the proxy's buffer (nginx:
    /// `proxy_buffer_size`), or use fewer claims. A single cookie has at most 4096 bytes in any
    /// case.
    pub fn with_max_cookie_bytes(mut self, bytes: usize) -> Self {
        self.max_cookie_bytes = bytes;
        self
    }

    /// Sets the origins that may send unsafe requests with cookies. Default: the app's own.
    pub fn with_csrf(mut self, csrf: CsrfPolicy) -> Self {
        self.csrf = csrf;
        self
    }

    /// Sets the protection space in challenges (RFC 9110 §11.5). Default: `api`.
    pub fn with_realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Refuses gRPC calls with a gRPC status instead of an HTTP status. Default: off. Other
    /// requests are not affected.
    ///
    /// # Security
    /// gRPC sends its status with an HTTP 200. Leave it off if a component decides by the HTTP
    /// status alone, such as a proxy that asks this server whether a request may pass.
    pub fn with_grpc_statuses(mut self) -> Self {
        self.grpc = true;
        self
    }

    /// Sets a listener for refused requests: those of an authenticated user without a required
    /// scope or role, and cross-site ones ([`Event::Refused`](crate::session::Event::Refused)).
    pub fn with_events(mut self, events: Arc<dyn Events>) -> Self {
        self.events = Some(events);
        self
    }

    /// Sets the header field in which the proxy in front of this app puts the client's address,
    /// such as `x-real-ip`. Default: none.
    ///
    /// The list of devices and events use it, unless the app passes an address. A value that is not
    /// an address is ignored.
    ///
    /// # Security
    /// The proxy must replace the field in client requests. No decision depends on it here, but
    /// logs with a forged address mislead their readers.
    ///
    /// # Errors
    /// [`ConfigError`] if `name` is not the name of a header field.
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

    /// Refuses tokens of revoked sessions and subjects, from memory. Default: off, so that an
    /// access token is valid until it expires.
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Accepts the opaque access tokens of these sessions in addition to JWTs. Default: off. Each
    /// request costs one load. The sessions must be built with
    /// [`with_reference_tokens`](crate::session::SessionsBuilder::with_reference_tokens).
    pub fn with_reference_tokens(mut self, sessions: Sessions) -> Self {
        self.reference_tokens = Some(sessions);
        self
    }

    /// Sets the capacity of the cache of verified tokens. Default: 10,000; 0 or 1
    /// is [`without_cache`](Self::without_cache). A cached token costs no cryptography.
    ///
    /// The capacity should be the number of access tokens in use at a time on one node: about the
    /// number of users within an access token's lifetime. A token counts as twice its length plus
    /// 256 bytes, and at least 2 KiB. All tokens together count as at most 2 KiB times `tokens`, so
    /// a long token takes the room of several. The default is at most 20 MB, and about 1.3 kB for a
    /// token of 500 bytes.
    ///
    /// # Security
    /// The cache holds the signature check and the claims. Every request checks again the keys, the
    /// expiry, the revocation and all requirements of the route: a token is refused as early as
    /// without the cache. The tokens stay in memory; they are zeroized on drop, and not shown by
    /// `Debug`. No other authenticator sees them.
    pub fn with_cache_size(mut self, tokens: usize) -> Self {
        self.cache_size = tokens;
        self
    }

    /// Verifies every token on every request.
    pub fn without_cache(self) -> Self {
        self.with_cache_size(0)
    }

    /// Sets the clock. Default: the system clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> AuthenticatorBuilder<T> {
    /// Checks all settings and builds the authenticator.
    ///
    /// # Errors
    /// [`ConfigError`] that names the remedy, for one of these faults:
    /// - an empty issuer or audience, no token source, or a leeway over 5 minutes;
    /// - an issuer configured twice, or with the keys of another one;
    /// - sessions, revocations or clocks that do not belong together;
    /// - a realm that cannot be written into a header;
    /// - a cache for more than 16,777,216 tokens;
    /// - a `T` that declares a registered claim, which it would never receive.
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
        if sources.is_empty() {
            return Err(ConfigError::new("sources", "set at least one token source"));
        }
        let validity = Validity {
            clock: self.clock,
            times: self.times,
            revocations: self.revocations,
        };
        validity.check_list()?;
        let verifier = TokenVerifier {
            issuers,
            validity: Arc::new(validity),
            reference_tokens: self.reference_tokens,
            cache: TokenCache::new(self.cache_size)?,
        };
        if let Some(sessions) = &verifier.reference_tokens {
            verifier.check_sessions(sessions)?;
        }
        let requests = RequestRules {
            sources: TokenSources::new(sources),
            csrf,
            cookies: self.cookies,
            max_cookie_bytes: self.max_cookie_bytes,
            refusals: RefusalRenderer {
                realm: Realm::parse(&self.realm)?,
                resource_metadata: self.resource_metadata,
                grpc: self.grpc,
                ..RefusalRenderer::default()
            },
            events: self.events,
            client_ip_field: self.client_ip_field,
        };
        Ok(Arc::new(Authenticator {
            verifier,
            requests: Arc::new(requests),
            _keep_alive: self.keep_alive,
        }))
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
    /// Starts a builder with a configured issuer, for issuers that do not follow RFC 9068.
    pub fn trusting(issuer: TrustedIssuer) -> AuthenticatorBuilder<T> {
        AuthenticatorBuilder::new(issuer)
    }

    /// Starts a builder with the issuer identifier, which is compared with `iss` byte for byte. Set
    /// the audience next.
    pub fn for_issuer(issuer: impl Into<String>) -> NeedsAudience<AuthenticatorBuilder<T>> {
        NeedsAudience::new(issuer)
    }
}

impl Issuer {
    /// Starts a builder that accepts this issuer's tokens, with the same keys and clock.
    pub fn authenticator<T>(&self) -> AuthenticatorBuilder<T> {
        let mut builder =
            AuthenticatorBuilder::new(self.own.clone()).with_clock(Arc::clone(&self.clock));
        builder.keep_alive = self.keep_alive.clone();
        builder
    }
}
