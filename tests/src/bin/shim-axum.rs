//! The conformance server over `auth-tower`. See `auth_tests::conformance_server`.

use std::process::ExitCode;
use std::sync::Arc;

use auth_core::Guard;
use auth_tests::conformance_server::{
    self, Admin, Config, Failure, PrivateClaims, Setup, Typed, hyper_server,
};
use auth_tower::{AuthLayer, Claims, MaybeClaims, RequestHead, Require, SessionAnswer};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Json, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use hyper_util::service::TowerToHyperService;

fn main() -> ExitCode {
    match conformance_server::runtime() {
        Ok(runtime) => runtime.block_on(conformance_server::run(serve)),
        Err(_) => ExitCode::FAILURE,
    }
}

async fn serve(config: Config, setup: Setup) -> Result<(), Failure> {
    let service = TowerToHyperService::new(routes(setup));
    hyper_server::run(&config.listen, service).await
}

fn routes(setup: Setup) -> Router {
    let setup = Arc::new(setup);
    let required = AuthLayer::new(setup.required.clone());
    let layer = |guard: &Guard<PrivateClaims>| AuthLayer::new(guard.clone());
    let endpoints = setup.endpoints.iter().cloned();
    let endpoints = endpoints.map(auth_tower::endpoint_route);
    let nested = Router::new()
        .route("/a/b", me_route())
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(required.clone());
    Router::new()
        .route("/me", me_route())
        .route("/admin", any(admin).options(options))
        .route("/boom", only("OPTIONS,POST").post(boom).options(options))
        .route_layer(required)
        .nest("/nested", nested)
        .route("/maybe", any(maybe).layer(layer(&setup.optional)))
        .route("/cached", any(cached).layer(layer(&setup.optional)))
        .route("/strict", me_route().layer(layer(&setup.strict)))
        .route(
            "/recent",
            only("GET,HEAD").get(me).layer(layer(&setup.recent)),
        )
        .route(
            "/typed",
            any(typed)
                .options(options)
                .layer(AuthLayer::new(setup.typed.clone())),
        )
        .route(
            "/open",
            only("GET,HEAD").get(|| async { Json(serde_json::json!({})) }),
        )
        .merge(auth_tower::jwks_route(setup.jwks.clone()))
        .merge(endpoints.fold(Router::new(), Router::merge))
        .merge(session_routes(&setup))
        .layer(middleware::from_fn(one_host))
}

/// A resource with `/me`'s handler for every method.
fn me_route() -> MethodRouter {
    any(me).options(options)
}

/// The methods that follow, and a 405 for all others. axum's own adds `Allow` to whatever a layer
/// answers in its place, too.
fn only<S: Clone + Send + Sync + 'static>(allow: &'static str) -> MethodRouter<S> {
    any(move || async move { (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allow)]) })
}

async fn me(Claims(user): Claims<PrivateClaims>) -> impl IntoResponse {
    Json(conformance_server::whoami(&user))
}

async fn admin(_: Require<Admin>, Claims(user): Claims<PrivateClaims>) -> impl IntoResponse {
    Json(conformance_server::whoami(&user))
}

async fn maybe(MaybeClaims(user): MaybeClaims<PrivateClaims>) -> impl IntoResponse {
    Json(conformance_server::whoami_maybe(user.as_ref()))
}

async fn cached(MaybeClaims(user): MaybeClaims<PrivateClaims>) -> impl IntoResponse {
    (conformance_server::CACHED, Json(conformance_server::whoami_maybe(user.as_ref())))
}

/// A preflight that was let through comes from nobody.
async fn options(MaybeClaims(user): MaybeClaims<PrivateClaims>) -> Response {
    match user {
        Some(user) => Json(conformance_server::whoami(&user)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn typed(Claims(user): Claims<Typed>) -> impl IntoResponse {
    Json(conformance_server::typed(&user))
}

async fn boom(_: Claims<PrivateClaims>) -> impl IntoResponse {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        [(header::SET_COOKIE, "app=1")],
    )
}

fn session_routes(setup: &Arc<Setup>) -> Router {
    let control = Router::new().route("/shim/{op}", any(control));
    let control = control.with_state(Arc::clone(setup));
    let Some(part) = &setup.sessions else {
        return control;
    };
    Router::new()
        .route("/login", only("POST").post(login))
        .with_state(Arc::clone(setup))
        .merge(control)
        .merge(auth_tower::session_routes(part.routes.clone()))
}

async fn login(State(setup): State<Arc<Setup>>, parts: Parts, body: Bytes) -> Response {
    let answer = setup
        .sessions
        .as_ref()
        .and_then(|part| part.login(&RequestHead::from(&parts), &body));
    match answer {
        Some(answer) => SessionAnswer::from(answer.await).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn control(
    State(setup): State<Arc<Setup>>,
    Path(op): Path<String>,
    method: Method,
    body: Bytes,
) -> Response {
    let (status, body) = setup.control(method.as_str(), &op, &body).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if body.is_null() {
        status.into_response()
    } else {
        (status, Json(body)).into_response()
    }
}

/// RFC 9112 §3.2: a request with several `Host` lines gets a 400. hyper leaves that to the app,
/// actix-web does it itself.
async fn one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 && request.version() < Version::HTTP_2 {
        let close = [(header::CONNECTION, "close")];
        return (StatusCode::BAD_REQUEST, close).into_response();
    }
    next.run(request).await
}
