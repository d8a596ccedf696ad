//! Extractors, with and without the middleware.

mod common;

use std::time::Duration;

use actix_web::{App, HttpResponse, test, web};
use auth_actix::{AuthMiddleware, AuthRejection, Claims, MaybeClaims, Require};
use auth_core::{AuthError, AuthErrorKind, Requires};
use common::{NOW, User, auth, bearer, get, token, token_with};
use serde_json::json;

async fn claims(Claims(user): Claims<User>) -> String {
    format!("{} of {}", user.subject(), user.tenant)
}

async fn maybe(MaybeClaims(user): MaybeClaims<User>) -> String {
    user.map_or_else(|| "nobody".to_owned(), |user| user.tenant.clone())
}

async fn other_type(_: MaybeClaims<()>) -> &'static str {
    "unreachable"
}

async fn pitfall(user: Option<Claims<User>>) -> &'static str {
    if user.is_some() { "somebody" } else { "nobody" }
}

struct Admin;

impl Requires for Admin {
    const SCOPE: &'static str = "admin audit";
    const ROLES: &'static [&'static str] = &["owner"];
}

async fn admin(_: Require<Admin>) -> &'static str {
    "done"
}

struct Recent;

impl Requires for Recent {
    const MAX_AGE: Option<Duration> = Some(Duration::from_secs(300));
    const ACR: &'static [&'static str] = &["mfa"];
}

async fn recent(_: Require<Recent>) -> &'static str {
    "done"
}

async fn by_hand(user: Result<Claims<User>, AuthRejection>) -> HttpResponse {
    match user {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(refused) => HttpResponse::Accepted().body(refused.to_string()),
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/claims", web::get().to(claims))
        .route("/admin", web::get().to(admin))
        .route("/recent", web::get().to(recent))
        .route("/maybe", web::get().to(maybe))
        .route("/other", web::get().to(other_type))
        .route("/pitfall", web::get().to(pitfall))
        .route("/by-hand", web::get().to(by_hand));
}

#[actix_web::test]
async fn claims_give_subject_and_the_app_s_own_type() {
    let app = App::new()
        .wrap(AuthMiddleware::new(auth()))
        .configure(routes);
    let app = test::init_service(app).await;
    let request = bearer(get("/claims"), &token()).to_request();
    assert_eq!(
        test::call_and_read_body(&app, request).await,
        "alice of acme"
    );
    let request = bearer(get("/maybe"), &token()).to_request();
    assert_eq!(test::call_and_read_body(&app, request).await, "acme");
}

#[actix_web::test]
async fn anonymous_requests_get_401_from_claims_and_none_from_maybe() {
    let app = App::new()
        .wrap(AuthMiddleware::new(auth().guard().with_anonymous()))
        .configure(routes);
    let app = test::init_service(app).await;
    let refused = test::call_service(&app, get("/claims").to_request()).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(
        refused.headers().get("www-authenticate").unwrap(),
        r#"Bearer realm="api""#
    );
    assert_eq!(refused.headers().get("cache-control").unwrap(), "no-store");
    let kind = refused
        .response()
        .extensions()
        .get::<AuthError>()
        .unwrap()
        .kind();
    assert_eq!(kind, AuthErrorKind::MissingCredential);
    assert_eq!(
        test::call_and_read_body(&app, get("/maybe").to_request()).await,
        "nobody"
    );
    let body = test::call_and_read_body(&app, get("/by-hand").to_request()).await;
    assert_eq!(body, "no credential was sent");
}

#[actix_web::test]
async fn b19_without_the_middleware_extractors_answer_500_with_or_without_a_token() {
    let app = test::init_service(App::new().configure(routes)).await;
    for path in ["/claims", "/maybe", "/other", "/admin", "/recent"] {
        for request in [get(path), bearer(get(path), &token())] {
            let response = test::call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), 500, "{path}");
            assert!(
                response.headers().get("www-authenticate").is_none(),
                "{path}"
            );
            let body = test::read_body(response).await;
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                body["detail"], "authentication is not set up for this route",
                "{path}"
            );
        }
    }
}

#[actix_web::test]
async fn b19_another_claims_type_than_the_guard_s_is_500() {
    let app = App::new()
        .wrap(AuthMiddleware::new(auth()))
        .configure(routes);
    let app = test::init_service(app).await;
    let response = test::call_service(&app, bearer(get("/other"), &token()).to_request()).await;
    assert_eq!(response.status(), 500);
}

/// actix-web's own `FromRequest for Option<T>` hides every error, so a route without middleware
/// seems to have an anonymous visitor. The documentation warns about it. If this test fails,
/// actix-web has changed and the warning can be removed.
#[actix_web::test]
async fn b19_option_of_claims_hides_a_missing_middleware() {
    let app = test::init_service(App::new().configure(routes)).await;
    let request = bearer(get("/pitfall"), &token()).to_request();
    assert_eq!(test::call_and_read_body(&app, request).await, "nobody");
}

#[actix_web::test]
async fn require_asks_for_scopes_and_roles() {
    let app = App::new()
        .wrap(AuthMiddleware::new(auth().guard().with_anonymous()))
        .configure(routes);
    let app = test::init_service(app).await;
    let lacking = r#"Bearer realm="api", error="insufficient_scope", scope="admin audit""#;
    for (claims, status, challenge) in [
        (
            json!({"scope": "admin audit", "roles": ["owner"]}),
            200,
            None,
        ),
        (json!({"scope": "admin audit"}), 403, Some(lacking)),
        (
            json!({"scope": "admin", "roles": ["owner"]}),
            403,
            Some(lacking),
        ),
    ] {
        let request = bearer(get("/admin"), &token_with(claims)).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.status(), status);
        let header = response.headers().get("www-authenticate");
        assert_eq!(header.map(|value| value.to_str().unwrap()), challenge);
    }
    let anonymous = test::call_service(&app, get("/admin").to_request()).await;
    assert_eq!(anonymous.status(), 401);
    assert_eq!(
        anonymous.headers().get("www-authenticate").unwrap(),
        r#"Bearer realm="api""#
    );
}

#[actix_web::test]
async fn require_asks_for_a_recent_and_strong_login() {
    let app = App::new()
        .wrap(AuthMiddleware::new(auth()))
        .configure(routes);
    let app = test::init_service(app).await;
    let weak = r#"Bearer realm="api", error="insufficient_user_authentication", acr_values="mfa", max_age="300""#;
    let now = NOW;
    for (claims, status) in [
        (json!({"auth_time": now - 300, "acr": "mfa"}), 200),
        (json!({"auth_time": now - 301, "acr": "mfa"}), 401),
        (json!({"auth_time": now, "acr": "pwd"}), 401),
        (json!({"acr": "mfa"}), 401),
        (json!({"auth_time": now}), 401),
    ] {
        let request = bearer(get("/recent"), &token_with(claims.clone())).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.status(), status, "{claims}");
        let header = response.headers().get("www-authenticate");
        assert_eq!(
            header.is_some_and(|value| value == weak),
            status == 401,
            "{claims}"
        );
    }
}

#[actix_web::test]
async fn d21_debug_of_extractors_shows_no_claim() {
    let shown = |user: Claims<User>, maybe: MaybeClaims<User>| async move {
        format!("{user:?} {maybe:?} {:?}", user.0)
    };
    let app = App::new()
        .wrap(AuthMiddleware::new(auth()))
        .route("/", web::get().to(shown));
    let app = test::init_service(app).await;
    let body = test::call_and_read_body(&app, bearer(get("/"), &token()).to_request()).await;
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("Claims"), "{body}");
    assert!(!body.contains("alice") && !body.contains("acme"), "{body}");
}
