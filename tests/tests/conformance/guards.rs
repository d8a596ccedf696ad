//! Pages and API of one authenticator, and guards within guards: one table of requests, sent to an
//! app on each framework, in this process.
//!
//! | path | outer guard | inner guard | handler |
//! |---|---|---|---|
//! | `/api/me` | API | | `Claims` |
//! | `/site/home` | pages, optional | | `MaybeClaims` |
//! | `/site/asks` | pages, optional | | `Claims` |
//! | `/site/mine` | pages, optional | API | `Claims` |
//! | `/site/admin` | pages, optional | API, role `admin` | `Claims` |

use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpResponse, test, web};
use async_trait::async_trait;
use auth_actix::AuthMiddleware;
use auth_cookie::CookiePolicy;
use auth_core::adapter::RequestView;
use auth_core::session::{
    ClaimsHook, ClientInfo, CurrentClaims, LoginRequest, RefreshKey, RefreshOutcome, Sessions,
    Tokens, UserQuery, UserState, UsersUnavailable,
};
use auth_core::store::StoreClock;
use auth_core::testing::{ManualClock, MemoryStore};
use auth_core::{AuthError, Authenticator, ErrorBody, Guard, Issuer, Key, Responder, Timestamp};
use auth_tower::AuthLayer;
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::any;
use bytes::Bytes;
use example_hyper::{Reply, guarded};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response};
use tower::ServiceExt;

use crate::forge;
use crate::shims::{AUDIENCE, ISSUER, NOW};

const ACCESS: &str = "__Host-Http-at";
const REFRESH: &str = "__Host-Http-rt";
const HTML: &str = "text/html";
const PROBLEM: &str = "application/problem+json";
const TEXT: &str = "text/plain; charset=utf-8";

/// `root` has the role `admin`.
#[derive(Debug)]
struct Roles;

#[async_trait]
impl ClaimsHook for Roles {
    async fn current(&self, user: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
        let roles = (user.subject() == "root").then_some("admin");
        Ok(UserState::Enabled(CurrentClaims::new().with_roles(roles)))
    }
}

/// Refusals of pages.
#[derive(Debug)]
struct Html;

impl Responder for Html {
    fn body(&self, error: &AuthError, _: &dyn RequestView) -> Option<ErrorBody> {
        Some(ErrorBody::new(HTML, format!("<p>{error}</p>")))
    }
}

/// One app, with a clock of its own.
struct Site {
    clock: Arc<ManualClock>,
    sessions: Sessions,
    auth: Arc<Authenticator<()>>,
    pages: Guard<()>,
    api: Guard<()>,
    admins: Guard<()>,
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
        let issuer = Issuer::for_issuer(ISSUER)
            .audience(AUDIENCE)
            .keys(Key::hs256("k1", forge::SECRET).unwrap())
            .unwrap()
            .with_clock(clock.clone());
        let store = MemoryStore::new().with_clock(StoreClock::driven(clock.clone()));
        let key = RefreshKey::ephemeral().unwrap();
        let sessions = Sessions::builder(issuer.clone(), Arc::new(store), key)
            .with_claims(Arc::new(Roles))
            .without_revocations()
            .build()
            .unwrap();
        let auth = issuer.authenticator::<()>();
        let auth = auth.with_cookies(CookiePolicy::server_rendered());
        let auth = auth.build().unwrap();
        let pages = auth.guard().with_silent_refresh(sessions.clone()).unwrap();
        let pages = pages.with_login_page("/login").unwrap();
        Self {
            clock,
            sessions,
            pages: pages.with_responder(Html).with_anonymous(),
            api: auth.guard(),
            admins: auth.guard().require_role("admin"),
            auth,
        }
    }

    async fn log_in(&self, user: &str) -> Tokens {
        let login = LoginRequest::for_subject(user);
        self.sessions.login(login).await.unwrap()
    }

    /// The `Cookie` and `Authorization` fields of a visitor.
    async fn fields_of(&self, visitor: Visitor) -> Vec<(&'static str, String)> {
        let cookies = |access: &str, refresh: &str| {
            let pair = format!("{ACCESS}={access}; {REFRESH}={refresh}");
            vec![("cookie", pair)]
        };
        let user = match visitor {
            Visitor::Stranger => return Vec::new(),
            Visitor::Bearer(user) => {
                let token = self.log_in(user).await.access().expose().to_owned();
                return vec![("authorization", format!("Bearer {token}"))];
            }
            Visitor::SignedIn(user)
            | Visitor::Expired(user)
            | Visitor::Renewable(user)
            | Visitor::SignedOut(user) => user,
        };
        let first = self.log_in(user).await;
        let (access, refresh) = (first.access().expose(), first.refresh().unwrap().expose());
        if visitor == Visitor::SignedIn(user) {
            return cookies(access, refresh);
        }
        self.clock.advance(Duration::from_secs(660));
        if visitor == Visitor::Expired(user) {
            return cookies(access, refresh);
        }
        if visitor == Visitor::SignedOut(user) {
            self.clock.advance(Duration::from_secs(15 * 86_400));
            return cookies(access, refresh);
        }
        match self.sessions.refresh(refresh, &ClientInfo::new()).await {
            RefreshOutcome::Granted(next) => cookies(access, next.refresh().unwrap().expose()),
            other => panic!("{other:?}"),
        }
    }
}

/// The state of a browser, or of a client with a bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visitor {
    Stranger,
    Bearer(&'static str),
    SignedIn(&'static str),
    /// The access cookie has expired, and the session has to rotate.
    Expired(&'static str),
    /// The access cookie has expired, and the session has just rotated in another tab.
    Renewable(&'static str),
    /// The session has ended, and the browser still has its cookies.
    SignedOut(&'static str),
}

use Visitor::{Bearer, Expired, Renewable, SignedIn, SignedOut, Stranger};

/// A request of the app's own pages.
type Asked = Request<Body>;

fn asked(method: &str, path: &str, fields: &[(&'static str, String)]) -> Asked {
    let (method, mode) = match method {
        "NAVIGATE" => ("GET", "navigate"),
        other => (other, "cors"),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "app.example")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", mode);
    let request = fields.iter().fold(request, |request, (name, value)| {
        request.header(*name, value)
    });
    request.body(Body::empty()).unwrap()
}

/// What a client gets.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    location: Option<String>,
    content_type: Option<String>,
    /// The names of the cookies, each with `-` if it is cleared.
    cookies: Vec<String>,
    body: String,
}

impl Seen {
    fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let field = |name| Some(headers.get(name)?.to_str().unwrap().to_owned());
        let cookies = headers.get_all("set-cookie").iter().map(|line| {
            let (name, rest) = line.to_str().unwrap().split_once('=').unwrap();
            let cleared = rest.starts_with(';');
            format!("{}{name}", if cleared { "-" } else { "" })
        });
        Self {
            status,
            location: field("location"),
            content_type: field("content-type"),
            cookies: cookies.collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

fn name(user: Option<auth_core::Authenticated<()>>) -> String {
    user.map_or_else(|| "nobody".to_owned(), |user| user.subject().to_owned())
}

async fn on_axum(site: &Site, request: Asked) -> Seen {
    async fn who(auth_tower::MaybeClaims(user): auth_tower::MaybeClaims<()>) -> String {
        name(user)
    }
    async fn mine(user: auth_tower::Claims<()>) -> String {
        name(Some(user.0))
    }
    let layer = |guard: &Guard<()>| AuthLayer::new(guard.clone());
    let app = Router::new()
        .route("/site/mine", any(mine).layer(layer(&site.api)))
        .route("/site/admin", any(mine).layer(layer(&site.admins)))
        .route("/site/home", any(who))
        .route("/site/asks", any(mine))
        .layer(layer(&site.pages))
        .route("/api/me", any(mine).layer(layer(&site.api)));
    let response = app.oneshot(request).await.unwrap().into_response();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Seen::new(head.status.as_u16(), &head.headers, &body)
}

async fn on_actix(site: &Site, request: Asked) -> Seen {
    fn text(body: String) -> HttpResponse {
        HttpResponse::Ok().content_type(TEXT).body(body)
    }
    async fn who(auth_actix::MaybeClaims(user): auth_actix::MaybeClaims<()>) -> HttpResponse {
        text(name(user))
    }
    async fn mine(user: auth_actix::Claims<()>) -> HttpResponse {
        text(name(Some(user.0)))
    }
    let wrap = |guard: &Guard<()>| AuthMiddleware::new(guard.clone());
    let pages = web::scope("/site")
        .wrap(wrap(&site.pages))
        .service(web::resource("/mine").wrap(wrap(&site.api)).to(mine))
        .service(web::resource("/admin").wrap(wrap(&site.admins)).to(mine))
        .route("/home", web::to(who))
        .route("/asks", web::to(mine));
    let api = web::resource("/api/me").wrap(wrap(&site.api)).to(mine);
    let app = test::init_service(App::new().service(pages).service(api)).await;
    let method = request.method().as_str().parse().unwrap();
    let mut asked = test::TestRequest::with_uri(&request.uri().to_string()).method(method);
    for (name, value) in request.headers() {
        asked = asked.append_header((name.as_str(), value.as_bytes()));
    }
    let response = test::call_service(&app, asked.to_request()).await;
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers() {
        let name: hyper::header::HeaderName = name.as_str().parse().unwrap();
        headers.append(name, value.as_bytes().try_into().unwrap());
    }
    let status = response.status().as_u16();
    let body = test::read_body(response).await;
    Seen::new(status, &headers, &body)
}

async fn on_hyper(site: &Site, request: Asked) -> Seen {
    fn text(body: String) -> Reply {
        let response = Response::builder().header("content-type", TEXT);
        response.body(Full::new(Bytes::from(body))).unwrap()
    }
    async fn who(request: Asked) -> Reply {
        let user = example_hyper::maybe_claims::<(), _>(&request);
        user.map_or_else(|refused| *refused, |user| text(name(user)))
    }
    async fn mine(request: Asked) -> Reply {
        let user = example_hyper::claims::<(), _>(&request);
        user.map_or_else(|refused| *refused, |user| text(name(Some(user))))
    }
    let pages = &site.pages;
    let reply = match request.uri().path() {
        "/api/me" => guarded(&site.api, request, mine).await,
        "/site/home" => guarded(pages, request, who).await,
        "/site/asks" => guarded(pages, request, mine).await,
        "/site/mine" => {
            let inner = |request| guarded(&site.api, request, mine);
            guarded(pages, request, inner).await
        }
        _ => {
            let inner = |request| guarded(&site.admins, request, mine);
            guarded(pages, request, inner).await
        }
    };
    let (head, body) = reply.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Seen::new(head.status.as_u16(), &head.headers, &body)
}

/// What a row expects: the status, the type of a body, the user or nothing, and the cookies.
struct Expected {
    status: u16,
    content_type: Option<&'static str>,
    user: Option<&'static str>,
    location: Option<&'static str>,
    cookies: &'static [&'static str],
}

impl Expected {
    const fn new(status: u16, content_type: Option<&'static str>) -> Self {
        Self {
            status,
            content_type,
            user: None,
            location: None,
            cookies: &[],
        }
    }

    const fn to(mut self, location: &'static str) -> Self {
        self.location = Some(location);
        self
    }

    const fn setting(mut self, cookies: &'static [&'static str]) -> Self {
        self.cookies = cookies;
        self
    }

    #[track_caller]
    fn check(&self, seen: &Seen, row: &str) {
        assert_eq!(seen.status, self.status, "{row}: {seen:?}");
        assert_eq!(seen.content_type.as_deref(), self.content_type, "{row}");
        assert_eq!(seen.location.as_deref(), self.location, "{row}");
        assert_eq!(seen.cookies, self.cookies, "{row}");
        if let Some(user) = self.user {
            assert_eq!(seen.body, user, "{row}");
        }
    }
}

const fn page(user: &'static str) -> Expected {
    let mut expected = Expected::new(200, Some(TEXT));
    expected.user = Some(user);
    expected
}

const LOGIN: Expected = Expected::new(303, None).to("/login");
const CLEARED: &[&str] = &["-__Host-Http-at", "-__Host-Http-rt"];

type Row = (Visitor, &'static str, &'static str, Expected);

fn rows() -> Vec<Row> {
    let refused = Expected::new;
    vec![
        // One authenticator: pages redirect and refresh, the API does neither.
        (Stranger, "NAVIGATE", "/site/home", page("nobody")),
        (Stranger, "NAVIGATE", "/api/me", refused(401, Some(PROBLEM))),
        (SignedIn("ada"), "NAVIGATE", "/site/home", page("ada")),
        (SignedIn("ada"), "GET", "/api/me", page("ada")),
        (Bearer("ada"), "GET", "/api/me", page("ada")),
        (Bearer("ada"), "GET", "/site/mine", page("ada")),
        (
            Renewable("ada"),
            "NAVIGATE",
            "/site/home",
            page("ada").setting(&[ACCESS]),
        ),
        (
            Expired("ada"),
            "NAVIGATE",
            "/site/home",
            refused(303, None).to("./home").setting(&[ACCESS, REFRESH]),
        ),
        (
            Renewable("ada"),
            "GET",
            "/api/me",
            refused(401, Some(PROBLEM)),
        ),
        (
            Expired("ada"),
            "GET",
            "/api/me",
            refused(401, Some(PROBLEM)),
        ),
        (
            SignedOut("ada"),
            "NAVIGATE",
            "/site/home",
            page("nobody").setting(CLEARED),
        ),
        // What an extractor answers is the guard's.
        (Stranger, "NAVIGATE", "/site/asks", LOGIN),
        (Stranger, "GET", "/site/asks", refused(401, Some(HTML))),
        (SignedIn("ada"), "GET", "/site/asks", page("ada")),
        // A guard within takes over what the pages' guard has proved.
        (SignedIn("ada"), "GET", "/site/mine", page("ada")),
        (
            Renewable("ada"),
            "NAVIGATE",
            "/site/mine",
            page("ada").setting(&[ACCESS]),
        ),
        (
            Renewable("ada"),
            "POST",
            "/site/mine",
            page("ada").setting(&[ACCESS]),
        ),
        (
            Expired("ada"),
            "POST",
            "/site/mine",
            refused(307, None).to("./mine").setting(&[ACCESS, REFRESH]),
        ),
        // It refuses by itself, with the face of the pages.
        (Stranger, "NAVIGATE", "/site/mine", LOGIN),
        (Stranger, "GET", "/site/mine", refused(401, Some(HTML))),
        (
            SignedOut("ada"),
            "GET",
            "/site/mine",
            refused(401, Some(HTML)).setting(CLEARED),
        ),
        (Stranger, "NAVIGATE", "/site/admin", LOGIN),
        (SignedIn("root"), "NAVIGATE", "/site/admin", page("root")),
        (
            SignedIn("ada"),
            "NAVIGATE",
            "/site/admin",
            refused(403, Some(HTML)),
        ),
        (
            Renewable("root"),
            "NAVIGATE",
            "/site/admin",
            page("root").setting(&[ACCESS]),
        ),
        // A renewed session stays renewed although the route refuses.
        (
            Renewable("ada"),
            "NAVIGATE",
            "/site/admin",
            refused(403, Some(HTML)).setting(&[ACCESS]),
        ),
    ]
}

#[actix_web::test]
async fn b17_guards_within_guards_answer_alike_on_every_framework() {
    for (visitor, method, path, expected) in rows() {
        let row = format!("{visitor:?} {method} {path}");
        for framework in ["axum", "actix", "hyper"] {
            let site = Site::new();
            let request = asked(method, path, &site.fields_of(visitor).await);
            let seen = match framework {
                "axum" => on_axum(&site, request).await,
                "actix" => on_actix(&site, request).await,
                _ => on_hyper(&site, request).await,
            };
            expected.check(&seen, &format!("{row} on {framework}"));
        }
    }
}

#[actix_web::test]
async fn b17_pages_and_api_share_one_cache() {
    let site = Site::new();
    let fields = site.fields_of(SignedIn("root")).await;
    for path in ["/site/home", "/site/mine", "/site/admin", "/api/me"] {
        let seen = on_axum(&site, asked("GET", path, &fields)).await;
        assert_eq!(seen.status, 200, "{path}");
    }
    assert_eq!(site.auth.cache_status().unwrap().tokens, 1);
}
