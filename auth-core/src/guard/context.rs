//! [`AuthContext`]: the result of a guard, carried from a request to its handler.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::guard::refusal::Refusal;
use crate::guard::request_rules::RequestRules;
use crate::guard::requirements::{RequirementCheck, Requirements, Requires};
use crate::guard::verifier::Validity;
use crate::http::request::RequestView;
use crate::http::source::Carrier;
use crate::token::claims::{Authenticated, RegisteredClaims, Verified};

/// The settings of a guard that handlers' responses need, and connections that outlive their
/// request.
#[derive(Clone, Debug)]
pub(crate) struct GuardRuntime {
    /// The authenticator's rules, with the login page and the responder of the guard.
    pub(super) requests: Arc<RequestRules>,
    /// Shared by all guards of one authenticator.
    pub(super) validity: Arc<Validity>,
}

impl GuardRuntime {
    /// Whether both belong to guards of one authenticator.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.validity, &other.validity)
    }
}

/// Proof that a request passed the guard, with its identity.
///
/// Adapters put it into the request's extensions, where extractors read it. Only a guard can
/// construct it, so a value inserted by a client or another layer cannot replace it.
#[derive(Clone)]
pub struct AuthContext {
    pub(crate) identity: Option<Identity>,
    pub(super) runtime: Arc<GuardRuntime>,
    cause: Option<AuthError>,
}

#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) verified: Arc<dyn AnyVerified>,
    carrier: Carrier,
}

/// A type-erased verified token, recovered by downcast.
pub(crate) trait AnyVerified: Any + Send + Sync {
    fn registered(&self) -> &RegisteredClaims;
}

impl<T: Send + Sync + 'static> AnyVerified for Verified<T> {
    fn registered(&self) -> &RegisteredClaims {
        &self.registered
    }
}

impl Identity {
    /// The token and its carrier. `None` if the guard's claims type is not `T`.
    pub(super) fn verified<T: Send + Sync + 'static>(&self) -> Option<(Arc<Verified<T>>, Carrier)> {
        let verified: Arc<dyn Any + Send + Sync> = Arc::clone(&self.verified) as _;
        Some((verified.downcast().ok()?, self.carrier))
    }

    fn read<T: Send + Sync + 'static>(&self) -> Result<Authenticated<T>, AuthError> {
        if let Some((verified, carrier)) = self.verified() {
            return Ok(Authenticated::new(verified, carrier));
        }
        tracing::error!(
            target: "auth::setup",
            asked_for = std::any::type_name::<T>(),
            "the claims type of a handler differs from that of its route's guard"
        );
        Err(AuthError::misconfigured())
    }
}

impl AuthContext {
    pub(crate) fn identified<T: Send + Sync + 'static>(
        verified: Arc<Verified<T>>,
        carrier: Carrier,
        runtime: Arc<GuardRuntime>,
    ) -> Self {
        Self {
            identity: Some(Identity { verified, carrier }),
            runtime,
            cause: None,
        }
    }

    pub(crate) fn anonymous(runtime: Arc<GuardRuntime>, cause: Option<AuthError>) -> Self {
        Self {
            identity: None,
            runtime,
            cause,
        }
    }

    /// The identity of the request. `None` if it is anonymous, which only an optional guard lets
    /// through.
    ///
    /// # Errors
    /// A 500 refusal if the guard's claims type is not `T`.
    pub fn authenticated<T: Send + Sync + 'static>(
        &self,
        request: &dyn RequestView,
    ) -> Result<Option<Authenticated<T>>, Refusal> {
        let who = self.identity.as_ref().map(Identity::read).transpose();
        who.map_err(|error| self.runtime.requests.refuse(error, None, request))
    }

    /// The identity of the request, for handlers without access to its head, such as those of a
    /// gRPC service. `None` if it is anonymous, or if the guard's claims type is not `T`, which is
    /// logged.
    #[must_use]
    pub fn identity<T: Send + Sync + 'static>(&self) -> Option<Authenticated<T>> {
        self.identity.as_ref()?.read().ok()
    }

    /// The identity of the request, which must not be anonymous.
    ///
    /// # Errors
    /// A 401 refusal if the request is anonymous, a 500 one if the guard's claims type is not `T`.
    pub fn require<T: Send + Sync + 'static>(
        &self,
        request: &dyn RequestView,
    ) -> Result<Authenticated<T>, Refusal> {
        self.authenticated(request)?
            .ok_or_else(|| self.refuse_anonymous(request))
    }

    /// Checks `requirements`, for guards in the signature of a handler.
    ///
    /// # Errors
    /// The refusal to respond with: 401 if the request is anonymous, else as [`Requirements`] says.
    pub fn authorize(
        &self,
        requirements: &Requirements,
        request: &dyn RequestView,
    ) -> Result<(), Refusal> {
        self.check(&requirements.as_check(), request)
    }

    /// Checks requirements that are a type, like [`authorize`](Self::authorize). For the extractors
    /// of the adapters.
    ///
    /// # Errors
    /// The same as for [`authorize`](Self::authorize).
    pub fn require_type<R: Requires>(&self, request: &dyn RequestView) -> Result<(), Refusal> {
        self.check(&RequirementCheck::of::<R>(), request)
    }

    fn check<S: AsRef<str>>(
        &self,
        required: &RequirementCheck<'_, S>,
        request: &dyn RequestView,
    ) -> Result<(), Refusal> {
        let Some(identity) = &self.identity else {
            return Err(self.refuse_anonymous(request));
        };
        let claims = identity.verified.registered();
        required
            .check(claims, || self.runtime.validity.now())
            .map_err(|error| self.runtime.requests.refuse(error, Some(claims), request))
    }

    /// The cause why the request is anonymous although it carried a token: the cookie's token was
    /// expired, revoked or unknown.
    #[must_use]
    pub fn anonymous_cause(&self) -> Option<&AuthError> {
        self.cause.as_ref()
    }

    fn refuse_anonymous(&self, request: &dyn RequestView) -> Refusal {
        let error = AuthError::new(AuthErrorKind::MissingCredential, Cause::Absent);
        self.runtime.requests.refuse(error, None, request)
    }
}

impl fmt::Debug for AuthContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthContext")
            .field("anonymous", &self.identity.is_none())
            .field(
                "carrier",
                &self.identity.as_ref().map(|identity| identity.carrier),
            )
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}
