//! The axum extractors, with the layer, without it, and with the wrong one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::time::Duration;

use auth_core::{AuthError, AuthErrorKind, Requires};
use auth_tower::{AuthLayer, AuthRejection, Claims, MaybeClaims, Require};
use axum::Router;
use axum::body::Body;
use axum::routing::{MethodRouter, get};
use common::{NOW, User, admin, alice, auth, bearer};
use http::header::WWW_AUTHENTICATE;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

async fn send(app: Router, token: Option<&str>) -> Response<Body> {
    let mut request = common::get("/a");
    if let Some(token) = token {
        request = bearer(request, token);
    }
    app.oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

async fn text(response: Response<Body>) -> String {
    assert_eq!(response.status(), StatusCode::OK);
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

fn open(handler: MethodRouter) -> Router {
    Router::new().route("/a", handler)
}

fn required(handler: MethodRouter) -> Router {
    open(handler).layer(AuthLayer::new(auth()))
}

fn optional(handler: MethodRouter) -> Router {
    open(handler).layer(AuthLayer::new(auth().guard().with_anonymous()))
}

#[tokio::test]
async fn claims_give_the_apps_own_and_the_registered_ones() {
    let me = get(|user: Claims<User>| async move { format!("{} {}", user.subject(), user.tenant) });
    let token = alice().mint();
    assert_eq!(
        text(send(required(me), Some(&token)).await).await,
        "alice acme"
    );
}

#[tokio::test]
async fn claims_refuse_an_anonymous_request_like_the_layer_does() {
    let with_layer = send(required(get(|| async {})), None).await;
    let with_extractor = send(optional(get(|_: Claims<User>| async {})), None).await;
    assert_eq!(with_extractor.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(with_extractor.headers(), with_layer.headers());
    let kind = with_extractor
        .extensions()
        .get::<AuthError>()
        .map(AuthError::kind);
    assert_eq!(kind, Some(AuthErrorKind::MissingCredential));
}

#[tokio::test]
async fn optional_claims_are_none_only_for_an_anonymous_request() {
    let option = || get(|user: Option<Claims<User>>| async move { user.is_some().to_string() });
    let maybe =
        || get(|MaybeClaims(user): MaybeClaims<User>| async move { user.is_some().to_string() });
    let token = alice().mint();
    for handler in [option, maybe as fn() -> MethodRouter] {
        assert_eq!(text(send(optional(handler()), None).await).await, "false");
        assert_eq!(
            text(send(optional(handler()), Some(&token)).await).await,
            "true"
        );
        assert_eq!(
            text(send(required(handler()), Some(&token)).await).await,
            "true"
        );
        assert_eq!(
            send(open(handler()), None).await.status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
}

#[tokio::test]
async fn b19_every_extractor_without_the_layer_is_a_500_without_a_challenge() {
    let token = admin().mint();
    for handler in [
        get(|_: Claims<User>| async {}),
        get(|_: MaybeClaims<User>| async {}),
        get(|_: Option<Claims<User>>| async {}),
        get(|_: Require<Admin>| async {}),
    ] {
        for token in [None, Some(token.as_str())] {
            let response = send(open(handler.clone()), token).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
            let kind = response
                .extensions()
                .get::<AuthError>()
                .map(AuthError::kind);
            assert_eq!(kind, Some(AuthErrorKind::Misconfigured));
        }
    }
}

#[tokio::test]
async fn b19_claims_of_another_type_than_the_layers_are_a_500() {
    #[derive(serde::Deserialize)]
    struct Other {}

    let token = alice().mint();
    for handler in [
        get(|_: Claims<Other>| async {}),
        get(|_: MaybeClaims<Other>| async {}),
        get(|_: Option<Claims<Other>>| async {}),
    ] {
        let response = send(optional(handler), Some(&token)).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}

#[derive(Debug)]
struct Admin;

impl Requires for Admin {
    const SCOPE: &'static str = "admin";
}

struct Auditor;

impl Requires for Auditor {
    const ROLES: &'static [&'static str] = &["auditor"];
}

struct Recent;

impl Requires for Recent {
    const MAX_AGE: Option<Duration> = Some(Duration::from_secs(300));
}

struct Strong;

impl Requires for Strong {
    const ACR: &'static [&'static str] = &["urn:mfa", "urn:key"];
}

async fn needs<R: Requires>(token: &str) -> (StatusCode, String) {
    let response = send(required(get(|_: Require<R>| async {})), Some(token)).await;
    let challenge = response.headers().get(WWW_AUTHENTICATE);
    let challenge = challenge
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default();
    (response.status(), challenge)
}

#[tokio::test]
async fn requirements_in_a_signature_are_met_or_named() {
    let strong = alice()
        .claim("acr", "urn:key")
        .claim("auth_time", NOW.as_secs() - 300)
        .claim("roles", ["auditor"])
        .mint();
    let weak = alice().claim("auth_time", NOW.as_secs() - 301).mint();
    let ok = (StatusCode::OK, String::new());

    assert_eq!(needs::<Admin>(&admin().mint()).await, ok);
    let challenge = "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"admin\"";
    assert_eq!(
        needs::<Admin>(&weak).await,
        (StatusCode::FORBIDDEN, challenge.to_owned())
    );

    assert_eq!(needs::<Auditor>(&strong).await, ok);
    let challenge = "Bearer realm=\"api\", error=\"insufficient_scope\"";
    assert_eq!(
        needs::<Auditor>(&weak).await,
        (StatusCode::FORBIDDEN, challenge.to_owned())
    );

    assert_eq!(needs::<Recent>(&strong).await, ok);
    let challenge =
        "Bearer realm=\"api\", error=\"insufficient_user_authentication\", max_age=\"300\"";
    assert_eq!(
        needs::<Recent>(&weak).await,
        (StatusCode::UNAUTHORIZED, challenge.to_owned())
    );

    assert_eq!(needs::<Strong>(&strong).await, ok);
    let challenge = "Bearer realm=\"api\", error=\"insufficient_user_authentication\", \
                     acr_values=\"urn:mfa urn:key\"";
    assert_eq!(
        needs::<Strong>(&weak).await,
        (StatusCode::UNAUTHORIZED, challenge.to_owned())
    );
}

#[tokio::test]
async fn a_requirement_refuses_an_anonymous_request() {
    let response = send(optional(get(|_: Require<Admin>| async {})), None).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer realm=\"api\"");
}

#[tokio::test]
async fn a_handler_may_take_the_rejection_into_its_own_hands() {
    let handler = get(|user: Result<Claims<User>, AuthRejection>| async move {
        user.map_err(|refused| refused.status().as_u16().to_string())
            .map(|user| user.subject().to_owned())
    });
    let response = send(optional(handler), None).await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "401");
}

#[tokio::test]
async fn d21_debug_of_extractors_and_rejections_shows_no_claim() {
    let handler = get(
        |user: Claims<User>, maybe: MaybeClaims<User>, require: Require<Admin>| async move {
            format!("{user:?} {maybe:?} {require:?}")
        },
    );
    let token = admin().mint();
    let shown = text(send(required(handler), Some(&token)).await).await;
    assert!(
        shown.contains("Claims") && shown.contains("Admin"),
        "{shown}"
    );
    for secret in ["alice", "acme", token.as_str()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
