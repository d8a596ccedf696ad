//! The ready-made routes, for `App::configure`.
//!
//! 1. Each path is registered for every method; core decides what a method means.
//! 2. A body is read up to core's limit. A longer or incomplete body gets 413.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{Payload, ServiceConfig, resource, route as any};
use auth_core::adapter::Endpoint;
use auth_core::rotation::JwksEndpoint;
use auth_core::{Auth, AuthRoutes, ConfigError, SessionRoutes};
use serde::de::DeserializeOwned;

use crate::request::RequestHead;
use crate::response::into_actix;

/// The ready-made routes of an [`Auth`] for [`App::configure`]: refresh, logout, sessions and public
/// keys. [`AuthRoutes`] lists them; every one can be left out, moved or guarded further.
///
/// They have their own checks. Configure them outside any
/// [`AuthMiddleware`](crate::AuthMiddleware): behind one, a client with an expired access token could
/// not refresh. The [`Auth`] goes into the app's data, for [`Login`](crate::Login).
///
/// ```
/// use actix_web::App;
/// use auth_actix::{Auth, SessionRoute, auth_routes};
///
/// fn app(auth: &Auth) {
///     let _ = App::new().configure(auth_routes(auth));
/// }
///
/// fn without_logout_of_all(auth: &Auth) {
///     let _ = App::new().configure(auth_routes(auth.routes().without(SessionRoute::LogoutAll)));
/// }
/// ```
///
/// [`App::configure`]: actix_web::App::configure
pub fn auth_routes<T>(routes: impl Into<AuthRoutes<T>>) -> impl FnOnce(&mut ServiceConfig)
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let routes = routes.into();
    move |config| {
        config.app_data(routes.auth().clone());
        routes
            .into_iter()
            .for_each(|endpoint| mount(config, endpoint));
    }
}

/// The health check of an [`Auth`] at `path`, such as `/ready`, for [`App::configure`]: 200, or 503
/// if this node can serve no request.
///
/// # Errors
/// [`ConfigError`] if `path` is not a plain path.
///
/// # Security
/// Every check pings the session store: do not expose the path publicly.
///
/// ```
/// use actix_web::App;
/// use auth_actix::{Auth, ConfigError, health_route};
///
/// fn app(auth: &Auth) -> Result<(), ConfigError> {
///     let _ = App::new().configure(health_route(auth, "/ready")?);
///     Ok(())
/// }
/// ```
///
/// [`App::configure`]: actix_web::App::configure
pub fn health_route<T>(
    auth: &Auth<T>,
    path: &str,
) -> Result<impl FnOnce(&mut ServiceConfig) + use<T>, ConfigError>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let health = auth.health_endpoint(path)?;
    Ok(move |config: &mut ServiceConfig| mount(config, Arc::new(health)))
}

/// Session routes that the app has assembled itself, for [`App::configure`]. With an [`Auth`], use
/// [`auth_routes`].
///
/// They have their own checks. Configure them outside any
/// [`AuthMiddleware`](crate::AuthMiddleware): behind one, a client with an expired access token could
/// not refresh.
///
/// ```
/// use actix_web::App;
/// use auth_core::SessionRoutes;
///
/// fn app(routes: SessionRoutes<()>) {
///     let _ = App::new().configure(auth_actix::session_routes(routes));
/// }
/// ```
///
/// [`App::configure`]: actix_web::App::configure
pub fn session_routes<T>(routes: SessionRoutes<T>) -> impl FnOnce(&mut ServiceConfig)
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    move |config| {
        routes
            .endpoints()
            .for_each(|endpoint| mount(config, endpoint))
    }
}

/// The JWKS route at [`JwksEndpoint::PATH`] for [`App::configure`]. Configure it outside any
/// [`AuthMiddleware`](crate::AuthMiddleware): verifiers have no token.
///
/// ```
/// use actix_web::App;
/// use auth_core::rotation::JwksEndpoint;
///
/// fn app(jwks: JwksEndpoint) {
///     let _ = App::new().configure(auth_actix::jwks_route(jwks));
/// }
/// ```
///
/// [`App::configure`]: actix_web::App::configure
pub fn jwks_route(jwks: JwksEndpoint) -> impl FnOnce(&mut ServiceConfig) {
    move |config| mount(config, Arc::new(jwks))
}

/// One of the [OAuth endpoints](auth_core::oauth) for [`App::configure`]. Configure it outside any
/// [`AuthMiddleware`](crate::AuthMiddleware): the endpoints authenticate their clients themselves.
/// All workers share it.
///
/// ```
/// use std::sync::Arc;
/// use actix_web::App;
/// use auth_core::adapter::Endpoint;
/// use auth_core::oauth::ProtectedResource;
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let resource: Arc<dyn Endpoint> = Arc::new(ProtectedResource::new("https://api.example")?);
/// let app = move || App::new().configure(auth_actix::endpoint_route(resource.clone()));
/// # let _ = app();
/// # Ok(())
/// # }
/// ```
///
/// [`App::configure`]: actix_web::App::configure
pub fn endpoint_route(endpoint: Arc<dyn Endpoint>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| mount(config, endpoint)
}

/// Registers the path of an endpoint for every method.
fn mount(config: &mut ServiceConfig, endpoint: Arc<dyn Endpoint>) {
    let path = endpoint.path().to_owned();
    let handler = move |request: HttpRequest, body: Payload| {
        let endpoint = Arc::clone(&endpoint);
        async move {
            into_actix(
                match body.to_bytes_limited(endpoint.max_body_bytes()).await {
                    Ok(Ok(body)) => endpoint.respond(&RequestHead::from(&request), &body).await,
                    Ok(Err(_)) | Err(_) => endpoint.too_large(),
                },
            )
        }
    };
    config.service(resource(path).route(any().to(handler)));
}
