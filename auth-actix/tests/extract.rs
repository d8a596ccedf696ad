//! Extractors, with and without the middleware.

mod common;

use actix_web::{App, HttpResponse, test, web};
use auth_actix::{AuthMiddleware, AuthRejection, Claims, MaybeClaims};
use auth_core::{AuthError, AuthErrorKind};
use common::{User, auth, bearer, get, token};

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

async fn by_hand(user: Result<Claims<User>, AuthRejection>) -> HttpResponse {
    match user {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(refused) => HttpResponse::Accepted().body(refused.to_string()),
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/claims", web::get().to(claims))
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
        .wrap(AuthMiddleware::new(auth().guard().optional()))
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
    for path in ["/claims", "/maybe", "/other"] {
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
/// looks like one with an anonymous visitor. The documentation says so; if this test ever fails,
/// actix-web has changed and the warning can go.
#[actix_web::test]
async fn b19_option_of_claims_hides_a_missing_middleware() {
    let app = test::init_service(App::new().configure(routes)).await;
    let request = bearer(get("/pitfall"), &token()).to_request();
    assert_eq!(test::call_and_read_body(&app, request).await, "nobody");
}
