//! [`Authenticator`]: finds and verifies the token of a request.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::base::keep_alive::KeepAlive;
pub use crate::guard::builder::AuthenticatorBuilder;
use crate::guard::refusal::Refusal;
use crate::guard::request_rules::RequestRules;
use crate::guard::verifier::TokenVerifier;
use crate::http::request::RequestView;
use crate::token::cache::{CacheStatus, TokenCache};

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
    pub(crate) verifier: TokenVerifier<T>,
    pub(crate) requests: Arc<RequestRules>,
    pub(super) _keep_alive: Option<KeepAlive>,
}

impl<T> Authenticator<T> {
    /// The fill level of the cache of verified tokens. `None` if the cache is off.
    #[must_use]
    pub fn cache_status(&self) -> Option<CacheStatus> {
        self.verifier.cache.as_ref().map(TokenCache::status)
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Authenticator<T> {
    /// Applies the CSRF rule to a request without a token, such as a login. Otherwise a page of
    /// another site could log visitors in to an account of its choice.
    ///
    /// # Errors
    /// The refusal to respond with (403), unless the request is proven to come from this site or
    /// from an origin that the [`CsrfPolicy`](crate::CsrfPolicy) trusts.
    pub fn check_csrf(&self, request: &dyn RequestView) -> Result<(), Refusal> {
        self.requests.check_csrf(request)
    }
}
