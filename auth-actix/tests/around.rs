//! Other middleware around the guard and the session routes, in the order of `docs/layers.md`.
//! `auth-tower/tests/around.rs` is the same for tower-http; cross-origin requests are in `cors.rs`
//! and `cross_site.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::cell::RefCell;
use std::io::Write;
use std::sync::{Arc, Once};
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, header};
use actix_web::middleware::{Compress, Logger, NormalizePath, TrailingSlash};
use actix_web::test::{self, TestRequest};
use actix_web::{App, HttpRequest, HttpResponse, web};
use async_trait::async_trait;
use auth_actix::{AuthMiddleware, Claims, RequestHead, into_actix, session_routes};
use auth_cookie::CookiePolicy;
use auth_core::session::{
    ClaimsHook, CurrentClaims, LoginRequest, RefreshKey, Sessions, UserQuery, UserState,
    UsersUnavailable,
};
use auth_core::store::StoreClock;
use auth_core::testing::{ManualClock, MemoryStore};
use auth_core::{AuthError, Guard, Issuer, Key, SessionRoutes, Timestamp, Transport};
use common::{NOW, User, bearer};

const ACCESS: &str = "__Host-Http-at";
const REFRESH: &str = "__Host-Http-rt";
/// A claim that must not appear in a log line.
const TENANT: &str = "T3NANT-0F-AL1CE";
const APP: &str = "https://app.example";

#[derive(Debug)]
struct Tenants;

#[async_trait]
impl ClaimsHook for Tenants {
    async fn current(&self, _: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
        let tenant = serde_json::json!({ "tenant": TENANT });
        Ok(UserState::Enabled(
            CurrentClaims::new().with_claims(&tenant)?,
        ))
    }
}

#[derive(Clone)]
struct Setup {
    pages: Guard<User>,
    routes: SessionRoutes<User>,
    clock: Arc<ManualClock>,
}

fn setup() -> Setup {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap()
        .with_clock(clock.clone());
    let store = MemoryStore::new().with_clock(StoreClock::driven(clock.clone()));
    let key = RefreshKey::ephemeral().unwrap();
    let sessions = Sessions::builder(issuer.clone(), Arc::new(store), key)
        .with_claims(Arc::new(Tenants))
        .without_revocations()
        .build()
        .unwrap();
    let auth = issuer
        .authenticator()
        .with_cookies(CookiePolicy::server_rendered())
        .build()
        .unwrap();
    let pages = auth.guard().with_silent_refresh(sessions.clone());
    Setup {
        routes: SessionRoutes::new(sessions, auth).unwrap(),
        pages: pages.unwrap(),
        clock,
    }
}

async fn me(user: Claims<User>) -> String {
    format!("{} is signed in. ", user.subject()).repeat(40)
}

async fn log_in(routes: web::Data<SessionRoutes<User>>, request: HttpRequest) -> HttpResponse {
    let by = match request.query_string() {
        "body" => Transport::Body,
        _ => Transport::Cookie,
    };
    let login = LoginRequest::for_subject("alice");
    into_actix(routes.login(&RequestHead::from(&request), login, by).await)
}

/// A guarded page, an open login and the session routes, inside the given middleware.
macro_rules! app {
    ($setup:expr $(, $layer:expr)*) => {
        test::init_service(
            App::new()
                .app_data(web::Data::new($setup.routes.clone()))
                .service(
                    web::resource("/me")
                        .wrap(AuthMiddleware::new($setup.pages.clone()))
                        .route(web::to(me)),
                )
                .route("/login", web::post().to(log_in))
                .configure(session_routes($setup.routes.clone()))
                $(.wrap($layer))*,
        )
        .await
    };
}

/// A request of the app's own page.
fn page(method: Method, path: &str) -> TestRequest {
    TestRequest::with_uri(path)
        .method(method)
        .insert_header((header::HOST, "app.example"))
        .insert_header(("sec-fetch-site", "same-origin"))
}

macro_rules! send {
    ($app:expr, $request:expr) => {
        test::call_service(&$app, $request.to_request()).await
    };
}

/// The cookies that a response sets.
struct Jar(Vec<(String, String)>);

impl Jar {
    fn of<B>(response: &ServiceResponse<B>) -> Self {
        let lines = response.headers().get_all(header::SET_COOKIE);
        let pairs = lines.map(|line| {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        Self(pairs.collect())
    }

    fn value(&self, name: &str) -> &str {
        &self.0.iter().find(|(own, _)| own == name).unwrap().1
    }

    fn with(&self, name: &str, request: TestRequest) -> TestRequest {
        request.insert_header((header::COOKIE, format!("{name}={}", self.value(name))))
    }
}

fn field<B>(response: &ServiceResponse<B>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

thread_local! {
    /// The log of this thread, hence of this test, through `log` and through `tracing`.
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy)]
struct Here;

impl Write for Here {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl log::Log for Here {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(Here, "{} {}", record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}

/// Collects all targets at every level.
fn listen() -> tracing::subscriber::DefaultGuard {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Here).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(|| Here)
        .finish();
    tracing::subscriber::set_default(subscriber)
}

fn logged() -> String {
    LOGGED.with_borrow(|logged| String::from_utf8(logged.clone()).unwrap())
}

/// Logs in, uses the token in both places, refreshes, is refused in several ways, and logs out.
/// Returns the texts that must not be in any log.
macro_rules! a_visit {
    ($app:expr) => {{
        let jar = Jar::of(&send!($app, page(Method::POST, "/login")));
        let renewed = jar.with(REFRESH, page(Method::POST, "/auth/refresh"));
        let renewed = Jar::of(&send!($app, renewed));
        let token = jar.value(ACCESS);
        for (request, status) in [
            (bearer(page(Method::GET, "/me"), token), 200),
            (jar.with(ACCESS, page(Method::GET, "/me")), 200),
            (
                bearer(jar.with(ACCESS, page(Method::GET, "/me")), token),
                400,
            ),
            (
                bearer(page(Method::GET, "/me"), &token[..token.len() - 2]),
                401,
            ),
            (
                jar.with(ACCESS, page(Method::POST, "/me"))
                    .insert_header(("sec-fetch-site", "cross-site")),
                403,
            ),
            (
                renewed.with(REFRESH, page(Method::POST, "/auth/logout")),
                204,
            ),
            (
                renewed.with(REFRESH, page(Method::POST, "/auth/refresh")),
                400,
            ),
        ] {
            assert_eq!(send!($app, request).status(), status);
        }
        let tokens = [&jar, &renewed].map(|jar| [jar.value(ACCESS), jar.value(REFRESH)]);
        let parts = tokens.iter().flatten().flat_map(|token| token.split('.'));
        let mut secrets: Vec<_> = parts.map(str::to_owned).collect();
        secrets.extend([TENANT.to_owned(), "alice".to_owned()]);
        secrets
    }};
}

#[actix_web::test]
async fn b19_the_default_log_shows_no_token_and_no_claim() {
    let _listening = listen();
    let setup = setup();
    let app = app!(setup, Logger::default());
    let secrets = a_visit!(app);
    let text = logged();
    for shown in ["\"GET /me HTTP/1.1\" 200", "\"GET /me HTTP/1.1\" 401"] {
        assert!(text.contains(shown), "{shown} is not in:\n{text}");
    }
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in:\n{text}");
    }
}

/// The logger prints any field that its format names. A replacement is enough for diagnosis.
#[actix_web::test]
async fn b19_a_format_that_names_the_field_prints_the_token() {
    let _listening = listen();
    let setup = setup();
    let shown = app!(setup, Logger::new("SHOWN %{Authorization}i"));
    let secrets = a_visit!(shown);
    assert!(secrets.iter().any(|secret| logged().contains(secret)));

    LOGGED.take();
    let carrier = Logger::new("%{CARRIER}xi %s").custom_request_replace("CARRIER", |request| {
        let carries = |name| request.headers().contains_key(name);
        match (carries(header::AUTHORIZATION), carries(header::COOKIE)) {
            (true, true) => "both".to_owned(),
            (true, false) => "header".to_owned(),
            (false, true) => "cookie".to_owned(),
            (false, false) => "none".to_owned(),
        }
    });
    let told = app!(setup, carrier);
    let secrets = a_visit!(told);
    let text = logged();
    for line in [
        "header 200",
        "cookie 200",
        "both 400",
        "header 401",
        "cookie 403",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in:\n{text}");
    }
}

#[actix_web::test]
async fn b16_compressed_answers_keep_fields_and_every_cookie() {
    let setup = setup();
    let app = app!(setup, Compress::default());
    let gzip = |request: TestRequest| request.insert_header((header::ACCEPT_ENCODING, "gzip"));
    let login = send!(app, gzip(page(Method::POST, "/login")));
    let jar = Jar::of(&login);

    let plain = send!(app, bearer(page(Method::GET, "/me"), "x"));
    let refused = send!(app, gzip(bearer(page(Method::GET, "/me"), "x")));
    assert_eq!(refused.status(), 401);
    for name in [
        header::WWW_AUTHENTICATE,
        header::CACHE_CONTROL,
        header::CONTENT_TYPE,
    ] {
        let value = field(&refused, name.clone());
        assert!(value.is_some(), "{name}");
        assert_eq!(value, field(&plain, name));
    }
    assert!(refused.response().extensions().get::<AuthError>().is_some());

    // The first request rotates the session. A concurrent second one passes, and its compressed
    // page sets the access cookie.
    setup.clock.advance(Duration::from_secs(3600));
    let moved = send!(app, gzip(jar.with(REFRESH, page(Method::GET, "/me"))));
    assert_eq!(moved.status(), 303);
    assert_eq!(Jar::of(&moved).0.len(), 2);
    let page_load = send!(app, gzip(jar.with(REFRESH, page(Method::GET, "/me"))));
    assert_eq!(page_load.status(), 200);
    assert_eq!(field(&page_load, header::CONTENT_ENCODING), Some("gzip"));
    assert_eq!(field(&page_load, header::VARY), Some("accept-encoding"));
    assert_eq!(field(&page_load, header::CACHE_CONTROL), Some("no-store"));
    let renewed = Jar::of(&page_load);
    assert_eq!(renewed.0.len(), 1);
    let next = send!(app, renewed.with(ACCESS, page(Method::GET, "/me")));
    assert_eq!(next.status(), 200);
}

#[actix_web::test]
async fn b12_a_path_is_guarded_however_it_is_normalized() {
    let setup = setup();
    let app = app!(setup, NormalizePath::trim());
    let jar = Jar::of(&send!(app, page(Method::POST, "/login/")));
    for path in ["/me", "/me/", "//me", "/me//"] {
        assert_eq!(send!(app, page(Method::GET, path)).status(), 401, "{path}");
        let user = bearer(page(Method::GET, path), jar.value(ACCESS));
        assert_eq!(send!(app, user).status(), 200, "{path}");
    }
    let request = jar.with(REFRESH, page(Method::POST, "/auth/refresh/"));
    assert_eq!(send!(app, request).status(), 200);
}

/// Merged slashes do not change the end of the path.
#[actix_web::test]
async fn h21_a_silent_refresh_leads_to_the_path_as_it_was_sent() {
    let setup = setup();
    let app = app!(setup, NormalizePath::new(TrailingSlash::MergeOnly));
    let jar = Jar::of(&send!(app, page(Method::POST, "/login")));
    for (target, location) in [("/me", "./me"), ("//me", "./me"), ("/me?a", "?a")] {
        setup.clock.advance(Duration::from_secs(3600));
        let moved = send!(app, jar.with(REFRESH, page(Method::GET, target)));
        assert_eq!(field(&moved, header::LOCATION), Some(location), "{target}");
    }
}

/// All middleware, in the order of the guide.
#[actix_web::test]
async fn the_whole_order_answers_preflights_strangers_and_users() {
    let _listening = listen();
    let setup = setup();
    let cors = Cors::default()
        .allowed_origin(APP)
        .allowed_methods(["GET"])
        .allowed_header(header::AUTHORIZATION)
        .supports_credentials();
    let app = app!(
        setup,
        Compress::default(),
        cors,
        Logger::default(),
        NormalizePath::trim()
    );
    let jar = Jar::of(&send!(app, page(Method::POST, "/login")));
    let from_app = |request: TestRequest| request.insert_header((header::ORIGIN, APP));
    let preflight = from_app(page(Method::OPTIONS, "/me"))
        .insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, "GET"));
    for (request, status) in [
        (preflight, 200),
        (from_app(page(Method::GET, "/me/")), 401),
        (from_app(jar.with(ACCESS, page(Method::GET, "/me/"))), 200),
    ] {
        let answer = send!(
            app,
            request.insert_header((header::ACCEPT_ENCODING, "gzip"))
        );
        assert_eq!(answer.status(), status);
        let origin = field(&answer, header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(origin, Some(APP), "{status}");
        assert!(field(&answer, header::VARY).is_some(), "{status}");
    }
    assert!(logged().contains(" 401 "));
}
