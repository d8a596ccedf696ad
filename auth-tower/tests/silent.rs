//! A guard that must wait, for a silent refresh, and what it leaves on the response.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use auth_cookie::CookiePolicy;
use auth_core::session::{LoginRequest, MemoryStore, RefreshKey, Sessions, StoreClock};
use auth_core::testing::ManualClock;
use auth_core::{Authenticator, Issuer, Key};
use auth_tower::{AuthLayer, Claims};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common::NOW;
use http::header::{CACHE_CONTROL, COOKIE, HOST, SET_COOKIE};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt};

const ACCESS: &str = "__Host-Http-at";
const REFRESH: &str = "__Host-Http-rt";

struct Setup {
    auth: Arc<Authenticator<()>>,
    sessions: Sessions,
    clock: Arc<ManualClock>,
}

fn setup() -> Setup {
    let clock = Arc::new(ManualClock::at(NOW));
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap()
        .with_clock(clock.clone());
    let store = MemoryStore::new().with_clock(StoreClock::driven(clock.clone()));
    let sessions = Sessions::builder(
        issuer.clone(),
        Arc::new(store),
        RefreshKey::ephemeral().unwrap(),
    )
    .build()
    .unwrap();
    let auth = issuer
        .authenticator()
        .with_cookies(CookiePolicy::server_rendered())
        .with_clock(clock.clone())
        .with_silent_refresh(sessions.clone())
        .build()
        .unwrap();
    Setup {
        auth,
        sessions,
        clock,
    }
}

impl Setup {
    /// A page load of a browser whose access cookie has expired.
    async fn stale_page_load(&self) -> Request<Body> {
        let tokens = self
            .sessions
            .login(LoginRequest::for_subject("alice"))
            .await;
        let token = tokens.unwrap().refresh().unwrap().expose().to_owned();
        self.clock.advance(Duration::from_secs(3600));
        Request::get("/")
            .header(HOST, "app.example")
            .header("sec-fetch-site", "same-origin")
            .header(COOKIE, format!("{REFRESH}={token}"))
            .body(Body::empty())
            .unwrap()
    }
}

fn cookies(response: &Response) -> Vec<&str> {
    let lines = response.headers().get_all(SET_COOKIE).iter();
    lines.map(|line| line.to_str().unwrap()).collect()
}

fn value_of<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    let pairs = cookies(response).into_iter();
    let pairs = pairs.filter_map(|line| line.split(';').next()?.split_once('='));
    pairs
        .filter(|(own, _)| *own == name)
        .map(|(_, value)| value)
        .collect()
}

#[tokio::test]
async fn b17_renewed_cookies_stand_beside_the_handlers_own() {
    async fn page(user: Claims<()>) -> Response {
        let mut response = user.subject().to_owned().into_response();
        let headers = response.headers_mut();
        headers.append(SET_COOKIE, HeaderValue::from_static("app=1"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        response
    }
    let setup = setup();
    let app = Router::new()
        .route("/", get(page))
        .layer(AuthLayer::new(&setup.auth));
    let response = app.oneshot(setup.stale_page_load().await).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(value_of(&response, "app"), ["1"]);
    assert_eq!(value_of(&response, ACCESS).len(), 1);
    assert_eq!(value_of(&response, REFRESH).len(), 1);
    assert_eq!(cookies(&response).len(), 3);
    let cache: Vec<_> = response.headers().get_all(CACHE_CONTROL).iter().collect();
    assert_eq!(cache, ["no-store"]);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "alice"
    );
}

#[tokio::test]
async fn b17_a_handler_that_signs_out_has_the_last_word() {
    async fn sign_out(_: Claims<()>) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        for line in [
            "__Host-Http-at=; Max-Age=0; Path=/; Secure; HttpOnly",
            "__Host-Http-rt=; Max-Age=0; Path=/; Secure; HttpOnly",
        ] {
            let line = HeaderValue::from_static(line);
            response.headers_mut().append(SET_COOKIE, line);
        }
        response
    }
    let setup = setup();
    let app = Router::new()
        .route("/", get(sign_out))
        .layer(AuthLayer::new(&setup.auth));
    let response = app.oneshot(setup.stale_page_load().await).await.unwrap();
    assert_eq!(value_of(&response, ACCESS), [""]);
    assert_eq!(value_of(&response, REFRESH), [""]);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn b17_two_layers_leave_one_cookie_of_each_name() {
    let setup = setup();
    let app = Router::new()
        .route("/", get(|_: Claims<()>| async {}))
        .layer(AuthLayer::new(&setup.auth))
        .layer(AuthLayer::new(&setup.auth));
    let response = app.oneshot(setup.stale_page_load().await).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(value_of(&response, ACCESS).len(), 1);
    assert_eq!(value_of(&response, REFRESH).len(), 1);
}

#[tokio::test]
async fn renewed_cookies_do_not_show_in_debug() {
    let setup = setup();
    let app = Router::new()
        .route("/", get(|| async {}))
        .layer(AuthLayer::new(&setup.auth));
    let response = app.oneshot(setup.stale_page_load().await).await.unwrap();
    let shown = format!("{:?}", response.headers());
    for secret in [value_of(&response, ACCESS), value_of(&response, REFRESH)].concat() {
        assert!(!shown.contains(secret));
    }
}

#[tokio::test]
async fn a_limited_service_is_called_with_its_own_permit_after_the_wait() {
    let setup = setup();
    let inner =
        tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(().into_response()) });
    // ConcurrencyLimit panics if it is called without having been polled ready.
    let limited = ConcurrencyLimitLayer::new(1).layer(inner);
    let mut service = AuthLayer::new(&setup.auth).layer(limited);
    for _ in 0..3 {
        let request = setup.stale_page_load().await;
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(value_of(&response, ACCESS).len(), 1);
    }
}
