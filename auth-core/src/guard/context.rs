//! [`AuthContext`]: the result of a guard, carried from a request to its handler.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::client::ClientInfo;
use crate::base::clock::Clock;
use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::base::id::SessionId;
use crate::guard::refusal::{Refusal, RefusalRenderer};
use crate::guard::requirements;
use crate::guard::requirements::{Requirements, Requires};
use crate::http::request::RequestView;
use crate::http::source::Carrier;
use crate::observe::events::{Event, Events};
use crate::revocation::Revocations;
use crate::token::claims::{Authenticated, RegisteredClaims, Verified};

/// The settings of an authenticator that handlers' responses need.
#[derive(Debug)]
pub(crate) struct GuardRuntime {
    pub(crate) answers: RefusalRenderer,
    pub(crate) clock: Arc<dyn Clock>,
    /// Revocation list, for connections that outlive their request.
    pub(crate) revocations: Option<Revocations>,
    pub(crate) leeway: Duration,
    pub(crate) events: Option<Arc<dyn Events>>,
    /// Header field in which a proxy puts the client's address.
    pub(crate) client_ip_field: Option<Box<str>>,
}

impl GuardRuntime {
    /// Creates the refusal of a request. Emits an event if permissions are missing. The claims are
    /// those of the request, if known.
    pub(crate) fn refuse(
        &self,
        error: AuthError,
        who: Option<&RegisteredClaims>,
        request: &dyn RequestView,
    ) -> Refusal {
        let denied = matches!(
            error.kind(),
            AuthErrorKind::CrossSite | AuthErrorKind::Forbidden | AuthErrorKind::InsufficientScope
        );
        if denied && let Some(events) = &self.events {
            events.on_event(&Event::Refused {
                issuer: who.and_then(RegisteredClaims::issuer),
                subject: who.and_then(RegisteredClaims::subject),
                session: who
                    .and_then(RegisteredClaims::session_id)
                    .and_then(SessionId::parse),
                cause: error.cause(),
                client: &self.client_of(request),
            });
        }
        self.answers.refuse(error, request)
    }

    /// The client of a request.
    pub(crate) fn client_of(&self, request: &dyn RequestView) -> ClientInfo {
        ClientInfo::of(request, self.client_ip_field.as_deref())
    }
}

/// Proof that a request passed the guard, with its identity.
///
/// Adapters put it into the request's extensions, where extractors read it. Only a guard can
/// construct it, so a value inserted by a client or another layer cannot replace it.
#[derive(Clone)]
pub struct AuthContext {
    pub(crate) identity: Option<Identity>,
    pub(crate) rules: Arc<GuardRuntime>,
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

impl AuthContext {
    pub(crate) fn identified<T: Send + Sync + 'static>(
        verified: Arc<Verified<T>>,
        carrier: Carrier,
        rules: Arc<GuardRuntime>,
    ) -> Self {
        Self {
            identity: Some(Identity { verified, carrier }),
            rules,
            cause: None,
        }
    }

    pub(crate) fn anonymous(rules: Arc<GuardRuntime>, cause: Option<AuthError>) -> Self {
        Self {
            identity: None,
            rules,
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
        let Some(identity) = &self.identity else {
            return Ok(None);
        };
        match Self::read(identity) {
            Ok(who) => Ok(Some(who)),
            Err(error) => Err(self.rules.answers.refuse(error, request)),
        }
    }

    fn read<T: Send + Sync + 'static>(identity: &Identity) -> Result<Authenticated<T>, AuthError> {
        let verified: Arc<dyn Any + Send + Sync> = Arc::clone(&identity.verified) as _;
        match verified.downcast::<Verified<T>>() {
            Ok(verified) => Ok(Authenticated::new(verified, identity.carrier)),
            Err(_) => {
                tracing::error!(
                    target: "auth::setup",
                    asked_for = std::any::type_name::<T>(),
                    "the claims type of a handler differs from that of its route's guard"
                );
                Err(AuthError::misconfigured())
            }
        }
    }

    /// The identity of the request, for handlers without access to its head, such as those of a
    /// gRPC service. `None` if it is anonymous, or if the guard's claims type is not `T`, which is
    /// logged.
    #[must_use]
    pub fn identity<T: Send + Sync + 'static>(&self) -> Option<Authenticated<T>> {
        let identity = self.identity.as_ref()?;
        Self::read(identity).ok()
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
        let Some(identity) = &self.identity else {
            return Err(self.refuse_anonymous(request));
        };
        requirements
            .check(identity.verified.registered(), || self.rules.clock.now())
            .map_err(|error| self.refuse(error, identity, request))
    }

    /// Checks requirements that are a type, like [`authorize`](Self::authorize). For the extractors
    /// of the adapters.
    ///
    /// # Errors
    /// The same as for [`authorize`](Self::authorize).
    pub fn require_type<R: Requires>(&self, request: &dyn RequestView) -> Result<(), Refusal> {
        let Some(identity) = &self.identity else {
            return Err(self.refuse_anonymous(request));
        };
        requirements::check::<R>(identity.verified.registered(), || self.rules.clock.now())
            .map_err(|error| self.refuse(error, identity, request))
    }

    fn refuse(&self, error: AuthError, who: &Identity, request: &dyn RequestView) -> Refusal {
        self.rules
            .refuse(error, Some(who.verified.registered()), request)
    }

    /// The cause why the request is anonymous although it carried a token: the cookie's token was
    /// expired, revoked or unknown.
    #[must_use]
    pub fn anonymous_cause(&self) -> Option<&AuthError> {
        self.cause.as_ref()
    }

    fn refuse_anonymous(&self, request: &dyn RequestView) -> Refusal {
        let error = AuthError::new(AuthErrorKind::MissingCredential, Cause::Absent);
        self.rules.answers.refuse(error, request)
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
