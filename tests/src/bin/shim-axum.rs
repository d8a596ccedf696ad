//! The conformance server over `auth-tower`. See `auth_tests::shim`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use auth_core::Guard;
use auth_tests::shim::{self, Admin, Advance, Config, Failure, PrivateClaims, Setup, Typed};
use auth_tower::{AuthLayer, Claims, MaybeClaims, Require};
use axum::extract::{Json, Request, State};
use axum::http::{StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use axum::{Router, http};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    shim::run(|config, setup| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
            .block_on(serve(config, setup))
    })
}

/// `axum::serve` has no way to set the limits that both shims share.
async fn serve(config: Config, setup: Setup) -> Result<(), Failure> {
    let service = TowerToHyperService::new(routes(setup));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .max_buf_size(shim::MAX_HEAD_BYTES)
        .max_headers(shim::MAX_HEAD_LINES);
    server.http2().max_header_list_size(shim::MAX_HEADER_LIST);
    let listener = TcpListener::bind(&config.listen).await?;
    shim::announce(listener.local_addr()?)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let connections = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = terminate.recv() => break,
        };
        let connection =
            server.serve_connection_with_upgrades(TokioIo::new(stream), service.clone());
        let connection = connections.watch(connection.into_owned());
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(Duration::from_secs(5), connections.shutdown()).await;
    Ok(())
}

fn routes(setup: Setup) -> Router {
    let jwks = setup.jwks.clone();
    let required = AuthLayer::new(setup.required.clone());
    let layer = |guard: &Guard<PrivateClaims>| AuthLayer::new(guard.clone());
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
        .route(
            "/.well-known/jwks.json",
            get(|| async { ([(header::CONTENT_TYPE, "application/jwk-set+json")], jwks) }),
        )
        .route("/shim/clock", post(clock).with_state(Arc::new(setup)))
        .layer(middleware::from_fn(one_host))
}

/// A resource with `/me`'s handler for every method.
fn me_route() -> MethodRouter {
    any(me).options(options)
}

/// The methods that follow, and a 405 for all others. axum's own adds `Allow` to whatever a layer
/// answers in its place, too.
fn only(allow: &'static str) -> MethodRouter {
    any(move || async move { (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allow)]) })
}

async fn me(Claims(user): Claims<PrivateClaims>) -> impl IntoResponse {
    Json(shim::whoami(&user))
}

async fn admin(_: Require<Admin>, Claims(user): Claims<PrivateClaims>) -> impl IntoResponse {
    Json(shim::whoami(&user))
}

async fn maybe(MaybeClaims(user): MaybeClaims<PrivateClaims>) -> impl IntoResponse {
    Json(shim::whoami_maybe(user.as_ref()))
}

/// A preflight that was let through comes from nobody.
async fn options(MaybeClaims(user): MaybeClaims<PrivateClaims>) -> Response {
    match user {
        Some(user) => Json(shim::whoami(&user)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn typed(Claims(user): Claims<Typed>) -> impl IntoResponse {
    Json(shim::typed(&user))
}

async fn boom(_: Claims<PrivateClaims>) -> impl IntoResponse {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        [(header::SET_COOKIE, "app=1")],
    )
}

async fn clock(State(setup): State<Arc<Setup>>, Json(by): Json<Advance>) -> StatusCode {
    if setup.advance(by) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::CONFLICT
    }
}

/// RFC 9112 §3.2: a request with several `Host` lines gets a 400. hyper leaves that to the app,
/// actix-web does it itself.
async fn one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(http::header::HOST).iter().count();
    if hosts > 1 && request.version() < Version::HTTP_2 {
        let close = [(header::CONNECTION, "close")];
        return (StatusCode::BAD_REQUEST, close).into_response();
    }
    next.run(request).await
}
