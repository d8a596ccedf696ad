//! `tower_http`'s layers around the guard: a trace that shows no token, compression.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Write;
use std::iter::once;
use std::sync::{Arc, Mutex};

use auth_cookie::CookiePolicy;
use auth_core::{AccessTokenRequest, Authenticator, Issuer, Key};
use auth_tower::{AuthLayer, Claims};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, COOKIE, SET_COOKIE, VARY};
use http::{Request, StatusCode};
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;
use tower_http::sensitive_headers::{
    SetSensitiveRequestHeadersLayer, SetSensitiveResponseHeadersLayer,
};
use tower_http::trace::{DefaultMakeSpan, DefaultOnRequest, DefaultOnResponse, TraceLayer};
use tracing::Level;

fn issuer() -> Issuer {
    let key = Key::hs256("k1", &[7; 32]).unwrap();
    let issuer = Issuer::for_issuer("https://issuer.example");
    issuer.audience("https://api.example").keys(key).unwrap()
}

fn auth() -> Arc<Authenticator<()>> {
    let auth = issuer().authenticator();
    auth.with_cookies(CookiePolicy::same_origin_spa())
        .build()
        .unwrap()
}

async fn token() -> String {
    let request = AccessTokenRequest::for_subject("alice");
    issuer().mint(&request).await.unwrap().expose().to_owned()
}

async fn ask(app: &Router, fields: &[(http::HeaderName, &str)]) -> Response {
    let mut request = Request::get("/me");
    for (name, value) in fields {
        request = request.header(name, *value);
    }
    app.clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

/// What is logged, by everybody and at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// The order that the crate documentation gives, with a trace that prints every header.
#[tokio::test]
async fn b19_a_trace_of_all_headers_shows_no_token() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _here = tracing::subscriber::set_default(subscriber);

    let set = CookiePolicy::same_origin_spa();
    let set = auth_core::CookieTransport::set_access(&set, "N3WT0KEN", None).unwrap();
    let me = async move |user: Claims<()>| ([(SET_COOKIE, set.clone())], user.subject().to_owned());
    let trace = TraceLayer::new_for_http()
        .make_span_with(
            DefaultMakeSpan::new()
                .include_headers(true)
                .level(Level::INFO),
        )
        .on_request(DefaultOnRequest::new().level(Level::INFO))
        .on_response(
            DefaultOnResponse::new()
                .include_headers(true)
                .level(Level::INFO),
        );
    // The last layer is the outermost one.
    let app = Router::new()
        .route("/me", get(me))
        .layer(AuthLayer::new(&auth()))
        .layer(SetSensitiveResponseHeadersLayer::new(once(SET_COOKIE)))
        .layer(trace)
        .layer(SetSensitiveRequestHeadersLayer::new([
            AUTHORIZATION,
            COOKIE,
        ]));

    let token = token().await;
    let (bearer, cookie) = (format!("Bearer {token}"), format!("__Host-Http-at={token}"));
    for (fields, status) in [
        (&[(AUTHORIZATION, bearer.as_str())][..], StatusCode::OK),
        (&[(COOKIE, cookie.as_str())], StatusCode::OK),
        (
            &[(AUTHORIZATION, &bearer), (COOKIE, &cookie)],
            StatusCode::BAD_REQUEST,
        ),
        (
            &[(AUTHORIZATION, &bearer[..bearer.len() - 2])],
            StatusCode::UNAUTHORIZED,
        ),
    ] {
        assert_eq!(ask(&app, fields).await.status(), status);
    }
    let text = log.text();
    for shown in [
        "authorization",
        "cookie",
        "set-cookie",
        "status=200",
        "status=401",
        "Sensitive",
    ] {
        assert!(text.contains(shown), "{shown} is not in the trace:\n{text}");
    }
    for part in token.split('.').chain(once("N3WT0KEN")) {
        assert!(
            !text.contains(part),
            "a part of a token is in the trace:\n{text}"
        );
    }
}

#[tokio::test]
async fn compression_inside_of_the_guard_and_outside_changes_no_answer() {
    let page = "a page that is long enough to be worth it. ".repeat(40);
    let handler = async move |_: Claims<()>| page.clone();
    let inside = Router::new()
        .route("/me", get(handler.clone()))
        .layer(CompressionLayer::new())
        .layer(AuthLayer::new(&auth()));
    let outside = Router::new()
        .route("/me", get(handler))
        .layer(AuthLayer::new(&auth()))
        .layer(CompressionLayer::new());
    let bearer = format!("Bearer {}", token().await);
    for app in [inside, outside] {
        let gzip = (ACCEPT_ENCODING, "gzip");
        let good = ask(&app, &[gzip.clone(), (AUTHORIZATION, &bearer)]).await;
        assert_eq!(good.status(), StatusCode::OK);
        assert_eq!(good.headers()[CONTENT_ENCODING], "gzip");
        assert!(
            good.headers()[VARY]
                .to_str()
                .unwrap()
                .contains("accept-encoding")
        );
        let refused = ask(&app, &[gzip, (AUTHORIZATION, "Bearer x")]).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(
            refused.headers()["www-authenticate"],
            "Bearer realm=\"api\", error=\"invalid_token\""
        );
        assert_eq!(refused.headers()["cache-control"], "no-store");
        assert!(refused.extensions().get::<auth_core::AuthError>().is_some());
    }
}
