//! The layer as a tower service: readiness, short-circuit, changes to requests and responses.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use auth_core::{AuthContext, AuthError, AuthErrorKind, Cause};
use auth_tower::{AuthLayer, RequestHead};
use bytes::Bytes;
use common::{User, admin, alice, auth, bearer, forged, get};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

type Body = Full<Bytes>;
type Mock = mock::Mock<Request<Body>, Response<Body>>;

fn empty() -> Body {
    Body::default()
}

type Guarded = mock::Spawn<auth_tower::AuthService<Mock, User>>;
type Inner = mock::Handle<Request<Body>, Response<Body>>;

fn spawn() -> (Guarded, Inner) {
    mock::spawn_layer(AuthLayer::new(auth()))
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_inner_service() {
    let (mut service, mut inner) = spawn();
    inner.allow(1);
    for request in [
        get("/").body(empty()).unwrap(),
        bearer(get("/"), &forged()).body(empty()).unwrap(),
        bearer(bearer(get("/"), "a.b.c"), "a.b.c")
            .body(empty())
            .unwrap(),
    ] {
        assert!(service.poll_ready().is_ready());
        let response = service.call(request).await.unwrap();
        assert!(response.status().is_client_error(), "{}", response.status());
    }
    // The single allowed request is still available: this one takes it.
    let request = bearer(get("/"), &alice().mint()).body(empty()).unwrap();
    assert!(service.poll_ready().is_ready());
    let call = tokio::spawn(service.call(request));
    let (seen, send) = inner.next_request().await.unwrap();
    assert!(seen.extensions().get::<AuthContext>().is_some());
    send.send_response(Response::new(empty()));
    assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_unready_inner_service_stays_unready() {
    let (mut service, mut inner) = spawn();
    inner.allow(0);
    assert!(service.poll_ready().is_pending());
    assert!(service.poll_ready().is_pending());
    inner.allow(1);
    assert!(service.poll_ready().is_ready());
}

#[tokio::test]
async fn errors_of_the_inner_service_pass_unchanged() {
    let (mut service, mut inner) = spawn();
    inner.allow(1);
    assert!(service.poll_ready().is_ready());
    let request = bearer(get("/"), &alice().mint()).body(empty()).unwrap();
    let call = tokio::spawn(service.call(request));
    let (_, send) = inner.next_request().await.unwrap();
    send.send_error("broken");
    assert_eq!(call.await.unwrap().unwrap_err().to_string(), "broken");
}

/// A service that counts readiness polls and calls, so that a call without readiness is detected.
#[derive(Debug, Default)]
struct Counting {
    ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Counting {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            calls: Arc::clone(&self.calls),
        }
    }
}

impl Service<Request<Body>> for Counting {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        self.ready = true;
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(self.ready, "called without having been polled ready");
        self.ready = false;
        self.calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Response::new(empty())))
    }
}

#[tokio::test]
async fn the_service_that_was_polled_ready_is_called() {
    let inner = Counting::default();
    let calls = Arc::clone(&inner.calls);
    let mut service = AuthLayer::new(auth()).layer(inner);
    let token = alice().mint();
    for _ in 0..3 {
        let request = bearer(get("/"), &token).body(empty()).unwrap();
        service.ready().await.unwrap().call(request).await.unwrap();
        let stranger = get("/").body(empty()).unwrap();
        service.ready().await.unwrap().call(stranger).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_concurrency_limit_inside_the_layer_is_not_leaked_by_refusals() {
    let limited = tower::limit::ConcurrencyLimit::new(Counting::default(), 1);
    let mut service = AuthLayer::new(auth()).layer(limited);
    let token = alice().mint();
    for _ in 0..10 {
        let refused = get("/").body(empty()).unwrap();
        service.ready().await.unwrap().call(refused).await.unwrap();
        let request = bearer(get("/"), &token).body(empty()).unwrap();
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

async fn answer(request: Request<Body>) -> Response<Body> {
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(empty())) });
    AuthLayer::new(auth())
        .layer(inner)
        .oneshot(request)
        .await
        .unwrap()
}

#[tokio::test]
async fn b08_a_refusal_has_status_challenge_problem_body_and_the_error_for_outer_layers() {
    let forged = bearer(get("/"), &forged()).body(empty()).unwrap();
    let response = answer(forged).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let error = response.extensions().get::<AuthError>().unwrap();
    assert_eq!(
        (error.kind(), error.cause()),
        (AuthErrorKind::InvalidToken, Cause::Signature)
    );
    let (parts, body) = response.into_parts();
    assert_eq!(
        parts.headers[WWW_AUTHENTICATE],
        "Bearer realm=\"api\", error=\"invalid_token\""
    );
    assert_eq!(parts.headers[CONTENT_TYPE], "application/problem+json");
    let body: serde_json::Value =
        serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["status"], 401);
    assert!(!body.to_string().contains("signature"), "{body}");
}

#[tokio::test]
async fn b18_refusals_are_not_stored() {
    let response = answer(get("/").body(empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    assert!(!response.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn b11b_every_method_is_guarded() {
    let own = Method::from_bytes(b"PROPFIND").unwrap();
    let known = [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::CONNECT,
        own,
    ];
    for method in known {
        let request = Request::builder()
            .method(method.clone())
            .uri("/x")
            .body(empty())
            .unwrap();
        assert_eq!(
            answer(request).await.status(),
            StatusCode::UNAUTHORIZED,
            "{method}"
        );
    }
}

/// Responds with the caller's subject, or with an empty body.
async fn who(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let context = request.extensions().get::<AuthContext>().unwrap();
    let user = context
        .authenticated::<User>(&RequestHead::from(&request))
        .unwrap();
    let name = user
        .map(|user| user.subject().to_owned())
        .unwrap_or_default();
    Ok(Response::new(Body::from(name)))
}

async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn b14_a_context_that_is_already_there_is_replaced() {
    // The outer layer authenticates an admin. Their token is removed before the inner layer.
    let layers = tower::ServiceBuilder::new()
        .layer(AuthLayer::new(auth()))
        .map_request(|mut request: Request<Body>| {
            assert!(request.extensions().get::<AuthContext>().is_some());
            request.headers_mut().remove(AUTHORIZATION);
            request
        })
        .layer(AuthLayer::new(auth().guard().with_anonymous()));
    let request = bearer(get("/"), &admin().mint()).body(empty()).unwrap();
    let response = layers.service_fn(who).oneshot(request).await.unwrap();
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn b14_identity_headers_have_no_effect() {
    let request = get("/")
        .header("x-user", "root")
        .header("x-forwarded-user", "root")
        .header("x-authenticated-subject", "root")
        .body(empty())
        .unwrap();
    let service = AuthLayer::new(auth().guard().with_anonymous()).layer(service_fn(who));
    assert_eq!(text(service.oneshot(request).await.unwrap()).await, "");
}

#[tokio::test]
async fn b16_other_request_extensions_are_kept() {
    #[derive(Clone, Debug, PartialEq)]
    struct Upgrade(u8);

    let inner = service_fn(|request: Request<Body>| async move {
        assert_eq!(request.extensions().get::<Upgrade>(), Some(&Upgrade(7)));
        Ok::<_, Infallible>(Response::new(empty()))
    });
    let mut request = bearer(get("/"), &alice().mint()).body(empty()).unwrap();
    request.extensions_mut().insert(Upgrade(7));
    let response = AuthLayer::new(auth())
        .layer(inner)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
