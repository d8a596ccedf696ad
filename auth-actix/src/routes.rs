//! The ready-made session routes as an actix-web scope's configuration.
//!
//! 1. Each path is registered for every method; core decides what a method means.
//! 2. A body is read up to core's limit. A longer or incomplete body gets 413.

use std::sync::Arc;

use actix_web::web::{Payload, ServiceConfig, resource, route as any};
use actix_web::{HttpRequest, HttpResponse};
use auth_core::adapter::Endpoint;
use auth_core::rotation::JwksEndpoint;
use auth_core::{SessionRoute, SessionRoutes};
use serde::de::DeserializeOwned;

use crate::request::RequestHead;
use crate::response::into_actix;

/// The session routes for [`App::configure`]: refresh, logout and device list.
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
        for (path, route) in routes.paths() {
            let routes = routes.clone();
            let handler = move |request: HttpRequest, body: Payload| {
                respond(routes.clone(), route, request, body)
            };
            config.service(resource(path).route(any().to(handler)));
        }
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
    move |config| {
        let handler = move |request: HttpRequest| {
            let answer = into_actix(jwks.respond(&RequestHead::from(&request)));
            async move { answer }
        };
        config.service(resource(JwksEndpoint::PATH).route(any().to(handler)));
    }
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
    move |config| {
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
}

async fn respond<T>(
    routes: SessionRoutes<T>,
    route: SessionRoute,
    request: HttpRequest,
    body: Payload,
) -> HttpResponse
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let answer = match body.to_bytes_limited(routes.max_body_bytes()).await {
        Ok(Ok(body)) => {
            routes
                .respond(route, &RequestHead::from(&request), &body)
                .await
        }
        Ok(Err(_)) | Err(_) => routes.too_large(),
    };
    into_actix(answer)
}
