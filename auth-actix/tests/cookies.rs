//! Tokens in cookies: found on every line, refused without proof of origin.

mod common;

use actix_web::http::{Method, header};
use actix_web::test::{self, TestRequest};
use actix_web::{App, HttpResponse, web};
use auth_actix::{AuthMiddleware, MaybeClaims};
use common::{ACCESS_COOKIE, User, auth_with_cookies, bearer, get, token, token_with};
use serde_json::json;

fn with_cookie(request: TestRequest, token: &str) -> TestRequest {
    request.append_header((header::COOKIE, format!("{ACCESS_COOKIE}={token}")))
}

async fn who(MaybeClaims(user): MaybeClaims<User>) -> HttpResponse {
    let name = user.map_or_else(|| "nobody".to_owned(), |user| user.subject().to_owned());
    HttpResponse::Ok().body(name)
}

macro_rules! ask {
    ($middleware:expr, $request:expr) => {{
        let app = App::new().wrap($middleware).default_service(web::to(who));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, $request.to_request()).await;
        let status = response.status().as_u16();
        let body = test::read_body(response).await;
        (status, String::from_utf8(body.to_vec()).unwrap())
    }};
}

#[actix_web::test]
async fn b20_a_cookie_on_any_of_several_lines_is_found() {
    let crumbs = |count: usize| {
        (0..count).fold(get("/"), |request, n| {
            request.append_header((header::COOKIE, format!("c{n}=x")))
        })
    };
    let auth = AuthMiddleware::new(auth_with_cookies());
    for before in [0, 1, 49] {
        let request = with_cookie(crumbs(before), &token());
        assert_eq!(ask!(auth.clone(), request), (200, "alice".to_owned()));
    }
    let request = with_cookie(get("/"), &token()).append_header((header::COOKIE, "z=1; y=2"));
    assert_eq!(ask!(auth.clone(), request).0, 200);
}

#[actix_web::test]
async fn b06_two_credentials_are_400_wherever_they_are() {
    let auth = AuthMiddleware::new(auth_with_cookies());
    let both = with_cookie(bearer(get("/"), &token()), &token());
    let twice = with_cookie(with_cookie(get("/"), &token()), &token());
    let one_line = format!("{ACCESS_COOKIE}={0}; {ACCESS_COOKIE}={0}", token());
    let one_line = get("/").append_header((header::COOKIE, one_line));
    for request in [both, twice, one_line] {
        assert_eq!(ask!(auth.clone(), request).0, 400);
    }
}

#[actix_web::test]
async fn c14_a_cookie_needs_proof_of_origin_for_unsafe_methods() {
    let auth = AuthMiddleware::new(auth_with_cookies());
    let post = || {
        with_cookie(get("/"), &token())
            .method(Method::POST)
            .insert_header((header::HOST, "app.example"))
    };
    let fetch_site = |site: &'static str| post().insert_header(("sec-fetch-site", site));
    let origin = |origin: &'static str| post().insert_header((header::ORIGIN, origin));
    for (request, expected) in [
        (post(), 403),
        (fetch_site("cross-site"), 403),
        (fetch_site("same-site"), 403),
        (fetch_site("same-origin"), 200),
        (origin("https://app.example"), 200),
        (origin("https://evil.example"), 403),
        (origin("null"), 403),
        (
            origin("https://evil.example").insert_header(("x-forwarded-host", "evil.example")),
            403,
        ),
        (
            origin("https://evil.example").append_header((header::HOST, "evil.example")),
            403,
        ),
        (
            origin("https://app.example").append_header((header::HOST, "app.example")),
            403,
        ),
        // HTTP/2 names the authority in the target.
        (
            origin("https://app.example").uri("https://app.example/"),
            200,
        ),
        (
            origin("https://evil.example").uri("https://evil.example/"),
            403,
        ),
        (post().method(Method::GET), 200),
        (bearer(get("/"), &token()).method(Method::POST), 200),
    ] {
        assert_eq!(ask!(auth.clone(), request).0, expected);
    }
}

#[actix_web::test]
async fn b14b_an_expired_cookie_is_anonymous_where_a_token_is_optional() {
    let optional = AuthMiddleware::new(auth_with_cookies().guard().with_anonymous());
    let expired = token_with(json!({"exp": 1}));
    let anonymous = (200, "nobody".to_owned());
    assert_eq!(
        ask!(optional.clone(), with_cookie(get("/"), &expired)),
        anonymous
    );
    assert_eq!(ask!(optional, bearer(get("/"), &expired)).0, 401);
    let required = AuthMiddleware::new(auth_with_cookies());
    assert_eq!(ask!(required, with_cookie(get("/"), &expired)).0, 401);
}
