//! The proof that a request was authenticated.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::scope::Scope;
use crate::http::source::Carrier;
use crate::token::claims::RegisteredClaims;

/// The claims of a token that has passed every check.
#[derive(Default)]
pub(crate) struct Verified<T> {
    pub(crate) registered: RegisteredClaims,
    pub(crate) private: T,
}

impl<T> Verified<T> {
    /// Shared as soon as they are complete: from here on they are not copied any more.
    pub(crate) fn shared(registered: RegisteredClaims, private: T) -> Arc<Self> {
        Arc::new(Self {
            registered,
            private,
        })
    }
}

/// Hand-written, so that no claim of the app's is shown.
impl<T> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("registered", &self.registered)
            .finish_non_exhaustive()
    }
}

/// Proof that the request came with a valid token, and what the token says.
///
/// Only the authenticator makes one, so a value that a client or an outer layer could plant never
/// passes for it. It dereferences to the app's own claims, and a clone shares them.
///
/// ```
/// use auth_core::Authenticated;
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     name: String,
/// }
///
/// fn greet(who: &Authenticated<User>) -> String {
///     format!("Hello {}, known to us as {}", who.name, who.subject())
/// }
/// ```
///
/// # Security
/// `Debug` shows where the token came from and when it expires, and no claim.
pub struct Authenticated<T> {
    verified: Arc<Verified<T>>,
    carrier: Carrier,
}

impl<T> Authenticated<T> {
    pub(crate) fn new(verified: Arc<Verified<T>>, carrier: Carrier) -> Self {
        Self { verified, carrier }
    }

    /// The app's own claims.
    #[must_use]
    pub fn claims(&self) -> &T {
        &self.verified.private
    }

    /// The claims that this crate understands, among them the rarer ones.
    #[must_use]
    pub fn registered(&self) -> &RegisteredClaims {
        &self.verified.registered
    }

    /// What brought the token.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// `sub`: whom the token is about. The verifier has seen to it that there is one.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.registered().subject().unwrap_or_default()
    }

    /// `iss`: who issued the token. The verifier has seen to it that there is one.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.registered().issuer().unwrap_or_default()
    }

    /// `sid`: the session that the token belongs to, if any.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.registered().session_id()
    }

    /// `jti`: the token's own name.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.registered().token_id()
    }

    /// `client_id`: the client that asked for the token.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.registered().client_id()
    }

    /// `scope`: what the token may be used for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        self.registered().scope()
    }

    /// `roles`: the subject's roles.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.registered().roles()
    }

    /// `iat`: when the token was issued.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.registered().issued_at()
    }

    /// `exp`: from when on the token is dead.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.registered().expires_at()
    }

    /// `auth_time`: when the person last authenticated.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.registered().auth_time()
    }

    /// `acr`: how strongly the person authenticated.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.registered().acr()
    }

    /// `amr`: by which methods the person authenticated.
    pub fn amr(&self) -> impl Iterator<Item = &str> {
        self.registered().amr()
    }
}

impl<T> Clone for Authenticated<T> {
    fn clone(&self) -> Self {
        Self {
            verified: Arc::clone(&self.verified),
            carrier: self.carrier,
        }
    }
}

impl<T> Deref for Authenticated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.claims()
    }
}

impl<T> fmt::Debug for Authenticated<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated")
            .field("carrier", &self.carrier)
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_claim() {
        let verified = Arc::new(Verified {
            registered: RegisteredClaims {
                subject: Some("marked-subject".into()),
                token_id: Some("marked-jti".into()),
                roles: vec!["marked-role".into()],
                scope: Scope::parse("marked-scope").unwrap(),
                ..RegisteredClaims::default()
            },
            private: "marked-private",
        });
        let who = Authenticated::new(Arc::clone(&verified), Carrier::Cookie);
        for shown in [
            format!("{verified:?}"),
            format!("{who:?} {:?}", who.registered()),
        ] {
            assert!(!shown.contains("marked"), "{shown}");
        }
        assert_eq!(*who.clone(), "marked-private");
        assert_eq!(who.subject(), "marked-subject");
    }
}
