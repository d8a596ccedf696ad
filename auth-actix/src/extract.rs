//! Extractors: who made the request, as a handler's argument.
//!
//! 1. They read what [`AuthMiddleware`](crate::AuthMiddleware) proved and decide nothing.
//! 2. Without the middleware they answer 500: a missing `.wrap()` must not look like an anonymous
//!    request.

use std::fmt;
use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use auth_core::{AuthContext, Authenticated, Refusal};

use crate::request::RequestHead;
use crate::response::AuthRejection;

/// Who made the request. Anonymous requests, which only an optional guard lets through, are
/// refused with 401.
///
/// `T` is the claims type of the route's guard; another one is answered with 500.
///
/// # Security
/// Do not take `Option<Claims<T>>`: actix-web's blanket implementation turns *every* error into
/// `None`, also those that mean "this route is not guarded". Take [`MaybeClaims`].
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
/// async fn me(Claims(user): Claims<User>) -> String {
///     format!("{:?} of {}", user.subject(), user.tenant)
/// }
/// ```
pub struct Claims<T>(pub Authenticated<T>);

/// Who made the request, or `None` if it is anonymous.
///
/// Only behind a guard that is [optional](auth_core::Guard::optional) can it be `None`. A bad token
/// in the header is refused there too, and so is a route without guard (500) or with a guard for
/// another `T` (500).
///
/// ```
/// use auth_actix::MaybeClaims;
///
/// async fn greet(MaybeClaims(user): MaybeClaims<()>) -> &'static str {
///     if user.is_some() { "welcome back" } else { "hello" }
/// }
/// ```
pub struct MaybeClaims<T>(pub Option<Authenticated<T>>);

impl<T: Send + Sync + 'static> FromRequest for Claims<T> {
    type Error = AuthRejection;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let head = RequestHead::from(request);
        ready(extract(request, |context| context.require(&head)).map(Self))
    }
}

impl<T: Send + Sync + 'static> FromRequest for MaybeClaims<T> {
    type Error = AuthRejection;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let head = RequestHead::from(request);
        ready(extract(request, |context| context.authenticated(&head)).map(Self))
    }
}

/// Asks the context that the middleware left.
fn extract<V>(
    request: &HttpRequest,
    ask: impl FnOnce(&AuthContext) -> Result<V, Refusal>,
) -> Result<V, AuthRejection> {
    // Cloned, because the app's `Responder` runs inside and the extensions must not stay borrowed.
    let context = request.extensions().get::<AuthContext>().cloned();
    let Some(context) = context else {
        tracing::error!(
            target: "auth::setup",
            route = request.match_pattern(),
            "an extractor is used on a route that no AuthMiddleware guards"
        );
        return Err(Refusal::misconfigured().into());
    };
    ask(&context).map_err(AuthRejection::from)
}

impl<T> Deref for Claims<T> {
    type Target = Authenticated<T>;

    fn deref(&self) -> &Authenticated<T> {
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

impl<T> fmt::Debug for Claims<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for MaybeClaims<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaybeClaims")
            .field("anonymous", &self.0.is_none())
            .finish()
    }
}
