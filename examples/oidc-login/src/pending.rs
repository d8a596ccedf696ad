//! The state of a login while the user is at the provider.
//!
//! 1. It is in a cookie of this browser, so that a login that was begun elsewhere cannot be
//!    finished here. Otherwise an attacker could send a visitor the last step of the attacker's own
//!    login, and the visitor would be signed in to the attacker's account (login CSRF).
//! 2. `__Host-`: no subdomain can plant one. `HttpOnly`: script cannot read it. `SameSite=Lax`: the
//!    way back from the provider is a navigation from another site, which `Strict` would leave out.
//! 3. It lives for ten minutes and is deleted by the provider's answer, whatever that says: it is
//!    good for one login. Answers to other logins leave it alone.
//! 4. It is neither signed nor encrypted. Who can change it in this browser is its user, who would
//!    spoil their own login only: what a recent login is good for is asked of the session.

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
    /// Proves to the provider that the code is redeemed by the client that asked for it.
    pub verifier: PkceCodeVerifier,
    /// Maximum age of the login at the provider in seconds, if requested.
    pub max_age: Option<u64>,
}

/// The cookie that it is kept in.
#[derive(Clone, Debug)]
pub struct PendingCookie {
    cookie: TokenCookie,
    source: CookieSource,
}

impl PendingCookie {
    /// The cookie `__Host-Http-login`.
    pub fn new() -> Result<Self, ConfigError> {
        let cookie = TokenCookie::host_http("login")
            .with_same_site(SameSite::Lax)
            .build()?;
        Ok(Self {
            source: CookieSource::named(cookie.name())?,
            cookie,
        })
    }

    /// The `Set-Cookie` value that keeps a login.
    pub fn set(&self, pending: &Pending) -> Result<String, CookieError> {
        // The secrets are base64url: a dot is in none.
        let max_age = pending.max_age.map(|seconds| seconds.to_string());
        let parts = [
            pending.state.secret().as_str(),
            pending.nonce.secret(),
            pending.verifier.secret(),
            max_age.as_deref().unwrap_or_default(),
        ];
        self.cookie.set(&parts.join("."), Some(LIVES_FOR))
    }

    /// The `Set-Cookie` value that forgets it.
    pub fn clear(&self) -> String {
        self.cookie.clear()
    }

    /// The login that this browser has begun, if it has.
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
    /// Whether this is the login that the provider answers.
    pub fn is_answered_by(&self, state: &str) -> bool {
        self.state
            .secret()
            .as_bytes()
            .ct_eq(state.as_bytes())
            .into()
    }
}
