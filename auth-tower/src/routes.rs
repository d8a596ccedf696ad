//! The ready-made session routes as an axum router.
//!
//! 1. Each path is registered for every method; core decides what a method means.
//! 2. A body is read up to core's limit. A longer or incomplete body gets 413.

use std::sync::Arc;

use auth_core::adapter::Endpoint;
use auth_core::rotation::JwksEndpoint;
use auth_core::{SessionRoute, SessionRoutes};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use crate::request::RequestHead;
use crate::response::into_http;

/// A router with the session routes: refresh, logout and device list.
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
    let mut router = Router::new();
    for (path, route) in routes.paths() {
        let routes = routes.clone();
        let handler = move |request: Request| respond(routes.clone(), route, request);
        router = router.route(&path, any(handler));
    }
    router
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
    let handler = async move |request: Request| {
        let (parts, _) = request.into_parts();
        into_http::<Body>(jwks.respond(&RequestHead::from(&parts)))
    };
    Router::new().route(JwksEndpoint::PATH, any(handler))
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
    let path = endpoint.path().to_owned();
    let handler = async move |request: Request| {
        let (parts, body) = request.into_parts();
        let answer = match read(body, endpoint.max_body_bytes()).await {
            Ok(body) => endpoint.respond(&RequestHead::from(&parts), &body).await,
            Err(TooLarge) => endpoint.too_large(),
        };
        into_http::<Body>(answer)
    };
    Router::new().route(&path, any(handler))
}

async fn respond<T>(routes: SessionRoutes<T>, route: SessionRoute, request: Request) -> Response
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let (parts, body) = request.into_parts();
    let answer = match read(body, routes.max_body_bytes()).await {
        Ok(body) => {
            routes
                .respond(route, &RequestHead::from(&parts), &body)
                .await
        }
        Err(TooLarge) => routes.too_large(),
    };
    into_http::<Body>(answer)
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
