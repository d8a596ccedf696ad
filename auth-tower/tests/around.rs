//! Other layers of `tower_http` around the guard and the session routes, in the order that
//! `docs/layers.md` gives. Cross-origin requests are in `cross_site.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use auth_cookie::CookiePolicy;
use auth_core::session::{
    ClaimsHook, CurrentClaims, LoginRequest, RefreshKey, Sessions, UserQuery, UserState,
    UsersUnavailable,
};
use auth_core::store::StoreClock;
use auth_core::testing::{Fault, FaultStore, ManualClock, MemoryStore, StoreOp};
use auth_core::{AccessTokenRequest, AuthError, Guard, Issuer, Key, SessionRoutes, Transport};
use auth_tower::{AuthLayer, Claims, RequestHead, SessionAnswer, session_routes};
use axum::Router;
use axum::body::Body;
use axum::extract::OriginalUri;
use axum::response::Response;
use axum::routing::{get, post};
use common::{NOW, User};
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION,
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE, USER_AGENT,
    VARY, WWW_AUTHENTICATE,
};
use http::request::{Builder, Parts};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tower::util::MapRequestLayer;
use tower::{Layer, Service, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnRequest, DefaultOnResponse, TraceLayer};
use tracing::Level;

const APP: &str = "https://app.example";
const ACCESS: &str = "__Host-Http-at";
const REFRESH: &str = "__Host-Http-rt";
/// A claim that must not appear in a log line.
const TENANT: &str = "T3NANT-0F-AL1CE";
/// Timeout of the outer layer, in tokio's time, which these tests pause.
const PATIENCE: Duration = Duration::from_secs(5);

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

struct App {
    pages: Guard<User>,
    issuer: Issuer,
    routes: SessionRoutes<User>,
    store: Arc<FaultStore>,
    clock: Arc<ManualClock>,
}

fn app() -> App {
    let clock = Arc::new(ManualClock::at(NOW));
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap()
        .with_clock(clock.clone());
    let store = MemoryStore::new().with_clock(StoreClock::driven(clock.clone()));
    let store = Arc::new(FaultStore::new(Arc::new(store)));
    let key = RefreshKey::ephemeral().unwrap();
    let sessions = Sessions::builder(issuer.clone(), store.clone(), key)
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
    App {
        routes: SessionRoutes::new(sessions, auth).unwrap(),
        pages: pages.unwrap(),
        issuer,
        store,
        clock,
    }
}

impl App {
    /// A guarded page, an open login, and the session routes.
    fn router(&self) -> Router {
        Router::new()
            .route("/me", get(me).post(me))
            .route(
                "/panic",
                get(async |_: Claims<User>| -> () { panic!("a handler's own fault") }),
            )
            .route_layer(AuthLayer::new(self.pages.clone()))
            .merge(session_routes(self.routes.clone()))
            .merge(self.login())
    }

    fn login(&self) -> Router {
        let routes = self.routes.clone();
        let login = async move |request: Parts| {
            let by = match request.uri.query() {
                Some("body") => Transport::Body,
                _ => Transport::Cookie,
            };
            let login = LoginRequest::for_subject("alice");
            let answer = routes.login(&RequestHead::from(&request), login, by);
            SessionAnswer::from(answer.await)
        };
        Router::new().route("/login", post(login))
    }

    async fn token(&self) -> String {
        let tenant = serde_json::json!({ "tenant": TENANT });
        let request = AccessTokenRequest::for_subject("alice").with_claims(&tenant);
        let token = self.issuer.mint(&request.unwrap()).await.unwrap();
        token.expose().to_owned()
    }
}

async fn me(user: Claims<User>) -> String {
    format!("{} is signed in. ", user.subject()).repeat(40)
}

/// A request of the app's own page.
fn page(method: Method, path: &str) -> Builder {
    common::request(method, path)
        .header(HOST, "app.example")
        .header("sec-fetch-site", "same-origin")
}

async fn send<S>(app: &S, request: Builder) -> Response
where
    S: Service<Request<Body>, Response = Response, Error = std::convert::Infallible> + Clone,
{
    let request = request.body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

/// The cookies of a login or of another response.
struct Jar(Vec<(String, String)>);

impl Jar {
    fn of(response: &Response) -> Self {
        let lines = response.headers().get_all(SET_COOKIE).iter();
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

    fn with(&self, name: &str, request: Builder) -> Builder {
        request.header(COOKIE, format!("{name}={}", self.value(name)))
    }
}

async fn body(response: Response) -> Vec<u8> {
    let body = response.into_body().collect().await.unwrap();
    body.to_bytes().to_vec()
}

/// A log of all targets at every level.
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

    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

/// Logs in, uses the token in both places, refreshes, is refused in several ways, and logs out.
/// Returns the texts that must not be in any log.
async fn a_visit(app: &App, router: &Router) -> Vec<String> {
    let token = app.token().await;
    let login = send(router, page(Method::POST, "/login")).await;
    let jar = Jar::of(&login);
    let refreshed = send(
        router,
        jar.with(REFRESH, page(Method::POST, "/auth/refresh")),
    )
    .await;
    let renewed = Jar::of(&refreshed);
    let mut secrets = vec![TENANT.to_owned(), "alice".to_owned()];
    for token in [
        token.as_str(),
        jar.value(ACCESS),
        jar.value(REFRESH),
        renewed.value(ACCESS),
        renewed.value(REFRESH),
    ] {
        secrets.extend(token.split('.').map(str::to_owned));
    }
    for (request, status) in [
        (common::bearer(page(Method::GET, "/me"), &token), 200),
        (jar.with(ACCESS, page(Method::GET, "/me")), 200),
        (
            common::bearer(jar.with(ACCESS, page(Method::GET, "/me")), &token),
            400,
        ),
        (
            common::bearer(page(Method::GET, "/me"), &token[..token.len() - 2]),
            401,
        ),
        (
            jar.with(ACCESS, page(Method::POST, "/me"))
                .header("sec-fetch-site", "cross-site"),
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
        assert_eq!(send(router, request).await.status(), status);
    }
    secrets
}

fn assert_silent(text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{secret} is in:\n{text}");
    }
}

#[tokio::test]
async fn b19_the_default_trace_shows_no_token_and_no_claim() {
    let log = Log::default();
    let _listening = log.listen();
    let app = app();
    let router = app.router().layer(TraceLayer::new_for_http());
    let secrets = a_visit(&app, &router).await;
    let text = log.text();
    for shown in ["started processing request", "status=200", "status=401"] {
        assert!(text.contains(shown), "{shown} is not in:\n{text}");
    }
    assert_silent(&text, &secrets);
}

/// Requests need the layer that marks their headers if every header is printed. The crate's
/// `Set-Cookie` lines are marked already.
#[tokio::test]
async fn b19_a_trace_of_all_headers_shows_no_token_and_no_claim() {
    let log = Log::default();
    let _listening = log.listen();
    let app = app();
    let spans = DefaultMakeSpan::new().include_headers(true);
    let answers = DefaultOnResponse::new().include_headers(true);
    let trace = TraceLayer::new_for_http()
        .make_span_with(spans.level(Level::INFO))
        .on_request(DefaultOnRequest::new().level(Level::INFO))
        .on_response(answers.level(Level::INFO));
    let router = app
        .router()
        .layer(trace)
        .layer(SetSensitiveRequestHeadersLayer::new([
            AUTHORIZATION,
            COOKIE,
        ]));
    let secrets = a_visit(&app, &router).await;
    let text = log.text();
    for shown in [
        "\"authorization\": Sensitive",
        "\"cookie\": Sensitive",
        "\"set-cookie\": Sensitive",
        "www-authenticate",
        "status=200",
        "status=401",
    ] {
        assert!(text.contains(shown), "{shown} is not in:\n{text}");
    }
    assert_silent(&text, &secrets);
}

#[tokio::test]
async fn b16_compression_inside_of_the_guard_and_outside_changes_no_answer() {
    let app = app();
    let bearer = app.token().await;
    let guarded = |router: Router| router.route_layer(AuthLayer::new(app.pages.clone()));
    let me = || Router::new().route("/me", get(me));
    for router in [
        guarded(me().route_layer(CompressionLayer::new())),
        guarded(me()).layer(CompressionLayer::new()),
    ] {
        let gzip = || page(Method::GET, "/me").header(ACCEPT_ENCODING, "gzip");
        let good = send(&router, common::bearer(gzip(), &bearer)).await;
        assert_eq!(good.status(), StatusCode::OK);
        assert_eq!(good.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(good.headers()[VARY], "accept-encoding");

        let refused = send(&router, common::bearer(gzip(), "x")).await;
        let plain = common::bearer(page(Method::GET, "/me"), "x");
        let plain = send(&router, plain).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        for name in [WWW_AUTHENTICATE, CACHE_CONTROL, CONTENT_TYPE] {
            assert_eq!(refused.headers()[&name], plain.headers()[&name], "{name}");
        }
        assert!(refused.extensions().get::<AuthError>().is_some());
    }
}

#[tokio::test]
async fn b17_compressed_answers_keep_every_cookie() {
    let app = app();
    let router = app.router().layer(CompressionLayer::new());
    let gzip = |request: Builder| request.header(ACCEPT_ENCODING, "gzip");
    let jar = Jar::of(&send(&router, gzip(page(Method::POST, "/login"))).await);
    app.clock.advance(Duration::from_secs(3600));
    // The first request rotates the session. A concurrent second one passes, and its compressed
    // page sets the access cookie.
    let load = || jar.with(REFRESH, gzip(page(Method::GET, "/me")));
    let moved = send(&router, load()).await;
    assert_eq!(moved.status(), StatusCode::SEE_OTHER);
    assert_eq!(Jar::of(&moved).0.len(), 2);
    let response = send(&router, load()).await;
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let renewed = Jar::of(&response);
    assert_eq!(renewed.0.len(), 1);
    let request = renewed.with(ACCESS, page(Method::GET, "/me"));
    assert_eq!(send(&router, request).await.status(), StatusCode::OK);
}

/// Compression reveals the length of a body. An attacker learns a secret from it if the body also
/// has text that the attacker chose, repeatedly with the same secret.
#[tokio::test]
async fn a_body_with_tokens_has_nothing_of_the_requests_and_never_the_same_tokens() {
    let app = app();
    let router = app.router();
    let marked = |path: &str| {
        page(Method::POST, path)
            .header(USER_AGENT, "CH0SEN")
            .header("x-own", "CH0SEN")
            .header(COOKIE, "own=CH0SEN")
    };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let login = send(&router, marked("/login?body")).await;
        let text = String::from_utf8(body(login).await).unwrap();
        assert!(text.contains("refresh_token"), "{text}");
        assert!(!text.contains("CH0SEN"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        seen.push(json["refresh_token"].clone());
        seen.push(json["access_token"].clone());
    }
    assert_ne!(seen[0], seen[2]);
    assert_ne!(seen[1], seen[3]);
    for request in [
        marked("/auth/refresh"),
        marked("/me?CH0SEN"),
        marked("/auth/sessions"),
    ] {
        let refused = send(&router, request).await;
        assert!(refused.status().is_client_error());
        assert!(
            !String::from_utf8(body(refused).await)
                .unwrap()
                .contains("CH0SEN")
        );
    }
}

/// The timeout of the layer is shorter than the store's delay: the refresh is dropped half-way. The
/// browser's tokens are still valid afterwards.
#[tokio::test(start_paused = true)]
async fn e03_a_refresh_that_a_timeout_cuts_off_loses_no_session() {
    let app = app();
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, PATIENCE);
    let router = app.router().layer(timeout);
    let jar = Jar::of(&send(&router, page(Method::POST, "/login")).await);
    for op in [StoreOp::Load, StoreOp::Write] {
        app.store.inject(Some(op), Fault::Slow, 1);
        let request = jar.with(REFRESH, page(Method::POST, "/auth/refresh"));
        let cut = send(&router, request).await;
        assert_eq!(cut.status(), StatusCode::SERVICE_UNAVAILABLE, "{op:?}");
        assert!(!cut.headers().contains_key(SET_COOKIE), "{op:?}");
    }
    // The write happens, and its response is lost with the request.
    app.store.inject(Some(StoreOp::Write), Fault::LostAnswer, 1);
    let request = jar.with(REFRESH, page(Method::POST, "/auth/refresh"));
    let lost = send(&router, request).await;
    assert!(!lost.headers().contains_key(SET_COOKIE));

    let request = jar.with(REFRESH, page(Method::POST, "/auth/refresh"));
    let retried = send(&router, request).await;
    assert_eq!(retried.status(), StatusCode::OK);
    assert_eq!(Jar::of(&retried).0.len(), 2);
}

/// The same during a page load, while the guard waits.
#[tokio::test(start_paused = true)]
async fn e03_a_silent_refresh_that_a_timeout_cuts_off_loses_no_session() {
    let app = app();
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, PATIENCE);
    let router = app.router().layer(timeout);
    let jar = Jar::of(&send(&router, page(Method::POST, "/login")).await);
    app.clock.advance(Duration::from_secs(3600));
    app.store.inject(Some(StoreOp::Write), Fault::Slow, 1);
    let load = || jar.with(REFRESH, page(Method::GET, "/me"));
    let cut = send(&router, load()).await;
    assert_eq!(cut.status(), StatusCode::SERVICE_UNAVAILABLE);
    let retried = send(&router, load()).await;
    assert_eq!(retried.status(), StatusCode::SEE_OTHER);
    assert_eq!(Jar::of(&retried).0.len(), 2);
}

/// A page that never ends has consumed nothing: the written tokens were sent before it began.
#[tokio::test(start_paused = true)]
async fn h04_pages_that_a_timeout_cuts_off_sign_nobody_out() {
    let app = app();
    let slow = async |_: Claims<User>| std::future::pending::<()>().await;
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, PATIENCE);
    let router = Router::new()
        .route("/slow", get(slow))
        .route_layer(AuthLayer::new(app.pages.clone()))
        .merge(app.router())
        .layer(timeout);
    let mut jar = Jar::of(&send(&router, page(Method::POST, "/login")).await);
    for _ in 0..20 {
        app.clock.advance(Duration::from_secs(660));
        let moved = send(&router, jar.with(REFRESH, page(Method::GET, "/slow"))).await;
        assert_eq!(moved.status(), StatusCode::SEE_OTHER);
        jar = Jar::of(&moved);
        for name in [ACCESS, REFRESH] {
            let cut = send(&router, jar.with(name, page(Method::GET, "/slow"))).await;
            assert_eq!(cut.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(Jar::of(&cut).0.is_empty());
        }
    }
}

/// With the catching layer inside the guard, the access cookie of a silent refresh reaches the
/// browser even with the error page. Outside, it is lost, and the browser's cookies are still
/// valid.
#[tokio::test]
async fn e03_a_handler_that_panics_loses_no_session() {
    let app = app();
    let inside = Router::new()
        .route(
            "/panic",
            get(async |_: Claims<User>| -> () { panic!("a handler's own fault") }),
        )
        .route_layer(CatchPanicLayer::new())
        .route_layer(AuthLayer::new(app.pages.clone()));
    let outside = app.router().layer(CatchPanicLayer::new());
    for (router, cookies) in [(inside, 1), (outside.clone(), 0)] {
        let jar = Jar::of(&send(&outside, page(Method::POST, "/login")).await);
        app.clock.advance(Duration::from_secs(3600));
        let moved = send(&outside, jar.with(REFRESH, page(Method::GET, "/me"))).await;
        assert_eq!(moved.status(), StatusCode::SEE_OTHER);
        let request = jar.with(REFRESH, page(Method::GET, "/panic"));
        let failed = send(&router, request).await;
        assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(Jar::of(&failed).0.len(), cookies);
        let request = jar.with(REFRESH, page(Method::GET, "/me"));
        assert_eq!(send(&outside, request).await.status(), StatusCode::OK);
    }
}

/// The layer must be around the router: inside, the path has been routed already.
#[tokio::test]
async fn b12_a_path_is_guarded_however_it_is_normalized() {
    let app = app();
    let token = app.token().await;
    let normal = NormalizePathLayer::trim_trailing_slash().layer(app.router());
    for path in ["/me", "/me/", "/me//"] {
        let stranger = send(&normal, page(Method::GET, path)).await;
        assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED, "{path}");
        let user = common::bearer(page(Method::GET, path), &token);
        assert_eq!(send(&normal, user).await.status(), StatusCode::OK, "{path}");
    }
    let jar = Jar::of(&send(&normal, page(Method::POST, "/login/")).await);
    let request = jar.with(REFRESH, page(Method::POST, "/auth/refresh/"));
    assert_eq!(send(&normal, request).await.status(), StatusCode::OK);
}

/// The guard stores the target of the redirect before the path is rewritten.
#[tokio::test]
async fn h21_a_silent_refresh_leads_to_the_path_as_it_was_sent() {
    let app = app();
    let normal = NormalizePathLayer::trim_trailing_slash().layer(app.router());
    let kept = MapRequestLayer::new(|mut request: Request<Body>| {
        let sent = OriginalUri(request.uri().clone());
        request.extensions_mut().insert(sent);
        request
    })
    .layer(normal);
    let jar = Jar::of(&send(&kept, page(Method::POST, "/login")).await);
    app.clock.advance(Duration::from_secs(3600));
    for (target, location) in [("/me/", "./"), ("/me", "./me"), ("/me/?a", "?a")] {
        app.clock.advance(Duration::from_secs(3600));
        let moved = send(&kept, jar.with(REFRESH, page(Method::GET, target))).await;
        assert_eq!(moved.headers()["location"], location, "{target}");
    }
}

/// All layers, in the order of the guide.
#[tokio::test]
async fn the_whole_order_answers_preflights_strangers_and_users() {
    let log = Log::default();
    let _listening = log.listen();
    let app = app();
    let cors = CorsLayer::new()
        .allow_origin([HeaderValue::from_static(APP)])
        .allow_headers([AUTHORIZATION])
        .allow_credentials(true);
    let router = app
        .router()
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            PATIENCE,
        ))
        .layer(CompressionLayer::new())
        .layer(cors)
        .layer(CatchPanicLayer::new())
        .layer(TraceLayer::new_for_http())
        .layer(SetSensitiveRequestHeadersLayer::new([
            AUTHORIZATION,
            COOKIE,
        ]));
    let normal = NormalizePathLayer::trim_trailing_slash().layer(router);
    let jar = Jar::of(&send(&normal, page(Method::POST, "/login")).await);
    let preflight = page(Method::OPTIONS, "/me").header(ACCESS_CONTROL_REQUEST_METHOD, "GET");
    for (request, status) in [
        (preflight, 200),
        (page(Method::GET, "/me/"), 401),
        (jar.with(ACCESS, page(Method::GET, "/me/")), 200),
    ] {
        let request = request.header(ORIGIN, APP).header(ACCEPT_ENCODING, "gzip");
        let answer = send(&normal, request).await;
        assert_eq!(answer.status(), status);
        assert_eq!(
            answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN],
            APP,
            "{status}"
        );
        let vary = answer.headers().get_all(VARY).iter();
        let vary: Vec<_> = vary.map(|line| line.to_str().unwrap()).collect();
        assert!(vary.join(", ").contains("origin"), "{status}: {vary:?}");
    }
    assert!(log.text().contains("status=401"), "{}", log.text());
}
