//! Extractors for axum handlers.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use auth_core::adapter::Refusal;
use auth_core::{AuthContext, Authenticated, Requires};
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use crate::rejection::AuthRejection;
use crate::request::RequestHead;

/// Extractor of the caller's identity and the app's own claims in the token.
///
/// The route needs an [`AuthLayer`](crate::AuthLayer) with the same `T`. Without it the
/// response is 500; the request is never treated as anonymous. `Claims<T>` dereferences to
/// [`Authenticated<T>`], which dereferences to `T`.
///
/// `Option<Claims<T>>` is equivalent to [`MaybeClaims<T>`].
///
/// ```
/// use auth_tower::Claims;
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
/// # let _: axum::Router = axum::Router::new().route("/me", axum::routing::get(me));
/// ```
///
/// # Errors
/// [`AuthRejection`]: 401 if the request is anonymous; 500 if no layer guards the route, or a
/// layer with another claims type does.
pub struct Claims<T>(
    /// The verified identity.
    pub Authenticated<T>,
);

/// Extractor of the caller's identity, or `None` for an anonymous request, on routes under an
/// [optional](auth_core::Guard::with_anonymous) guard.
///
/// # Errors
/// [`AuthRejection`], always 500: no layer guards the route, or a layer with another claims type
/// does. A request with a bad token never reaches the extractor.
pub struct MaybeClaims<T>(
    /// The verified identity; `None` if the request is anonymous.
    pub Option<Authenticated<T>>,
);

/// Extractor that enforces requirements in addition to the layer's: scopes, roles, a recent or
/// strong login.
///
/// The type [`Requires`] declares the requirements. They are checked at compile time and cost no
/// set-up per request.
///
/// ```
/// use auth_core::Requires;
/// use auth_tower::{Claims, Require};
///
/// struct Admin;
/// impl Requires for Admin {
///     const SCOPE: &'static str = "admin";
/// }
///
/// async fn purge(_: Require<Admin>, user: Claims<()>) -> String {
///     format!("purged by {}", user.subject())
/// }
/// # let _: axum::Router = axum::Router::new().route("/purge", axum::routing::post(purge));
/// ```
///
/// # Errors
/// [`AuthRejection`]: 401 if the request is anonymous or the login too old or too weak, 403 if a
/// scope or role is missing, 500 if no layer guards the route.
pub struct Require<R>(PhantomData<fn() -> R>);

impl<T, S> FromRequestParts<S> for Claims<T>
where
    T: Send + Sync + 'static,
    S: Send + Sync,
{
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let proof = context::<Self>(parts)?.require(&RequestHead::from(&*parts))?;
        Ok(Self(proof))
    }
}

impl<T, S> OptionalFromRequestParts<S> for Claims<T>
where
    T: Send + Sync + 'static,
    S: Send + Sync,
{
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        let proof = context::<Self>(parts)?.authenticated(&RequestHead::from(&*parts))?;
        Ok(proof.map(Self))
    }
}

impl<T, S> FromRequestParts<S> for MaybeClaims<T>
where
    T: Send + Sync + 'static,
    S: Send + Sync,
{
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let proof = context::<Self>(parts)?.authenticated(&RequestHead::from(&*parts))?;
        Ok(Self(proof))
    }
}

impl<R, S> FromRequestParts<S> for Require<R>
where
    R: Requires,
    S: Send + Sync,
{
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        context::<Self>(parts)?.require_type::<R>(&RequestHead::from(&*parts))?;
        Ok(Self(PhantomData))
    }
}

fn context<E>(parts: &Parts) -> Result<&AuthContext, AuthRejection> {
    parts.extensions.get().ok_or_else(|| {
        tracing::error!(
            target: "auth::setup",
            extractor = type_name::<E>(),
            "an extractor is used on a route without AuthLayer; add it with Router::layer"
        );
        AuthRejection::from(Refusal::misconfigured())
    })
}

impl<T> Deref for Claims<T> {
    type Target = Authenticated<T>;

    fn deref(&self) -> &Self::Target {
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
