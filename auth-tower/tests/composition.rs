//! The layer in axum apps, beside other layers: routing, preflights, cookies, streams.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use auth_core::{AuthError, AuthErrorKind};
use auth_tower::{AuthLayer, Claims, MaybeClaims};
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use common::{ACCESS_COOKIE, User, alice, auth, auth_with_cookies, bearer, forged, request};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, COOKIE, ORIGIN,
    SET_COOKIE, WWW_AUTHENTICATE,
};
use http::request::Builder;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_http::cors::CorsLayer;

const APP: &str = "https://app.example";

async fn send(app: &Router, request: Builder) -> Response<Body> {
    app.clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

async fn status(app: &Router, request: Builder) -> StatusCode {
    send(app, request).await.status()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
    .unwrap()
}

/// A handler that counts its calls.
fn counted() -> (axum::routing::MethodRouter, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    let handler = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        async {}
    };
    (get(handler), runs)
}

fn get_from(path: &str) -> Builder {
    request(Method::GET, path)
}

#[tokio::test]
async fn b12_layer_guards_routes_nests_merges_and_the_fallback() {
    let (handler, runs) = counted();
    let app = Router::new()
        .route("/a", handler.clone())
        .nest("/nested", Router::new().route("/b", handler.clone()))
        .merge(Router::new().route("/c", handler.clone()))
        .fallback_service(handler)
        .layer(AuthLayer::new(auth()));
    let paths = [
        "/a",
        "/nested/b",
        "/c",
        "/unknown",
        "/nested/unknown",
        "/a/",
        "//a",
        "/A",
    ];
    for path in paths {
        assert_eq!(
            status(&app, get_from(path)).await,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    assert_eq!(
        status(&app, request(Method::POST, "/a")).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(runs.load(Ordering::Relaxed), 0);

    let token = alice().mint();
    for path in paths {
        assert_eq!(
            status(&app, bearer(get_from(path), &token)).await,
            StatusCode::OK,
            "{path}"
        );
    }
    assert_eq!(runs.load(Ordering::Relaxed), paths.len());
}

#[tokio::test]
async fn b12_layer_answers_strangers_401_and_users_404_or_405() {
    let app = Router::new()
        .route("/a", get(|| async {}))
        .layer(AuthLayer::new(auth()));
    let token = alice().mint();
    for (method, path, known) in [
        (Method::GET, "/unknown", StatusCode::NOT_FOUND),
        (Method::POST, "/a", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let stranger = request(method.clone(), path);
        assert_eq!(
            status(&app, stranger).await,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
        let user = bearer(request(method, path), &token);
        assert_eq!(status(&app, user).await, known, "{path}");
    }
}

#[tokio::test]
async fn b12_route_layer_leaves_unknown_paths_to_the_fallback() {
    let app = Router::new()
        .route("/a", get(|| async {}))
        .route_layer(AuthLayer::new(auth()));
    assert_eq!(
        status(&app, get_from("/unknown")).await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(status(&app, get_from("/a")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        status(&app, request(Method::POST, "/a")).await,
        StatusCode::UNAUTHORIZED
    );
    let user = bearer(request(Method::POST, "/a"), &alice().mint());
    assert_eq!(status(&app, user).await, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn b12_routes_added_after_the_layer_are_open() {
    let app = Router::new()
        .route("/guarded", get(|| async {}))
        .layer(AuthLayer::new(auth()))
        .route("/open", get(|| async {}));
    assert_eq!(status(&app, get_from("/open")).await, StatusCode::OK);
    assert_eq!(
        status(&app, get_from("/guarded")).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn b12_a_stricter_layer_inside_another_is_asked_too() {
    let admins = Router::new()
        .route("/admin", get(|| async {}))
        .layer(AuthLayer::new(
            auth().guard().require_scope("admin").unwrap(),
        ));
    let app = Router::new()
        .route("/me", get(|| async {}))
        .merge(admins)
        .layer(AuthLayer::new(auth()));
    let token = alice().mint();
    assert_eq!(
        status(&app, bearer(get_from("/me"), &token)).await,
        StatusCode::OK
    );
    let refused = send(&app, bearer(get_from("/admin"), &token)).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        refused.headers()[WWW_AUTHENTICATE],
        "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"admin\""
    );
    let token = common::admin().mint();
    assert_eq!(
        status(&app, bearer(get_from("/admin"), &token)).await,
        StatusCode::OK
    );
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(HeaderValue::from_static(APP))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION])
}

fn preflight(path: &str) -> Builder {
    request(Method::OPTIONS, path)
        .header(ORIGIN, APP)
        .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
}

#[tokio::test]
async fn b11_with_cors_outside_preflights_pass_and_refusals_are_readable() {
    let app = Router::new()
        .route("/a", post(|| async {}))
        .layer(AuthLayer::new(auth()))
        .layer(cors());
    let passed = send(&app, preflight("/a")).await;
    assert_eq!(passed.status(), StatusCode::OK);
    assert_eq!(passed.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], APP);

    let refused = send(&app, request(Method::POST, "/a").header(ORIGIN, APP)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], APP);
}

#[tokio::test]
async fn b11_with_cors_inside_preflights_pass_only_where_the_guard_is_told() {
    let app = |guard: auth_tower::Guard<User>| {
        Router::new()
            .route("/a", post(|| async {}))
            .layer(cors())
            .layer(AuthLayer::new(guard))
    };
    let strict = app(auth().guard());
    assert_eq!(
        status(&strict, preflight("/a")).await,
        StatusCode::UNAUTHORIZED
    );
    let lenient = app(auth().guard().with_preflight());
    assert_eq!(status(&lenient, preflight("/a")).await, StatusCode::OK);
}

#[tokio::test]
async fn b11b_only_a_real_preflight_passes() {
    let (handler, runs) = counted();
    let app = Router::new()
        .fallback_service(handler)
        .layer(AuthLayer::new(auth().guard().with_preflight()));
    let options = || request(Method::OPTIONS, "/a");
    for almost in [
        options(),
        options().header(ORIGIN, APP),
        options().header(ACCESS_CONTROL_REQUEST_METHOD, "POST"),
        request(Method::GET, "/a")
            .header(ORIGIN, APP)
            .header(ACCESS_CONTROL_REQUEST_METHOD, "GET"),
        request(Method::HEAD, "/a"),
        request(Method::TRACE, "/a"),
    ] {
        assert_eq!(status(&app, almost).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn b11b_a_preflight_that_passes_is_anonymous_even_with_a_token() {
    let app = Router::new()
        .fallback(|user: MaybeClaims<User>| async move { user.is_none().to_string() })
        .layer(AuthLayer::new(auth().guard().with_preflight()));
    let answer = send(&app, bearer(preflight("/a"), &alice().mint())).await;
    assert_eq!(text(answer).await, "true");
}

#[tokio::test]
async fn b06_a_token_in_header_and_cookie_is_refused() {
    let app = Router::new()
        .route("/a", get(|| async {}))
        .layer(AuthLayer::new(auth_with_cookies()));
    let token = alice().mint();
    let cookie = format!("{ACCESS_COOKIE}={token}");
    assert_eq!(
        status(&app, get_from("/a").header(COOKIE, &cookie)).await,
        StatusCode::OK
    );
    let both = bearer(get_from("/a").header(COOKIE, &cookie), &token);
    let refused = send(&app, both).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(!refused.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn b20_our_cookie_is_found_on_the_last_of_many_lines() {
    let app = Router::new()
        .route("/a", get(|| async {}))
        .layer(AuthLayer::new(auth_with_cookies()));
    let mut crumbs = get_from("/a");
    for n in 0..49 {
        crumbs = crumbs.header(COOKIE, format!("c{n}=v"));
    }
    let ours = format!("{ACCESS_COOKIE}={}", alice().mint());
    assert_eq!(
        status(&app, crumbs.header(COOKIE, &ours)).await,
        StatusCode::OK
    );

    let twice = get_from("/a").header(COOKIE, &ours).header(COOKIE, &ours);
    assert_eq!(status(&app, twice).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn c14_the_authority_of_http_2_serves_the_cross_site_rule() {
    let app = Router::new()
        .fallback(|| async {})
        .layer(AuthLayer::new(auth_with_cookies()));
    let cookie = format!("{ACCESS_COOKIE}={}", alice().mint());
    let post = |uri: &str, origin: &str| {
        request(Method::POST, uri)
            .header(COOKIE, &cookie)
            .header(ORIGIN, origin)
    };
    let own = post("https://app.example/a", APP);
    assert_eq!(status(&app, own).await, StatusCode::OK);
    let foreign = post("https://app.example/a", "https://evil.example");
    assert_eq!(status(&app, foreign).await, StatusCode::FORBIDDEN);
    let torn = post("https://app.example/a", "https://evil.example").header("host", "evil.example");
    assert_eq!(status(&app, torn).await, StatusCode::FORBIDDEN);
    let torn = post("https://app.example/a", APP).header("host", "evil.example");
    assert_eq!(status(&app, torn).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn b17_cookies_of_handlers_and_other_layers_survive() {
    async fn handler() -> impl IntoResponse {
        let mut response = StatusCode::NO_CONTENT.into_response();
        response
            .headers_mut()
            .append(SET_COOKIE, HeaderValue::from_static("app=1"));
        response
            .headers_mut()
            .append(SET_COOKIE, HeaderValue::from_static("app2=1"));
        response
    }
    let outer = axum::middleware::map_response(|mut response: axum::response::Response| async {
        response
            .headers_mut()
            .append(SET_COOKIE, HeaderValue::from_static("lb=1"));
        response
    });
    let app = Router::new()
        .route("/a", get(handler))
        .layer(AuthLayer::new(auth()))
        .layer(outer);
    let response = send(&app, bearer(get_from("/a"), &alice().mint())).await;
    let cookies: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
    assert_eq!(cookies, ["app=1", "app2=1", "lb=1"]);
}

#[tokio::test]
async fn b14b_an_optional_guard_refuses_a_bad_header_token() {
    let app = Router::new()
        .fallback(|user: MaybeClaims<User>| async move { user.is_some().to_string() })
        .layer(AuthLayer::new(auth_with_cookies().guard().with_anonymous()));
    assert_eq!(text(send(&app, get_from("/a")).await).await, "false");
    let forged = forged();
    let refused = send(&app, bearer(get_from("/a"), &forged)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);

    // A user cannot omit a cookie: the request is anonymous.
    let cookie = get_from("/a").header(COOKIE, format!("{ACCESS_COOKIE}={forged}"));
    assert_eq!(text(send(&app, cookie).await).await, "false");
    let good = get_from("/a").header(COOKIE, format!("{ACCESS_COOKIE}={}", alice().mint()));
    assert_eq!(text(send(&app, good).await).await, "true");
}

#[tokio::test]
async fn b16_request_and_response_bodies_stream_through() {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body::Frame;
    use tokio::sync::mpsc;

    // An echo: the response begins before the request's body has ended.
    async fn echo(body: Body) -> Body {
        body
    }
    let app = Router::new()
        .route("/echo", post(echo))
        .layer(AuthLayer::new(auth()));

    struct Chunks(mpsc::Receiver<Bytes>);
    impl http_body::Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0
                .poll_recv(cx)
                .map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    let (chunks, body) = mpsc::channel(1);
    let request = bearer(request(Method::POST, "/echo"), &alice().mint())
        .body(Body::new(Chunks(body)))
        .unwrap();
    let mut response = app.oneshot(request).await.unwrap().into_body();
    for chunk in ["one", "two", "three"] {
        chunks.send(Bytes::from(chunk)).await.unwrap();
        let frame = response.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), chunk);
    }
    drop(chunks);
    assert!(response.frame().await.is_none());
}

#[tokio::test]
async fn refusals_show_their_error_to_outer_layers() {
    async fn note(response: axum::response::Response) -> axum::response::Response {
        let kind = response
            .extensions()
            .get::<AuthError>()
            .map(AuthError::kind);
        assert_eq!(kind, Some(AuthErrorKind::MissingCredential));
        response
    }
    let app = Router::new()
        .route("/a", get(|_: Claims<User>| async {}))
        .layer(AuthLayer::new(auth()))
        .layer(axum::middleware::map_response(note));
    assert_eq!(status(&app, get_from("/a")).await, StatusCode::UNAUTHORIZED);
}
