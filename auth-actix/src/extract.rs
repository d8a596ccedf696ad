//! Extractors of the caller's identity.
//!
//! 1. They read the result of [`AuthMiddleware`](crate::AuthMiddleware) and make no decisions.
//! 2. Without the middleware they return 500: a missing `.wrap()` must not look like an anonymous
//!    request.

use std::any::type_name;
use std::fmt;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use auth_core::adapter::Refusal;
use auth_core::{AuthContext, Authenticated, Requires};

use crate::request::RequestHead;
use crate::response::AuthRejection;

/// Extractor of the caller's identity and the app's own claims in the token.
///
/// The route needs an [`AuthMiddleware`](crate::AuthMiddleware) with the same `T`. Without it the
/// response is 500; the request is never treated as anonymous. `Claims<T>` dereferences to
/// [`Authenticated<T>`], which dereferences to `T`.
///
/// ```
/// use auth_actix::Claims;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct User {
///     tenant: String,
/// }
///
/// async fn me(user: Claims<User>) -> String {
///     format!("{} of {}", user.subject(), user.tenant)
/// }
/// # let _ = actix_web::App::new().route("/me", actix_web::web::get().to(me));
/// ```
///
/// # Errors
/// [`AuthRejection`]: 401 if the request is anonymous; 500 if no middleware guards the route, or
/// a middleware with another claims type does.
///
/// # Security
/// Never take `Option<Claims<T>>`: actix-web's blanket implementation turns *every* error into
/// `None`, including that of an unguarded route. Use [`MaybeClaims`].
pub struct Claims<T>(
    /// The verified identity.
    pub Authenticated<T>,
);

/// Extractor of the caller's identity, or `None` for an anonymous request, on routes under an
/// [optional](auth_core::Guard::with_anonymous) guard.
///
/// ```
/// use auth_actix::MaybeClaims;
///
/// async fn greet(MaybeClaims(user): MaybeClaims<()>) -> &'static str {
///     if user.is_some() { "welcome back" } else { "hello" }
/// }
/// # let _ = actix_web::App::new().route("/", actix_web::web::get().to(greet));
/// ```
///
/// # Errors
/// [`AuthRejection`], always 500: no middleware guards the route, or a middleware with another
/// claims type does. A request with a bad token never reaches the extractor.
pub struct MaybeClaims<T>(
    /// The verified identity; `None` if the request is anonymous.
    pub Option<Authenticated<T>>,
);

/// Extractor that enforces requirements in addition to the middleware's: scopes, roles, a recent or
/// strong login.
///
/// The type [`Requires`] declares the requirements. They are checked at compile time and cost no
/// set-up per request.
///
/// ```
/// use auth_actix::{Claims, Require};
/// use auth_core::Requires;
///
/// struct Admin;
/// impl Requires for Admin {
///     const SCOPE: &'static str = "admin";
/// }
///
/// async fn purge(_: Require<Admin>, user: Claims<()>) -> String {
///     format!("purged by {}", user.subject())
/// }
/// # let _ = actix_web::App::new().route("/purge", actix_web::web::post().to(purge));
/// ```
///
/// # Errors
/// [`AuthRejection`]: 401 if the request is anonymous or the login too old or too weak, 403 if a
/// scope or role is missing, 500 if no middleware guards the route.
///
/// # Security
/// `Option<Require<R>>` requires nothing, see [`Claims`].
pub struct Require<R>(PhantomData<fn() -> R>);

impl<T: Send + Sync + 'static> FromRequest for Claims<T> {
    type Error = AuthRejection;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let head = RequestHead::from(request);
        ready(ask::<Self, _>(request, |context| context.require(&head)).map(Self))
    }
}

impl<T: Send + Sync + 'static> FromRequest for MaybeClaims<T> {
    type Error = AuthRejection;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let head = RequestHead::from(request);
        ready(ask::<Self, _>(request, |context| context.authenticated(&head)).map(Self))
    }
}

impl<R: Requires> FromRequest for Require<R> {
    type Error = AuthRejection;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let head = RequestHead::from(request);
        let met = ask::<Self, _>(request, |context| context.require_type::<R>(&head));
        ready(met.map(|()| Self(PhantomData)))
    }
}

/// Reads the context that the middleware inserted.
fn ask<E, V>(
    request: &HttpRequest,
    question: impl FnOnce(&AuthContext) -> Result<V, Refusal>,
) -> Result<V, AuthRejection> {
    // Cloned, because the app's `Responder` runs inside and the extensions must not stay borrowed.
    let context = request.extensions().get::<AuthContext>().cloned();
    let Some(context) = context else {
        tracing::error!(
            target: "auth::setup",
            extractor = type_name::<E>(),
            "an extractor is used on a route without AuthMiddleware; add it with wrap()"
        );
        return Err(Refusal::misconfigured().into());
    };
    question(&context).map_err(AuthRejection::from)
}

impl<T> Deref for Claims<T> {
    type Target = Authenticated<T>;

    fn deref(&self) -> &Authenticated<T> {
        &self.0
    }
}

impl<T> Deref for MaybeClaims<T> {
    type Target = Option<Authenticated<T>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> Clone for Claims<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for MaybeClaims<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R> Clone for Require<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Require<R> {}

impl<T> fmt::Debug for Claims<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for MaybeClaims<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaybeClaims")
            .field("anonymous", &self.0.is_none())
            .finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Require<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Require<{}>", type_name::<R>())
    }
}
