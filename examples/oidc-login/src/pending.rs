//! The state of a login while the user is at the provider.
//!
//! 1. It is in a cookie of this browser, so that a login that another browser began cannot be
//!    finished here. Otherwise an attacker could send a visitor the last step of the attacker's own
//!    login, and the visitor would be logged in to the attacker's account (login CSRF).
//! 2. `__Host-`: no subdomain can plant the cookie. `HttpOnly`: script cannot read it.
//!    `SameSite=Lax`: the redirect back from the provider is a navigation from another site, for
//!    which browsers omit `Strict` cookies.
//! 3. It lives for ten minutes, for one login: any response of the provider to it deletes it.
//!    Responses to other logins leave it unchanged.
//! 4. It is neither signed nor encrypted. Only the user of this browser can change it, and would
//!    only prevent the user's own login: requirements such as a recent login are checked with the
//!    session.

use std::time::Duration;

use auth_cookie::{CookieSource, SameSite, TokenCookie};
use auth_core::ConfigError;
use auth_core::adapter::{CookieError, RequestView};
use auth_core::source::{CredentialError, TokenSource};
use openidconnect::{CsrfToken, Nonce, PkceCodeVerifier};
use subtle::ConstantTimeEq;

const LIVES_FOR: Duration = Duration::from_secs(10 * 60);

/// A login that has begun.
pub struct Pending {
    /// Binds the provider's answer to this browser.
    pub state: CsrfToken,
    /// Binds the ID token to this login.
    pub nonce: Nonce,
    /// Proves to the provider that the client which requested the code redeems it.
    pub verifier: PkceCodeVerifier,
    /// Maximum age of the login at the provider in seconds, if requested.
    pub max_age: Option<u64>,
}

/// The cookie of a pending login.
#[derive(Clone, Debug)]
pub struct PendingCookie {
    cookie: TokenCookie,
    source: CookieSource,
}

impl PendingCookie {
    /// Creates the cookie `__Host-Http-login`.
    pub fn new() -> Result<Self, ConfigError> {
        let cookie = TokenCookie::host_http("login")
            .with_same_site(SameSite::Lax)
            .build()?;
        Ok(Self {
            source: CookieSource::named(cookie.name())?,
            cookie,
        })
    }

    /// The `Set-Cookie` value that stores a login.
    pub fn set(&self, pending: &Pending) -> Result<String, CookieError> {
        // The secrets are base64url, which contains no dot.
        let max_age = pending.max_age.map(|seconds| seconds.to_string());
        let parts = [
            pending.state.secret().as_str(),
            pending.nonce.secret(),
            pending.verifier.secret(),
            max_age.as_deref().unwrap_or_default(),
        ];
        self.cookie.set(&parts.join("."), Some(LIVES_FOR))
    }

    /// The `Set-Cookie` value that deletes the login.
    pub fn clear(&self) -> String {
        self.cookie.clear()
    }

    /// The pending login of this browser, if any.
    pub fn find(&self, request: &dyn RequestView) -> Result<Option<Pending>, CredentialError> {
        let Some(found) = self.source.find(request)? else {
            return Ok(None);
        };
        let parts: Vec<&str> = found.expose().split('.').collect();
        Ok(match parts[..] {
            [state, nonce, verifier, max_age] => Some(Pending {
                state: CsrfToken::new(state.to_owned()),
                nonce: Nonce::new(nonce.to_owned()),
                verifier: PkceCodeVerifier::new(verifier.to_owned()),
                max_age: max_age.parse().ok(),
            }),
            _ => None,
        })
    }
}

impl Pending {
    /// Whether the provider's response with this `state` belongs to this login.
    pub fn is_answered_by(&self, state: &str) -> bool {
        self.state
            .secret()
            .as_bytes()
            .ct_eq(state.as_bytes())
            .into()
    }
}
