//! [`Authenticated`]: the proof that a request was authenticated.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
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
    /// Puts complete claims behind an `Arc`: they are not copied after this.
    pub(crate) fn shared(registered: RegisteredClaims, private: T) -> Arc<Self> {
        Arc::new(Self {
            registered,
            private,
        })
    }
}

/// Shows no claim of the app.
impl<T> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("registered", &self.registered)
            .finish_non_exhaustive()
    }
}

/// Proof that a request carried a valid token, with the claims of that token.
///
/// Only the authenticator can construct it, so a value inserted by a client or an outer layer is
/// never mistaken for it. It dereferences to the app's own claims; clones share them.
///
/// ```
/// use auth_core::Authenticated;
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     name: String,
/// }
///
/// fn greet(user: &Authenticated<User>) -> String {
///     format!("Hello {}, known to us as {}", user.name, user.subject())
/// }
/// ```
///
/// # Security
/// `Debug` shows the carrier and the expiry of the token, and no claim.
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

    /// All registered claims, including the rarer ones.
    #[must_use]
    pub fn registered(&self) -> &RegisteredClaims {
        &self.verified.registered
    }

    /// The part of the request that carried the token.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// `sub`: the subject of the token. The verifier guarantees that it is present.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.registered().subject().unwrap_or_default()
    }

    /// `iss`: the issuer of the token. The verifier guarantees that it is present.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.registered().issuer().unwrap_or_default()
    }

    /// The session of the token: `sid` as the identifier of a session of this crate. `None` if it is
    /// absent or has another form.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.registered().session()
    }

    /// `sid`: the session of the token, in the form of its issuer. See
    /// [`session`](Self::session).
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.registered().session_id()
    }

    /// `jti`: the unique identifier of the token.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.registered().token_id()
    }

    /// `client_id`: the client that requested the token.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.registered().client_id()
    }

    /// `scope`: the scope of the token.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        self.registered().scope()
    }

    /// `roles`: the roles of the subject.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.registered().roles()
    }

    /// `iat`: the time of issue.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.registered().issued_at()
    }

    /// `exp`: the expiry of the token.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.registered().expires_at()
    }

    /// `auth_time`: the time of the user's last authentication.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.registered().auth_time()
    }

    /// `acr`: the class of the user's authentication.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.registered().acr()
    }

    /// `amr`: the methods of the user's authentication.
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
