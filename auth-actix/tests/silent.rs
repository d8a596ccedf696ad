//! A guard that waits for a silent refresh, and its changes to the response.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

use std::sync::Arc;
use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::http::header::{CACHE_CONTROL, HOST};
use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpResponse, test, web};
use auth_actix::{AuthMiddleware, Claims, MaybeClaims};
use auth_cookie::CookiePolicy;
use auth_core::session::{
    ClientInfo, LoginRequest, RefreshKey, RefreshOutcome, RefreshToken, Sessions,
};
use auth_core::store::StoreClock;
use auth_core::testing::{ManualClock, MemoryStore};
use auth_core::{Guard, Issuer, Key, Timestamp};

const ACCESS: &str = "__Host-Http-at";
const REFRESH: &str = "__Host-Http-rt";

struct Setup {
    pages: Guard<()>,
    sessions: Sessions,
    clock: Arc<ManualClock>,
}

fn setup() -> Setup {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap()
        .with_clock(clock.clone());
    let store = MemoryStore::new().with_clock(StoreClock::driven(clock.clone()));
    let key = RefreshKey::ephemeral().unwrap();
    let sessions = Sessions::builder(issuer.clone(), Arc::new(store), key)
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

fn page_load(refresh: &RefreshToken) -> test::TestRequest {
    test::TestRequest::get()
        .uri("/")
        .insert_header((HOST, "app.example"))
        .insert_header(("sec-fetch-site", "same-origin"))
        .cookie(Cookie::new(REFRESH, refresh.expose().to_owned()))
}

impl Setup {
    /// A page load of a browser with an expired access cookie: the session must rotate.
    async fn stale_page_load(&self) -> test::TestRequest {
        let login = LoginRequest::for_subject("alice");
        let tokens = self.sessions.login(login).await.unwrap();
        self.clock.advance(Duration::from_secs(3600));
        page_load(tokens.refresh().unwrap())
    }

    /// A page load of a browser without an access cookie, whose session has just rotated.
    async fn fresh_page_load(&self) -> test::TestRequest {
        let login = LoginRequest::for_subject("alice");
        let first = self.sessions.login(login).await.unwrap();
        let token = first.refresh().unwrap().expose();
        match self.sessions.refresh(token, &ClientInfo::new()).await {
            RefreshOutcome::Granted(tokens) => page_load(tokens.refresh().unwrap()),
            other => panic!("{other:?}"),
        }
    }
}

#[actix_web::test]
async fn b17_renewed_cookies_stand_beside_the_handlers_own() {
    async fn page(user: Claims<()>) -> HttpResponse {
        HttpResponse::Ok()
            .cookie(Cookie::new("app", "1"))
            .insert_header((CACHE_CONTROL, "max-age=60"))
            .body(user.subject().to_owned())
    }
    let setup = setup();
    let app = App::new()
        .wrap(AuthMiddleware::new(setup.pages.clone()))
        .route("/", web::get().to(page));
    let app = test::init_service(app).await;
    let request = setup.fresh_page_load().await.to_request();
    let response = test::call_service(&app, request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut names: Vec<_> = response
        .response()
        .cookies()
        .map(|cookie| cookie.name().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, [ACCESS, "app"]);
    let cache: Vec<_> = response.headers().get_all(CACHE_CONTROL).collect();
    assert_eq!(cache, ["no-store"]);
    assert_eq!(test::read_body(response).await, "alice");
}

#[actix_web::test]
async fn b17_a_handler_that_signs_out_has_the_last_word() {
    async fn sign_out(_: Claims<()>) -> HttpResponse {
        HttpResponse::NoContent()
            .insert_header(("set-cookie", "__Host-Http-at=; Max-Age=0; Path=/; Secure"))
            .finish()
    }
    let setup = setup();
    let app = App::new()
        .wrap(AuthMiddleware::new(setup.pages.clone()))
        .route("/", web::get().to(sign_out));
    let app = test::init_service(app).await;
    let request = setup.fresh_page_load().await.to_request();
    let response = test::call_service(&app, request).await;
    let cookies = response.response().cookies();
    let cookies: Vec<_> = cookies
        .map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned()))
        .collect();
    assert_eq!(cookies, [(ACCESS.to_owned(), String::new())]);
}

/// A rotating session gets its response before the app sees the request.
#[actix_web::test]
async fn h04_the_app_hears_of_no_request_whose_session_moves_on() {
    async fn unheard(_: Claims<()>) -> HttpResponse {
        panic!("the app got the request")
    }
    let setup = setup();
    let app = App::new()
        .wrap(AuthMiddleware::new(setup.pages.clone()))
        .route("/", web::to(unheard));
    let app = test::init_service(app).await;
    for (method, status) in [
        (Method::GET, StatusCode::SEE_OTHER),
        (Method::HEAD, StatusCode::SEE_OTHER),
        (Method::POST, StatusCode::TEMPORARY_REDIRECT),
        (Method::DELETE, StatusCode::TEMPORARY_REDIRECT),
    ] {
        let request = setup.stale_page_load().await.method(method).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().get("location").unwrap(), "./");
        assert_eq!(response.headers().get(CACHE_CONTROL).unwrap(), "no-store");
        let names = response.response().cookies();
        let names: Vec<_> = names.map(|cookie| cookie.name().to_owned()).collect();
        assert_eq!(names, [ACCESS, REFRESH]);
    }
}

#[actix_web::test]
async fn h21_a_scope_sends_the_browser_to_where_it_was() {
    let setup = setup();
    let pages = web::scope("/pages")
        .wrap(AuthMiddleware::new(setup.pages.clone()))
        .default_service(web::to(|_: Claims<()>| async { "" }));
    let app = App::new().service(web::scope("/app").service(pages));
    let app = test::init_service(app).await;
    for (target, location) in [
        ("/app/pages/7", "./7"),
        ("/app/pages/7?a=%2F&b", "?a=%2F&b"),
        ("/app/pages//evil.test", "./evil.test"),
    ] {
        let request = setup.stale_page_load().await.uri(target).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.headers().get("location").unwrap(), location);
    }
}

#[actix_web::test]
async fn an_optional_identity_is_read_like_an_option() {
    async fn page(user: MaybeClaims<()>) -> String {
        user.as_ref()
            .map_or("nobody", |user| user.subject())
            .to_owned()
    }
    let setup = setup();
    let app = App::new()
        .wrap(AuthMiddleware::new(setup.pages.clone().with_anonymous()))
        .route("/", web::get().to(page));
    let app = test::init_service(app).await;
    let request = setup.fresh_page_load().await.to_request();
    let body = test::call_and_read_body(&app, request).await;
    assert_eq!(body, "alice");
    let request = test::TestRequest::get().uri("/").to_request();
    assert_eq!(test::call_and_read_body(&app, request).await, "nobody");
}
