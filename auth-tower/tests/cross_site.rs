//! Requests of other origins: the guard together with `tower_http::cors` and beside
//! `tower_http::csrf`. `auth-actix/tests/cross_site.rs` has the same table for actix-cors.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use auth_cookie::CookiePolicy;
use auth_core::CsrfPolicy;
use auth_tower::AuthLayer;
use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use common::{ACCESS_COOKIE, alice, auth_with_cookies, bearer, cross_site, request};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, COOKIE,
    HeaderName, ORIGIN, VARY,
};
use http::request::Builder;
use http::{HeaderValue, Method, Response};
use tower::ServiceExt;
use tower_http::cors::CorsLayer;
use tower_http::csrf::CsrfLayer;

const FRONT: &str = "https://front.example";
const HEADER: &str = "x-requested-with";

async fn send(app: &Router, request: Builder) -> Response<Body> {
    let request = request.header("host", "api.example");
    app.clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

/// An API whose front end is on another site: CORS outside, the guard inside.
fn api() -> Router {
    let cookies = CookiePolicy::cross_site(HEADER).unwrap();
    let csrf = CsrfPolicy::new().with_trusted_origin(FRONT).unwrap();
    let cors = CorsLayer::new()
        .allow_origin([HeaderValue::from_static(FRONT)])
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([HeaderName::from_static(HEADER), AUTHORIZATION])
        .allow_credentials(true);
    Router::new()
        .route("/orders", any(|| async { "yours" }))
        .layer(AuthLayer::new(cross_site(cookies, csrf)))
        .layer(cors)
}

fn with_cookie(request: Builder) -> Builder {
    request.header(COOKIE, format!("{ACCESS_COOKIE}={}", alice().mint()))
}

#[tokio::test]
async fn b11_a_preflight_of_the_front_end_is_answered_and_nobody_elses() {
    let preflight = |origin: &str| {
        request(Method::OPTIONS, "/orders")
            .header(ORIGIN, origin)
            .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(ACCESS_CONTROL_REQUEST_HEADERS, HEADER)
    };
    let allowed = send(&api(), preflight(FRONT)).await;
    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], FRONT);
    assert_eq!(allowed.headers()[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
    let headers = allowed.headers()[ACCESS_CONTROL_ALLOW_HEADERS]
        .to_str()
        .unwrap();
    assert!(headers.contains(HEADER));

    let foreign = send(&api(), preflight("https://evil.example")).await;
    assert!(!foreign.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
}

#[tokio::test]
async fn b11_every_answer_to_the_front_end_can_be_read_there() {
    let post = || request(Method::POST, "/orders").header(ORIGIN, FRONT);
    let ours = |request: Builder| request.header("sec-fetch-site", "cross-site");
    for (request, status) in [
        (with_cookie(ours(post())).header(HEADER, "fetch"), 200),
        (ours(post()).header(HEADER, "fetch"), 401),
        (with_cookie(ours(post())), 403),
        (bearer(with_cookie(ours(post())), &alice().mint()), 400),
        (bearer(ours(post()), &alice().mint()), 200),
    ] {
        let response = send(&api(), request).await;
        assert_eq!(response.status(), status);
        let headers = response.headers();
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], FRONT, "{status}");
        assert_eq!(
            headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true",
            "{status}"
        );
        let vary = headers.get_all(VARY).iter();
        assert!(
            vary.flat_map(|line| line.to_str())
                .any(|line| line.contains("origin"))
        );
    }
}

#[tokio::test]
async fn b11_other_origins_are_refused_and_read_nothing() {
    let evil = with_cookie(request(Method::POST, "/orders"))
        .header(ORIGIN, "https://evil.example")
        .header(HEADER, "fetch");
    let response = send(&api(), evil).await;
    assert_eq!(response.status(), 403);
    assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
}

/// The statuses of `CsrfLayer` alone and of the guard alone, for a request with a valid token in
/// its cookie.
async fn both(lines: &[(&str, &str)], method: Method) -> (u16, u16) {
    let layer = Router::new()
        .route("/", any(|| async {}))
        .layer(CsrfLayer::new().add_trusted_origin(FRONT).unwrap());
    let guard = Router::new()
        .route("/", any(|| async {}))
        .layer(AuthLayer::new(auth_with_cookies()));
    let make = || {
        lines
            .iter()
            .fold(request(method.clone(), "/"), |request, (name, value)| {
                request.header(*name, *value)
            })
    };
    let layer = send(&layer, make()).await.status().as_u16();
    let guard = send(&guard, with_cookie(make())).await.status().as_u16();
    (layer, guard)
}

#[tokio::test]
async fn c14_beside_tower_https_csrf_layer() {
    let evil = ("origin", "https://evil.example");
    // Requests with the same result.
    for (lines, wanted) in [
        (&[("sec-fetch-site", "same-origin")][..], 200),
        (&[("sec-fetch-site", "none")], 200),
        (&[("sec-fetch-site", "same-site"), evil], 403),
        (&[("sec-fetch-site", "cross-site"), evil], 403),
        (&[("origin", "https://api.example")], 200),
        (&[evil], 403),
        (&[("origin", "null")], 403),
    ] {
        assert_eq!(
            both(lines, Method::POST).await,
            (wanted, wanted),
            "{lines:?}"
        );
        assert_eq!(both(lines, Method::GET).await, (200, 200), "{lines:?}");
    }
    // The documented differences.
    for (lines, method, wanted) in [
        (&[][..], Method::POST, (200, 403)),
        (
            &[("origin", "http://api.example")],
            Method::POST,
            (200, 403),
        ),
        (&[("upgrade", "websocket"), evil], Method::GET, (200, 403)),
        (
            &[("origin", "https://api.example"), evil],
            Method::POST,
            (200, 403),
        ),
    ] {
        assert_eq!(both(lines, method).await, wanted, "{lines:?}");
    }
}

#[tokio::test]
async fn c14_both_layers_together_let_the_same_page_in() {
    let csrf = CsrfPolicy::new().with_trusted_origin(FRONT).unwrap();
    let auth = cross_site(CookiePolicy::server_rendered(), csrf);
    let app = Router::new()
        .route("/", get(|| async {}).post(|| async {}))
        .layer(AuthLayer::new(&auth))
        .layer(CsrfLayer::new().add_trusted_origin(FRONT).unwrap());
    let post = |site, origin| {
        with_cookie(request(Method::POST, "/"))
            .header("sec-fetch-site", site)
            .header(ORIGIN, origin)
    };
    for (request, wanted) in [
        (post("same-origin", "https://api.example"), 200),
        (post("cross-site", FRONT), 200),
        (post("cross-site", "https://evil.example"), 403),
    ] {
        assert_eq!(send(&app, request).await.status(), wanted);
    }
    // The layer does not consider that other sites cannot forge a bearer header.
    let bearer =
        bearer(request(Method::POST, "/"), &alice().mint()).header("sec-fetch-site", "cross-site");
    assert_eq!(send(&app, bearer).await.status(), 403);
}
