//! The decision about one request, in the order that the crate documentation gives.
//!
//! 1. A CORS preflight passes as anonymous, if the guard was told to let preflights pass. Only a
//!    real one: `OPTIONS` with `Origin` and `Access-Control-Request-Method` (Fetch §4.8).
//! 2. Exactly one credential, else 400; none: 401, or anonymous in optional mode.
//! 3. The token is verified. In optional mode a bad token is refused all the same if it came in
//!    the header, where a client put it on purpose; in a cookie, which a person cannot leave out,
//!    it makes the request anonymous.
//! 4. The CSRF rule, if the token came from a cookie.
//! 5. Scopes, roles and step-up.
//!
//! Trouble behind us (keys, store, feed) is 503 in both modes, never anonymity.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::authenticator::Authenticator;
use crate::claims::Verified;
use crate::context::AuthContext;
use crate::error::{AuthError, AuthErrorKind, Cause, ConfigError};
use crate::request::{RequestView, SingleField, single_field};
use crate::requirements::Requirements;
use crate::source::{Carrier, PresentedToken};
use crate::verdict::{Pass, ResponseEdits, Step, Verdict};

/// What guards a set of routes: an authenticator, whether anonymous requests pass, and what the
/// routes require.
///
/// ```
/// use auth_core::{Authenticator, Guard, Key};
/// use std::sync::Arc;
///
/// let auth: Arc<Authenticator<()>> = Authenticator::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(Key::hs256("k1", &[7; 32])?)
///     .build()?;
/// let everybody = Guard::from(&auth).optional();
/// let admins = Guard::from(&auth).require_scope("admin")?;
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Guard<T> {
    authenticator: Arc<Authenticator<T>>,
    requirements: Requirements,
    mode: Mode,
    preflight: Preflight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Required,
    Optional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preflight {
    Guarded,
    Passes,
}

impl<T> Clone for Guard<T> {
    fn clone(&self) -> Self {
        Self {
            authenticator: Arc::clone(&self.authenticator),
            requirements: self.requirements.clone(),
            mode: self.mode,
            preflight: self.preflight,
        }
    }
}

impl<T> From<Arc<Authenticator<T>>> for Guard<T> {
    fn from(authenticator: Arc<Authenticator<T>>) -> Self {
        Self {
            authenticator,
            requirements: Requirements::new(),
            mode: Mode::Required,
            preflight: Preflight::Guarded,
        }
    }
}

impl<T> From<&Arc<Authenticator<T>>> for Guard<T> {
    fn from(authenticator: &Arc<Authenticator<T>>) -> Self {
        Self::from(Arc::clone(authenticator))
    }
}

impl<T> Guard<T> {
    /// Requests without a token pass as anonymous.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.mode = Mode::Optional;
        self
    }

    /// Real CORS preflights pass. Needed where the CORS layer is inside of the guard; outside of
    /// it, where it belongs, it answers preflights itself.
    #[must_use]
    pub fn allow_preflight(mut self) -> Self {
        self.preflight = Preflight::Passes;
        self
    }

    /// Requires scopes, space-separated.
    ///
    /// # Errors
    /// As [`Requirements::with_scope`].
    pub fn require_scope(mut self, scope: &str) -> Result<Self, ConfigError> {
        self.requirements = self.requirements.with_scope(scope)?;
        Ok(self)
    }

    /// Requires a role.
    #[must_use]
    pub fn require_role(mut self, role: impl Into<String>) -> Self {
        self.requirements = self.requirements.with_role(role);
        self
    }

    /// Requires that the user logged in at most `max_age` ago (RFC 9470).
    #[must_use]
    pub fn require_max_age(mut self, max_age: Duration) -> Self {
        self.requirements = self.requirements.with_max_age(max_age);
        self
    }

    /// Requires a login of one of these classes (RFC 9470).
    ///
    /// # Errors
    /// As [`Requirements::with_acr`].
    pub fn require_acr<I>(mut self, classes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.requirements = self.requirements.with_acr(classes)?;
        Ok(self)
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Guard<T> {
    /// Decides about a request.
    #[must_use]
    pub fn check(&self, request: &dyn RequestView) -> Step {
        Step::Done(self.decide(request))
    }

    fn decide(&self, request: &dyn RequestView) -> Verdict {
        if self.preflight == Preflight::Passes && is_preflight(request) {
            return self.pass_anonymous(None);
        }
        let token = match self.authenticator.sources.find(request) {
            Ok(Some(token)) => token,
            Ok(None) if self.mode == Mode::Optional => return self.pass_anonymous(None),
            Ok(None) => {
                let error = AuthError::new(AuthErrorKind::MissingCredential, Cause::Absent);
                return self.refuse(error, request);
            }
            Err(error) => return self.refuse(error.into(), request),
        };
        match self.authenticator.verify(token.expose()) {
            Ok(verified) => self.admit(&Arc::new(verified), token, request),
            Err(error) => self.reject(error, token, request),
        }
    }

    /// The rules that hold for good tokens.
    fn admit(
        &self,
        verified: &Arc<Verified<T>>,
        token: PresentedToken<'_>,
        request: &dyn RequestView,
    ) -> Verdict {
        let auth = &self.authenticator;
        if token.carrier() == Carrier::Cookie
            && let Err(cause) = auth.csrf.check(request)
        {
            return self.refuse(AuthError::new(AuthErrorKind::CrossSite, cause), request);
        }
        if let Err(error) = self
            .requirements
            .check(&verified.registered, auth.rules.clock.now())
        {
            return self.refuse(error, request);
        }
        let context = AuthContext::identified(
            Arc::clone(verified),
            token.carrier(),
            Arc::clone(&auth.rules),
        );
        Verdict::Pass(Pass::new(context, ResponseEdits::default()))
    }

    /// Rule 3.
    fn reject(
        &self,
        error: AuthError,
        token: PresentedToken<'_>,
        request: &dyn RequestView,
    ) -> Verdict {
        let forgivable = self.mode == Mode::Optional
            && token.carrier() == Carrier::Cookie
            && error.kind() == AuthErrorKind::InvalidToken;
        if forgivable {
            tracing::debug!(target: "auth::anonymous", cause = error.cause().as_str());
            self.pass_anonymous(Some(error))
        } else {
            self.refuse(error, request)
        }
    }

    fn pass_anonymous(&self, cause: Option<AuthError>) -> Verdict {
        let context = AuthContext::anonymous(Arc::clone(&self.authenticator.rules), cause);
        Verdict::Pass(Pass::new(context, ResponseEdits::default()))
    }

    fn refuse(&self, error: AuthError, request: &dyn RequestView) -> Verdict {
        Verdict::Refuse(self.authenticator.rules.answers.refuse(error, request))
    }
}

fn is_preflight(request: &dyn RequestView) -> bool {
    let has = |name| matches!(single_field(request, name), SingleField::One(_));
    request.method() == "OPTIONS" && has("origin") && has("access-control-request-method")
}
