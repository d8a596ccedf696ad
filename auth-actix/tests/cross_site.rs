//! Requests of other origins: the guard together with actix-cors. `auth-tower/tests/cross_site.rs`
//! has the same table for tower-http.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, header};
use actix_web::test::{self, TestRequest};
use actix_web::{App, HttpResponse, web};
use auth_actix::AuthMiddleware;
use auth_cookie::CookiePolicy;
use auth_core::CsrfPolicy;
use common::{ACCESS_COOKIE, auth_with_cookies, bearer, cross_site, get, token};

const FRONT: &str = "https://front.example";
const HEADER: &str = "x-requested-with";

/// An API whose front end is on another site: CORS outside, the guard inside.
async fn send(request: TestRequest) -> ServiceResponse<impl MessageBody> {
    let cookies = CookiePolicy::cross_site(HEADER).unwrap();
    let csrf = CsrfPolicy::new().with_trusted_origin(FRONT).unwrap();
    let cors = Cors::default()
        .allowed_origin(FRONT)
        .allowed_methods(["GET", "POST"])
        .allowed_headers([
            header::HeaderName::from_static(HEADER),
            header::AUTHORIZATION,
        ])
        .supports_credentials();
    let app = App::new()
        .route("/", web::to(|| async { HttpResponse::Ok().body("yours") }))
        .wrap(AuthMiddleware::new(cross_site(cookies, csrf)))
        .wrap(cors);
    let app = test::init_service(app).await;
    let request = request.insert_header((header::HOST, "api.example"));
    test::call_service(&app, request.to_request()).await
}

fn field<'a, B>(response: &'a ServiceResponse<B>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn with_cookie(request: TestRequest) -> TestRequest {
    request.append_header((header::COOKIE, format!("{ACCESS_COOKIE}={}", token())))
}

#[actix_web::test]
async fn b11_a_preflight_of_the_front_end_is_answered_and_nobody_elses() {
    let preflight = |origin: &'static str| {
        get("/")
            .method(Method::OPTIONS)
            .insert_header((header::ORIGIN, origin))
            .insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, "POST"))
            .insert_header((header::ACCESS_CONTROL_REQUEST_HEADERS, HEADER))
    };
    let allowed = send(preflight(FRONT)).await;
    assert_eq!(allowed.status(), 200);
    assert_eq!(field(&allowed, "access-control-allow-origin"), Some(FRONT));
    assert_eq!(
        field(&allowed, "access-control-allow-credentials"),
        Some("true")
    );
    let headers = field(&allowed, "access-control-allow-headers").unwrap();
    assert!(headers.contains(HEADER));

    let foreign = send(preflight("https://evil.example")).await;
    assert_eq!(field(&foreign, "access-control-allow-origin"), None);
}

#[actix_web::test]
async fn b11_every_answer_to_the_front_end_can_be_read_there() {
    let ours = || {
        get("/")
            .method(Method::POST)
            .insert_header((header::ORIGIN, FRONT))
            .insert_header(("sec-fetch-site", "cross-site"))
    };
    let marked = || ours().insert_header((HEADER, "fetch"));
    for (request, status) in [
        (with_cookie(marked()), 200),
        (marked(), 401),
        (with_cookie(ours()), 403),
        (bearer(with_cookie(ours()), &token()), 400),
        (bearer(ours(), &token()), 200),
    ] {
        let response = send(request).await;
        assert_eq!(response.status(), status);
        assert_eq!(
            field(&response, "access-control-allow-origin"),
            Some(FRONT),
            "{status}"
        );
        assert_eq!(
            field(&response, "access-control-allow-credentials"),
            Some("true"),
            "{status}"
        );
        let vary = response.headers().get_all(header::VARY);
        let mut lines = vary.flat_map(|line| line.to_str());
        assert!(
            lines.any(|line| line.to_lowercase().contains("origin")),
            "{status}"
        );
    }
}

#[actix_web::test]
async fn b11_other_origins_are_refused_and_read_nothing() {
    let evil = with_cookie(get("/").method(Method::POST))
        .insert_header((header::ORIGIN, "https://evil.example"))
        .insert_header((HEADER, "fetch"));
    let response = send(evil).await;
    // The status is the guard's. actix-cors itself would respond with 400, and only with
    // `block_on_origin_mismatch`.
    assert_eq!(response.status(), 403);
    assert_eq!(field(&response, "access-control-allow-origin"), None);
}

/// The guard's column of the table in `auth-tower`'s documentation.
#[actix_web::test]
async fn c14_the_same_rule_as_beside_tower_https_csrf_layer() {
    let evil = ("origin", "https://evil.example");
    let own = ("origin", "https://api.example");
    let plain = ("origin", "http://api.example");
    for (lines, method, wanted) in [
        (&[("sec-fetch-site", "same-origin")][..], Method::POST, 200),
        (&[("sec-fetch-site", "none")], Method::POST, 200),
        (&[("sec-fetch-site", "same-site"), evil], Method::POST, 403),
        (&[("sec-fetch-site", "cross-site"), evil], Method::POST, 403),
        (&[own], Method::POST, 200),
        (&[evil], Method::POST, 403),
        (&[("origin", "null")], Method::POST, 403),
        (&[evil], Method::GET, 200),
        (&[], Method::POST, 403),
        (&[plain], Method::POST, 403),
        (&[("upgrade", "websocket"), evil], Method::GET, 403),
        (&[("upgrade", "websocket"), own], Method::GET, 200),
        (&[own, evil], Method::POST, 403),
    ] {
        let app = App::new()
            .route("/", web::to(HttpResponse::Ok))
            .wrap(AuthMiddleware::new(auth_with_cookies()));
        let app = test::init_service(app).await;
        let request =
            with_cookie(get("/").method(method)).insert_header((header::HOST, "api.example"));
        let request = lines
            .iter()
            .fold(request, |request, line| request.append_header(*line));
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), wanted, "{lines:?}");
    }
}
