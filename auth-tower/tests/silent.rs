//! A guard that waits for a silent refresh, and its changes to the response.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use auth_cookie::CookiePolicy;
use auth_core::adapter::RequestView;
use auth_core::session::{ClientInfo, EndedBy, LoginRequest, RefreshKey, RefreshOutcome, Sessions};
use auth_core::store::StoreClock;
use auth_core::testing::{ManualClock, MemoryStore};
use auth_core::{AuthError, ErrorBody, Guard, Issuer, Key, Responder};
use auth_tower::{AuthLayer, Claims};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use common::NOW;
use http::header::{CACHE_CONTROL, COOKIE, HOST, SET_COOKIE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt};

const ACCESS: &str = "__Host-Http-at";
const REFRESH: &str = "__Host-Http-rt";

struct Setup {
    pages: Guard<()>,
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
    .without_revocations()
    .build()
    .unwrap();
    let auth = issuer
        .authenticator()
        .with_cookies(CookiePolicy::server_rendered())
        .with_clock(clock.clone())
        .build()
        .unwrap();
    let pages = auth.guard().with_silent_refresh(sessions.clone());
    Setup {
        pages: pages.unwrap(),
        sessions,
        clock,
    }
}

fn page_load(refresh: &str) -> Request<Body> {
    Request::get("/")
        .header(HOST, "app.example")
        .header("sec-fetch-site", "same-origin")
        .header(COOKIE, format!("{REFRESH}={refresh}"))
        .body(Body::empty())
        .unwrap()
}

impl Setup {
    /// A page load of a browser with an expired access cookie: the session must rotate.
    async fn stale_page_load(&self) -> Request<Body> {
        let login = LoginRequest::for_subject("alice");
        let tokens = self.sessions.login(login).await.unwrap();
        self.clock.advance(Duration::from_secs(3600));
        page_load(tokens.refresh().unwrap().expose())
    }

    /// A page load of a browser without an access cookie, whose session has just rotated.
    async fn fresh_page_load(&self) -> Request<Body> {
        let login = LoginRequest::for_subject("alice");
        let first = self.sessions.login(login).await.unwrap();
        let token = first.refresh().unwrap().expose();
        match self.sessions.refresh(token, &ClientInfo::new()).await {
            RefreshOutcome::Granted(tokens) => page_load(tokens.refresh().unwrap().expose()),
            other => panic!("{other:?}"),
        }
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
        .layer(AuthLayer::new(setup.pages.clone()));
    let response = app.oneshot(setup.fresh_page_load().await).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(value_of(&response, "app"), ["1"]);
    assert_eq!(value_of(&response, ACCESS).len(), 1);
    assert_eq!(cookies(&response).len(), 2, "no refresh cookie");
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
        .layer(AuthLayer::new(setup.pages.clone()));
    let response = app.oneshot(setup.fresh_page_load().await).await.unwrap();
    assert_eq!(value_of(&response, ACCESS), [""]);
    assert_eq!(value_of(&response, REFRESH), [""]);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn b17_two_layers_leave_one_cookie_of_each_name() {
    let setup = setup();
    let app = Router::new()
        .route("/", get(|_: Claims<()>| async {}))
        .layer(AuthLayer::new(setup.pages.clone()))
        .layer(AuthLayer::new(setup.pages.clone()));
    let response = app.oneshot(setup.fresh_page_load().await).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(value_of(&response, ACCESS).len(), 1);
    assert_eq!(value_of(&response, REFRESH), [""; 0]);
}

#[tokio::test]
async fn renewed_cookies_do_not_show_in_debug() {
    let setup = setup();
    let app = Router::new()
        .route("/", get(|| async {}))
        .layer(AuthLayer::new(setup.pages.clone()));
    let response = app.oneshot(setup.fresh_page_load().await).await.unwrap();
    let shown = format!("{:?}", response.headers());
    assert!(!shown.contains(value_of(&response, ACCESS)[0]));
}

#[tokio::test]
async fn a_limited_service_is_called_with_its_own_permit_after_the_wait() {
    let setup = setup();
    let inner =
        tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(().into_response()) });
    // ConcurrencyLimit panics without a preceding `poll_ready`.
    let limited = ConcurrencyLimitLayer::new(1).layer(inner);
    let mut service = AuthLayer::new(setup.pages.clone()).layer(limited);
    for _ in 0..3 {
        let request = setup.fresh_page_load().await;
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(value_of(&response, ACCESS).len(), 1);
    }
}

/// A rotating session gets its response before the app sees the request.
#[tokio::test]
async fn h04_the_app_hears_of_no_request_whose_session_moves_on() {
    async fn unheard(_: Claims<()>) -> Response {
        panic!("the app got the request")
    }
    let setup = setup();
    for (method, status) in [
        (Method::GET, StatusCode::SEE_OTHER),
        (Method::HEAD, StatusCode::SEE_OTHER),
        (Method::POST, StatusCode::TEMPORARY_REDIRECT),
        (Method::DELETE, StatusCode::TEMPORARY_REDIRECT),
    ] {
        let mut request = setup.stale_page_load().await;
        *request.method_mut() = method;
        let app = Router::new()
            .route("/", any(unheard))
            .layer(AuthLayer::new(setup.pages.clone()));
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["location"], "./");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(value_of(&response, ACCESS).len(), 1);
        assert_eq!(value_of(&response, REFRESH).len(), 1);
    }
}

/// axum strips the prefix before a nested router's layers see the request.
#[tokio::test]
async fn h21_a_nested_router_sends_the_browser_to_where_it_was() {
    let setup = setup();
    let pages = Router::new()
        .route("/", get(|_: Claims<()>| async {}))
        .route("/{page}", get(|_: Claims<()>| async {}))
        .layer(AuthLayer::new(setup.pages.clone()));
    let app = Router::new().nest("/app", Router::new().nest("/pages", pages));
    for (target, location) in [
        ("/app/pages", "./pages"),
        ("/app/pages/7", "./7"),
        ("/app/pages/7?a=%2F&b", "?a=%2F&b"),
    ] {
        let mut request = setup.stale_page_load().await;
        *request.uri_mut() = target.parse().unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["location"], location, "{target}");
    }
}

#[tokio::test]
async fn b17_a_forged_refresh_token_renews_nothing_and_keeps_the_cookies() {
    let setup = setup();
    let mut request = setup.stale_page_load().await;
    let forged = HeaderValue::from_static("__Host-Http-rt=rt1_forged");
    request.headers_mut().insert(COOKIE, forged);
    let app = Router::new()
        .route("/", get(|_: Claims<()>| async {}))
        .layer(AuthLayer::new(setup.pages.clone()));
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(cookies(&response).is_empty());
}

#[derive(Debug)]
struct Told;

impl Responder for Told {
    fn body(&self, _: &AuthError, request: &dyn RequestView) -> Option<ErrorBody> {
        let authority = request.authority().unwrap_or("-").to_owned();
        let mut accept = String::new();
        request.visit_header("accept", &mut |value| {
            accept.push_str(&String::from_utf8_lossy(value));
        });
        let text = format!(
            "{} {} {authority} {accept}",
            request.method(),
            request.path()
        );
        Some(ErrorBody::new("text/plain", text))
    }
}

/// A waiting guard keeps the parts of the request that the response needs.
#[tokio::test]
async fn a_refusal_after_the_wait_is_told_what_was_asked_for() {
    let setup = setup();
    let mut request = setup.stale_page_load().await;
    let tokens = setup.sessions.list("alice", None).await.unwrap();
    for device in tokens {
        let ended = setup
            .sessions
            .end(device.session(), EndedBy::User("alice"))
            .await;
        assert!(ended.unwrap());
    }
    *request.uri_mut() = "/reports/7".parse().unwrap();
    let accept = HeaderValue::from_static("text/html");
    request.headers_mut().insert("accept", accept);
    let app = Router::new()
        .route("/reports/{id}", get(|_: Claims<()>| async {}))
        .layer(AuthLayer::new(setup.pages.clone().with_responder(Told)));
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "GET /reports/7 app.example text/html");
}
