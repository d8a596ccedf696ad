//! [`Authenticator`]: finds a token, verifies it or finds it in the cache, and checks its
//! revocation.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::base::clock::{Timestamp, is_same_clock};
use crate::base::config::ConfigError;
use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::base::keep_alive::KeepAlive;
pub use crate::guard::builder::{AuthenticatorBuilder, ForAudience, ForIssuer};
use crate::guard::context::GuardRuntime;
use crate::guard::refusal::Refusal;
use crate::http::cookies::CookieTransport;
use crate::http::csrf::CsrfPolicy;
use crate::http::header::{HeaderLine, SET_COOKIE};
use crate::http::request::{RequestSnapshot, RequestView};
use crate::http::source::TokenSources;
use crate::keys::remote::KeyWait;
use crate::observe::metrics;
use crate::session::cookies::CookieHead;
use crate::session::{Sessions, Unavailable, is_reference};
use crate::token::cache::{CacheStatus, TokenCache};
use crate::token::claims::Verified;
use crate::token::verify::{Failure, TimeRules, TrustedIssuers, Turn};

/// An authenticator of requests. It finds the token, verifies it and parses the claims, including
/// the app's own type `T`.
///
/// `T` gets every claim that is not registered (`sub`, `exp`, `scope`, …: those have getters on
/// [`Authenticated`](crate::Authenticated)). Use `()` if there are none.
///
/// ```
/// use auth_core::{Authenticator, Key};
/// use serde::Deserialize;
/// use std::sync::Arc;
///
/// #[derive(Deserialize)]
/// struct User {
///     tenant: String,
/// }
///
/// let auth: Arc<Authenticator<User>> = Authenticator::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(Key::hs256("k1", &[7; 32])?)
///     .build()?;
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Authenticator<T> {
    pub(super) issuers: TrustedIssuers,
    pub(super) times: TimeRules,
    pub(crate) sources: TokenSources,
    pub(crate) csrf: CsrfPolicy,
    pub(crate) rules: Arc<GuardRuntime>,
    pub(super) cookies: Option<Arc<dyn CookieTransport>>,
    pub(super) max_cookie_bytes: usize,
    pub(crate) silent_refresh: Option<Sessions>,
    pub(super) reference_tokens: Option<Sessions>,
    pub(super) cache: Option<TokenCache<T>>,
    pub(super) _keep_alive: Option<KeepAlive>,
    #[cfg(feature = "metrics")]
    pub(super) hits: metrics::Hits,
}

impl<T> Authenticator<T> {
    /// The fill level of the cache of verified tokens. `None` if the cache is off.
    #[must_use]
    pub fn cache_status(&self) -> Option<CacheStatus> {
        self.cache.as_ref().map(TokenCache::status)
    }

    /// Checks that revocation list and guard use one clock.
    pub(super) fn check_clocks(&self) -> Result<(), ConfigError> {
        match &self.rules.revocations {
            Some(list) if !is_same_clock(list.clock(), &self.rules.clock) => Err(ConfigError::new(
                "clock",
                "the authenticator and its revocations have different clocks: pass the same \
                 clock to both",
            )),
            _ => Ok(()),
        }
    }

    /// Checks that sessions and authenticator belong to one app: the authenticator accepts the
    /// tokens that the sessions issue, and sees their revocations, at the same time.
    pub(crate) fn check_beside(&self, sessions: &Sessions) -> Result<(), ConfigError> {
        let issuer = sessions.issuer();
        if self.issuers.named(issuer.name()).is_none() {
            return Err(ConfigError::new(
                "issuer",
                format!(
                    "the sessions issue tokens as {}, which the authenticator does not accept: \
                     add this issuer to it",
                    issuer.name()
                ),
            ));
        }
        if !is_same_clock(issuer.clock(), &self.rules.clock) {
            return Err(ConfigError::new(
                "clock",
                "the sessions' issuer and the authenticator have different clocks: pass the same \
                 clock to both",
            ));
        }
        match (sessions.revocations(), &self.rules.revocations) {
            (Some(own), Some(asked)) if own.is(asked) => Ok(()),
            (None, _) => Ok(()),
            (Some(_), _) => Err(ConfigError::new(
                "revocations",
                "the sessions and the authenticator have different revocation lists, or the \
                 authenticator has none: pass the same list to both",
            )),
        }
    }

    pub(crate) fn cookies(&self) -> Option<&Arc<dyn CookieTransport>> {
        self.cookies.as_ref()
    }

    /// The cookie settings of a response.
    pub(crate) fn cookie_head(&self) -> Option<CookieHead<'_>> {
        Some(CookieHead {
            cookies: &**self.cookies.as_ref()?,
            limit: self.max_cookie_bytes,
        })
    }

    /// The parts of a request that are kept during a wait.
    pub(crate) fn snapshot(&self, request: &dyn RequestView) -> RequestSnapshot {
        let client_ip = self.rules.client_ip_field.as_deref();
        let extra = [self.csrf.required_header(), client_ip];
        RequestSnapshot::of(request, extra.into_iter().flatten())
    }

    /// The header lines that delete the cookies of this app.
    pub(crate) fn clearing_lines(&self) -> Vec<HeaderLine> {
        let texts = self.cookies.iter().flat_map(|cookies| cookies.clear());
        texts
            .map(|text| HeaderLine::new(SET_COOKIE, text))
            .collect()
    }

    pub(crate) fn store_unavailable(
        &self,
        source: Unavailable,
        request: &dyn RequestView,
    ) -> Refusal {
        self.rules
            .answers
            .refuse(AuthError::store_unavailable(source), request)
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Authenticator<T> {
    /// Applies the CSRF rule to a request without a token, such as a login. Otherwise a page of
    /// another site could log visitors in to an account of its choice.
    ///
    /// # Errors
    /// The refusal to respond with (403), unless the request is proven to come from this site or
    /// from an origin that the [`CsrfPolicy`] trusts.
    pub fn check_csrf(&self, request: &dyn RequestView) -> Result<(), Refusal> {
        self.csrf.check_always(request).map_err(|cause| {
            let error = AuthError::new(AuthErrorKind::CrossSite, cause);
            self.rules.refuse(error, None, request)
        })
    }

    /// Verifies a token, if that is possible without waiting.
    pub(crate) fn verify(&self, token: &str) -> Result<Arc<Verified<T>>, Unverified> {
        if self.reference_tokens.is_some() && is_reference(token) {
            return Err(Unverified::NotYet(Missing::Claims));
        }
        self.verify_signed(token, Turn::First)
    }

    /// Verifies a token, and waits if necessary.
    pub(crate) async fn verify_any(&self, token: &str) -> Result<Arc<Verified<T>>, AuthError> {
        match self.verify(token) {
            Ok(verified) => Ok(verified),
            Err(Unverified::Refused(error)) => Err(error),
            Err(Unverified::NotYet(missing)) => self.verify_with(missing, token).await,
        }
    }

    /// Verifies a token for which a part was missing, now that it is present.
    pub(crate) async fn verify_with(
        &self,
        missing: Missing,
        token: &str,
    ) -> Result<Arc<Verified<T>>, AuthError> {
        match (missing, &self.reference_tokens) {
            (Missing::Claims, Some(sessions)) => {
                let verified = self.resolve(sessions, token).await;
                match &verified {
                    Ok(_) => metrics::accepted(),
                    Err(error) => metrics::rejected(error.cause()),
                }
                verified
            }
            (Missing::Claims, None) => Err(AuthError::misconfigured()),
            (Missing::Key(wait), _) => {
                wait.ended().await;
                self.verify_signed(token, Turn::AfterFetch)
                    .map_err(Into::into)
            }
        }
    }

    /// Verifies an opaque token with the claims in the session store.
    async fn resolve(
        &self,
        sessions: &Sessions,
        token: &str,
    ) -> Result<Arc<Verified<T>>, AuthError> {
        let resolved = sessions.resolve(token).await?;
        let now = self.rules.clock.now();
        let verified = self
            .issuers
            .verify_kept(
                &resolved.payload,
                resolved.subject_version,
                now,
                &self.times,
            )
            .map_err(AuthError::invalid_token)?;
        self.check_revoked(&verified, now)?;
        Ok(verified)
    }

    fn verify_signed(&self, token: &str, turn: Turn) -> Result<Arc<Verified<T>>, Unverified> {
        let verified = self.verify_or_recall(token, turn);
        if let Err(Unverified::Refused(error)) = &verified {
            metrics::rejected(error.cause());
        }
        verified
    }

    fn verify_or_recall(&self, token: &str, turn: Turn) -> Result<Arc<Verified<T>>, Unverified> {
        let now = self.rules.clock.now();
        if let Some(known) = self.recall(token, now) {
            let verified = known?;
            self.check_revoked(&verified, now)?;
            #[cfg(feature = "metrics")]
            self.hits.count();
            return Ok(verified);
        }
        let (verified, verified_under) = self.issuers.verify(token, now, &self.times, turn)?;
        self.check_revoked(&verified, now)?;
        metrics::accepted();
        if let Some(cache) = &self.cache {
            cache.insert(token, Arc::clone(&verified), verified_under);
        }
        Ok(verified)
    }

    fn recall(&self, token: &str, now: Timestamp) -> Option<Result<Arc<Verified<T>>, AuthError>> {
        let cache = self.cache.as_ref()?;
        cache.get(token, &self.issuers, &self.times, now)
    }

    fn check_revoked(&self, verified: &Verified<T>, now: Timestamp) -> Result<(), AuthError> {
        match &self.rules.revocations {
            Some(revocations) => revocations.check(&verified.registered, now),
            None => Ok(()),
        }
    }
}

/// The reason why a token is not accepted, or not accepted yet.
#[derive(Debug)]
pub(crate) enum Unverified {
    Refused(AuthError),
    NotYet(Missing),
}

/// The missing part for a decision about a token.
#[derive(Debug)]
pub(crate) enum Missing {
    /// The claims, which are in the session store.
    Claims,
    /// The key, which a fetch may return.
    Key(KeyWait),
}

impl From<AuthError> for Unverified {
    fn from(error: AuthError) -> Self {
        Self::Refused(error)
    }
}

impl From<Failure> for Unverified {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(cause) => Self::Refused(AuthError::invalid_token(cause)),
            Failure::KeysUnavailable(error) => Self::Refused(AuthError::keys_unavailable(error)),
            Failure::KeyMissing(wait) => Self::NotYet(Missing::Key(wait)),
        }
    }
}

/// The error after a wait: no token waits twice.
impl From<Unverified> for AuthError {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Refused(error) => error,
            Unverified::NotYet(_) => Self::unavailable(Cause::KeysUnavailable),
        }
    }
}
