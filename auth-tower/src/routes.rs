//! The ready-made routes as axum routers.
//!
//! 1. Each path is registered for every method; core decides what a method means.
//! 2. A body is read up to core's limit. A longer or incomplete body gets 413.

use std::sync::Arc;

use auth_core::adapter::Endpoint;
use auth_core::rotation::JwksEndpoint;
use auth_core::{Auth, AuthRoutes, ConfigError, SessionRoutes};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use crate::request::RequestHead;
use crate::response::into_http;

/// A router with the ready-made routes of an [`Auth`]: refresh, logout, sessions and public keys.
/// [`AuthRoutes`] lists them; every one can be left out, moved or guarded further.
///
/// They have their own checks. Merge the router outside any [`AuthLayer`](crate::AuthLayer): behind
/// one, a client with an expired access token could not refresh.
///
/// ```
/// use auth_tower::{Auth, SessionRoute, auth_routes};
/// use axum::Router;
///
/// fn app(auth: &Auth) -> Router {
///     Router::new().merge(auth_routes(auth))
/// }
///
/// fn without_logout_of_all(auth: &Auth) -> Router {
///     Router::new().merge(auth_routes(auth.routes().without(SessionRoute::LogoutAll)))
/// }
/// ```
pub fn auth_routes<T, S>(routes: impl Into<AuthRoutes<T>>) -> Router<S>
where
    T: DeserializeOwned + Send + Sync + 'static,
    S: Clone + Send + Sync + 'static,
{
    routes.into().into_iter().fold(Router::new(), mount)
}

/// A router with the health check of an [`Auth`] at `path`, such as `/ready`: 200, or 503 if this
/// node can serve no request.
///
/// # Errors
/// [`ConfigError`] if `path` is not a plain path.
///
/// # Security
/// Every check pings the session store: do not expose the path publicly.
///
/// ```
/// use auth_tower::{Auth, ConfigError, health_route};
/// use axum::Router;
///
/// fn app(auth: &Auth) -> Result<Router, ConfigError> {
///     Ok(Router::new().merge(health_route(auth, "/ready")?))
/// }
/// ```
pub fn health_route<T, S>(auth: &Auth<T>, path: &str) -> Result<Router<S>, ConfigError>
where
    T: DeserializeOwned + Send + Sync + 'static,
    S: Clone + Send + Sync + 'static,
{
    let health = auth.health_endpoint(path)?;
    Ok(mount(Router::new(), Arc::new(health)))
}

/// A router with session routes that the app has assembled itself. With an [`Auth`], use
/// [`auth_routes`].
///
/// They have their own checks. Merge the router outside any [`AuthLayer`](crate::AuthLayer): behind
/// one, a client with an expired access token could not refresh.
///
/// ```
/// use auth_core::SessionRoutes;
/// use axum::Router;
///
/// fn app<T>(app: Router, routes: SessionRoutes<T>) -> Router
/// where
///     T: serde::de::DeserializeOwned + Send + Sync + 'static,
/// {
///     app.merge(auth_tower::session_routes(routes))
/// }
/// ```
pub fn session_routes<T, S>(routes: SessionRoutes<T>) -> Router<S>
where
    T: DeserializeOwned + Send + Sync + 'static,
    S: Clone + Send + Sync + 'static,
{
    routes.endpoints().fold(Router::new(), mount)
}

/// A router with the JWKS route at [`JwksEndpoint::PATH`]. Merge it outside any
/// [`AuthLayer`](crate::AuthLayer): verifiers have no token.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Issuer;
/// use auth_core::rotation::JwksEndpoint;
/// use axum::Router;
///
/// fn app(issuer: &Issuer) -> Router {
///     let jwks = JwksEndpoint::new(issuer, Duration::from_secs(600));
///     Router::new().merge(auth_tower::jwks_route(jwks))
/// }
/// ```
pub fn jwks_route<S>(jwks: JwksEndpoint) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    mount(Router::new(), Arc::new(jwks))
}

/// A router with one of the [OAuth endpoints](auth_core::oauth). Merge it outside any
/// [`AuthLayer`](crate::AuthLayer): the endpoints authenticate their clients themselves.
///
/// ```
/// use auth_core::oauth::ProtectedResource;
/// use axum::Router;
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let resource = Arc::new(ProtectedResource::new("https://api.example")?);
/// let app: Router = Router::new().merge(auth_tower::endpoint_route(resource));
/// # Ok(())
/// # }
/// ```
pub fn endpoint_route<S>(endpoint: Arc<dyn Endpoint>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    mount(Router::new(), endpoint)
}

/// Registers the path of an endpoint for every method.
fn mount<S>(router: Router<S>, endpoint: Arc<dyn Endpoint>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let path = endpoint.path().to_owned();
    let handler = async move |request: Request| {
        let (parts, body) = request.into_parts();
        let answer = match read(body, endpoint.max_body_bytes()).await {
            Ok(body) => endpoint.respond(&RequestHead::from(&parts), &body).await,
            Err(TooLarge) => endpoint.too_large(),
        };
        into_http::<Body>(answer)
    };
    router.route(&path, any(handler))
}

struct TooLarge;

async fn read(body: Body, limit: usize) -> Result<Vec<u8>, TooLarge> {
    let read = Limited::new(body, limit).collect().await;
    read.map(|body| body.to_bytes().to_vec())
        .map_err(|_| TooLarge)
}

/// A response of core as the return value of a handler.
///
/// ```
/// use auth_core::session::{LoginRequest, LoginStart};
/// use auth_core::{SessionRoutes, Transport};
/// use auth_tower::{RequestHead, SessionAnswer};
/// use axum::http::request::Parts;
///
/// /// `start` is from `Sessions::begin_login`, called before the password check.
/// async fn signed_in(routes: SessionRoutes<()>, start: LoginStart, parts: Parts) -> SessionAnswer {
///     let login = LoginRequest::started(start);
///     routes.login(&RequestHead::from(&parts), login, Transport::Cookie).await.into()
/// }
/// ```
#[derive(Debug)]
pub struct SessionAnswer(auth_core::adapter::Response);

impl From<auth_core::adapter::Response> for SessionAnswer {
    fn from(answer: auth_core::adapter::Response) -> Self {
        Self(answer)
    }
}

impl axum::response::IntoResponse for SessionAnswer {
    fn into_response(self) -> Response {
        into_http::<Body>(self.0)
    }
}
