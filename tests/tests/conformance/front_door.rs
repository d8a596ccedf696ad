//! An [`Auth`] on each framework: one table of logins, logouts and guards, sent to the same app on
//! axum and on actix-web in this process. Status, headers and body must be equal.
//!
//! | path | guard | handler |
//! |---|---|---|
//! | `/login` | | `Login`, with a body of a form or JSON |
//! | `/down` | | `AuthRejection::unavailable` |
//! | `/me` | API | `Claims` |
//! | `/site/home` | pages, optional | `MaybeClaims` |
//! | `/site/mine` | pages, optional; API | `Claims` |
//! | `/site/admin` | pages, optional; role `admin` | `Claims` |
//! | those of `auth_routes` and `health_route` | | |

use std::time::Duration;

use actix_web::{App, Either, HttpResponse, test, web};
use auth_actix::AuthMiddleware;
use auth_cookie::CookiePolicy;
use auth_core::{Access, Auth, Authenticated};
use auth_tower::{AuthLayer, FormOrJson};
use axum::Router;
use axum::body::Body;
use axum::routing::{any, post};
use http_body_util::BodyExt;
use hyper::Request;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Serialize, Deserialize)]
struct User {
    tenant: String,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    fn are_right(&self) -> bool {
        self.password == "wonderland"
    }
}

/// `alice` has the role `admin`, `bob` has none, and all others are unknown.
fn access(name: &str) -> Option<Access<User>> {
    let roles = match name {
        "alice" => Some("admin"),
        "bob" => None,
        _ => return None,
    };
    let tenant = "acme".to_owned();
    Some(Access::new(User { tenant }).with_roles(roles))
}

async fn auth() -> Auth<User> {
    Auth::testing()
        .with_cookies(CookiePolicy::server_rendered())
        .with_login_page("/login")
        .with_users_fn(|user| std::future::ready(Ok(access(&user.subject))))
        .start()
        .await
        .unwrap()
}

fn shown(user: Option<&Authenticated<User>>) -> String {
    user.map_or_else(
        || "anonymous".to_owned(),
        |user| format!("{} of {}", user.subject(), user.tenant),
    )
}

mod on_axum {
    use auth_tower::{AuthRejection, AuthResponse, Claims, Login, MaybeClaims};

    use super::*;

    async fn log_in(
        login: Login<User>,
        FormOrJson(form): FormOrJson<Credentials>,
    ) -> Result<AuthResponse, AuthRejection> {
        let attempt = login.begin(&form.username).await?;
        if !form.are_right() {
            return Err(attempt.refuse().then_show("/login?wrong"));
        }
        let answer = attempt.finish(|session| session.with_amr(["pwd"])).await?;
        Ok(answer.then_show("/"))
    }

    async fn down() -> AuthRejection {
        AuthRejection::unavailable("the database is away").then_show("/")
    }

    async fn mine(user: Claims<User>) -> String {
        shown(Some(&user.0))
    }

    async fn home(MaybeClaims(user): MaybeClaims<User>) -> String {
        shown(user.as_ref())
    }

    pub(super) fn app(auth: &Auth<User>) -> Router {
        let admins = AuthLayer::new(auth.require_role("admin"));
        Router::new()
            .route("/site/home", any(home))
            .route("/site/mine", any(mine).layer(AuthLayer::new(auth)))
            .route("/site/admin", any(mine).layer(admins))
            .layer(AuthLayer::new(auth.pages().optional()))
            .route("/me", any(mine).layer(AuthLayer::new(auth)))
            .route("/login", post(log_in))
            .route("/down", any(down))
            .merge(auth_tower::auth_routes(auth))
            .merge(auth_tower::health_route(auth, "/ready").unwrap())
            .with_state(auth.clone())
    }
}

mod on_actix {
    use auth_actix::{AuthRejection, AuthResponse, Claims, Login, MaybeClaims};

    use super::*;

    async fn log_in(
        login: Login<User>,
        form: Either<web::Form<Credentials>, web::Json<Credentials>>,
    ) -> Result<AuthResponse, AuthRejection> {
        let form = form.into_inner();
        let attempt = login.begin(&form.username).await?;
        if !form.are_right() {
            return Err(attempt.refuse().then_show("/login?wrong"));
        }
        let answer = attempt.finish(|session| session.with_amr(["pwd"])).await?;
        Ok(answer.then_show("/"))
    }

    async fn down() -> Result<HttpResponse, AuthRejection> {
        Err(AuthRejection::unavailable("the database is away").then_show("/"))
    }

    fn text(body: String) -> HttpResponse {
        HttpResponse::Ok().content_type(TEXT).body(body)
    }

    async fn mine(user: Claims<User>) -> HttpResponse {
        text(shown(Some(&user.0)))
    }

    async fn home(MaybeClaims(user): MaybeClaims<User>) -> HttpResponse {
        text(shown(user.as_ref()))
    }

    pub(super) fn app(auth: &Auth<User>) -> impl FnOnce(&mut web::ServiceConfig) {
        let api = AuthMiddleware::new(auth);
        let admins = AuthMiddleware::new(auth.require_role("admin"));
        let site = web::scope("/site")
            .wrap(AuthMiddleware::new(auth.pages().optional()))
            .route("/home", web::to(home))
            .service(web::resource("/mine").wrap(api.clone()).to(mine))
            .service(web::resource("/admin").wrap(admins).to(mine));
        let routes = auth_actix::auth_routes(auth);
        let health = auth_actix::health_route(auth, "/ready").unwrap();
        move |config| {
            config
                .service(site)
                .service(web::resource("/me").wrap(api).to(mine))
                .route("/login", web::post().to(log_in))
                .route("/down", web::to(down))
                .configure(routes)
                .configure(health);
        }
    }
}

/// The credential of a request, from earlier responses of the same app.
#[derive(Clone, Copy, Debug)]
enum Credential {
    None,
    Cookies,
    Bearer,
}

/// A request for both apps.
#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    path: &'static str,
    fields: Vec<(&'static str, &'static str)>,
    body: &'static str,
    credential: Credential,
}

impl Asked {
    fn new(method: &'static str, path: &'static str) -> Self {
        Self {
            method,
            path,
            fields: vec![("host", "app.example")],
            body: "",
            credential: Credential::None,
        }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.push((name, value));
        self
    }

    fn body(mut self, media: &'static str, body: &'static str) -> Self {
        self.body = body;
        self.with("content-type", media)
    }

    fn credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// Marks it as a navigation in a tab of this site.
    fn navigating(self) -> Self {
        self.with("sec-fetch-site", "same-origin")
            .with("sec-fetch-mode", "navigate")
            .with("sec-fetch-dest", "document")
    }

    /// Marks it as a request of a script of this site.
    fn scripted(self) -> Self {
        self.with("sec-fetch-site", "same-origin")
            .with("sec-fetch-mode", "cors")
            .with("origin", "https://app.example")
    }
}

/// A response of an app.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Reply {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).next()
    }

    fn fields<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        let fields = self.headers.iter().filter(move |(of, _)| of == name);
        fields.map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The names of the cookies that it sets, each with `-` if it is cleared.
    fn cookies(&self) -> Vec<String> {
        let lines = self.fields("set-cookie").map(|line| {
            let (name, rest) = line.split_once('=').unwrap();
            format!("{}{name}", if rest.starts_with(';') { "-" } else { "" })
        });
        lines.collect()
    }

    #[track_caller]
    fn redirects(&self, location: &str) {
        assert_eq!((self.status, self.field("location")), (303, Some(location)));
    }

    /// The response without what is random. A token, an id and a key become their lengths.
    fn comparable(&self) -> String {
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| name != "content-length");
        headers.sort();
        let text = format!("{} {headers:?} {}", self.status, self.body);
        let is_random = |part: &str| part.len() >= 22 && !part.contains(' ');
        text.split_inclusive(|letter: char| {
            !letter.is_ascii_alphanumeric() && !"-_.".contains(letter)
        })
        .map(|part| match part.char_indices().next_back() {
            Some((end, _)) if is_random(&part[..end]) => format!("<{end}>{}", &part[end..]),
            _ => part.to_owned(),
        })
        .collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framework {
    Axum,
    Actix,
}

/// An app with a client, which keeps its cookies and its access token.
struct Site {
    framework: Framework,
    auth: Auth<User>,
    cookies: String,
    access: String,
    refresh: String,
}

impl Site {
    async fn new(framework: Framework) -> Self {
        Self {
            framework,
            auth: auth().await,
            cookies: String::new(),
            access: String::new(),
            refresh: String::new(),
        }
    }

    async fn ask(&mut self, asked: &Asked) -> Reply {
        let mut request = Request::builder().method(asked.method).uri(asked.path);
        for (name, value) in &asked.fields {
            request = request.header(*name, *value);
        }
        request = match asked.credential {
            Credential::None => request,
            Credential::Cookies => request.header("cookie", &self.cookies),
            Credential::Bearer => {
                request.header("authorization", format!("Bearer {}", self.access))
            }
        };
        let body = asked.body.replace("REFRESH", &self.refresh);
        let request = request.body(Body::from(body)).unwrap();
        let reply = match self.framework {
            Framework::Axum => ask_axum(&self.auth, request).await,
            Framework::Actix => ask_actix(&self.auth, request).await,
        };
        self.keep(&reply);
        reply
    }

    fn keep(&mut self, reply: &Reply) {
        let pairs = reply.fields("set-cookie");
        let pairs: Vec<_> = pairs.filter_map(|line| line.split(';').next()).collect();
        if reply.cookies().iter().any(|name| !name.starts_with('-')) {
            self.cookies = pairs.join("; ");
        }
        let token = |name: &str| {
            let body: Value = serde_json::from_str(&reply.body).ok()?;
            Some(body.get(name)?.as_str()?.to_owned())
        };
        self.access = token("access_token").unwrap_or_else(|| self.access.clone());
        self.refresh = token("refresh_token").unwrap_or_else(|| self.refresh.clone());
    }
}

async fn ask_axum(auth: &Auth<User>, request: Request<Body>) -> Reply {
    let response = on_axum::app(auth).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let headers = head.headers.iter();
    Reply {
        status: head.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: text_of(&body.collect().await.unwrap().to_bytes()),
    }
}

async fn ask_actix(auth: &Auth<User>, request: Request<Body>) -> Reply {
    let app = test::init_service(App::new().configure(on_actix::app(auth))).await;
    let (head, body) = request.into_parts();
    let method = head.method.as_str().parse().unwrap();
    let mut asked = test::TestRequest::with_uri(&head.uri.to_string()).method(method);
    for (name, value) in &head.headers {
        asked = asked.append_header((name.as_str(), value.as_bytes()));
    }
    let asked = asked.set_payload(body.collect().await.unwrap().to_bytes());
    let response = test::call_service(&app, asked.to_request()).await;
    let headers = response.headers().iter();
    Reply {
        status: response.status().as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: text_of(&test::read_body(response).await),
    }
}

fn text_of(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

/// The same app on both frameworks.
struct Apps([Site; 2]);

impl Apps {
    async fn new() -> Self {
        Self([
            Site::new(Framework::Axum).await,
            Site::new(Framework::Actix).await,
        ])
    }

    /// Asks both apps. The responses must be equal.
    async fn ask(&mut self, asked: Asked) -> Reply {
        let [axum, actix] = &mut self.0;
        let reply = axum.ask(&asked).await;
        let other = actix.ask(&asked).await;
        assert_eq!(reply.comparable(), other.comparable(), "{asked:?}");
        reply
    }

    async fn log_in(&mut self) {
        let reply = self.ask(by_form(RIGHT)).await;
        reply.redirects("/");
        assert_eq!(reply.cookies(), [ACCESS, REFRESH]);
    }

    async fn get(&mut self, path: &'static str, credential: Credential) -> (u16, String) {
        let reply = self
            .ask(Asked::new("GET", path).credential(credential))
            .await;
        (reply.status, reply.body)
    }
}

const ACCESS: &str = "__Host-Http-at";
const REFRESH: &str = "__Host-Http-rt";
const CLEARED: [&str; 2] = ["-__Host-Http-at", "-__Host-Http-rt"];
const RIGHT: &str = "username=alice&password=wonderland";
const RIGHT_JSON: &str = r#"{"username":"alice","password":"wonderland"}"#;
const WRONG: [&str; 2] = [
    "username=alice&password=wrong",
    "username=nobody&password=wonderland",
];
const WRONG_JSON: [&str; 2] = [
    r#"{"username":"alice","password":"wrong"}"#,
    r#"{"username":"nobody","password":"wonderland"}"#,
];

fn by_form(body: &'static str) -> Asked {
    let login = Asked::new("POST", "/login").navigating();
    login.with("origin", "https://app.example").body(FORM, body)
}

fn by_script(body: &'static str) -> Asked {
    Asked::new("POST", "/login").scripted().body(JSON, body)
}

fn by_phone(body: &'static str) -> Asked {
    let login = Asked::new("POST", "/login").with("user-agent", "okhttp/4.12.0");
    login.body(JSON, body)
}

#[actix_web::test]
async fn c21_a_login_hands_out_cookies_to_browsers_and_a_body_to_others() {
    let mut apps = Apps::new().await;
    let form = apps.ask(by_form(RIGHT)).await;
    form.redirects("/");
    assert_eq!(form.cookies(), [ACCESS, REFRESH]);
    assert_eq!(
        apps.get("/me", Credential::Cookies).await,
        (200, "alice of acme".to_owned())
    );

    let script = apps.ask(by_script(RIGHT_JSON)).await;
    assert_eq!((script.status, script.field("location")), (200, None));
    assert_eq!(script.cookies(), [ACCESS, REFRESH]);
    assert_eq!(script.json().get("access_token"), None);

    let phone = apps.ask(by_phone(RIGHT_JSON)).await;
    assert_eq!((phone.status, phone.field("location")), (200, None));
    assert!(phone.cookies().is_empty());
    assert_eq!(phone.json()["token_type"], "Bearer");
    assert_eq!(
        apps.get("/me", Credential::Bearer).await,
        (200, "alice of acme".to_owned())
    );
}

#[actix_web::test]
async fn c15_a_login_from_another_site_is_refused_for_a_right_password_too() {
    let mut apps = Apps::new().await;
    for login in [
        Asked::new("POST", "/login")
            .with("sec-fetch-site", "cross-site")
            .body(FORM, RIGHT),
        Asked::new("POST", "/login")
            .with("origin", "https://evil.example")
            .body(FORM, RIGHT),
        Asked::new("POST", "/login")
            .with("origin", "https://evil.example")
            .body(JSON, RIGHT_JSON),
        // A form without a sign of its site.
        Asked::new("POST", "/login").body(FORM, RIGHT),
    ] {
        let reply = apps.ask(login).await;
        assert_eq!((reply.status, reply.field("location")), (403, None));
        assert!(reply.cookies().is_empty());
    }
}

#[actix_web::test]
async fn c22_an_unknown_user_and_a_wrong_password_get_the_same_response() {
    let mut apps = Apps::new().await;
    for (login, bodies) in [
        (by_form as fn(&'static str) -> Asked, WRONG),
        (by_script, WRONG_JSON),
        (by_phone, WRONG_JSON),
    ] {
        let [wrong, unknown] = bodies;
        let wrong = apps.ask(login(wrong)).await;
        let unknown = apps.ask(login(unknown)).await;
        assert_eq!(wrong.comparable(), unknown.comparable());
        assert!(wrong.cookies().is_empty());
    }
    apps.ask(by_form(WRONG[0])).await.redirects("/login?wrong");
    let script = apps.ask(by_script(WRONG_JSON[0])).await;
    assert_eq!((script.status, script.field("location")), (403, None));
}

#[actix_web::test]
async fn c23_a_logout_by_form_shows_the_login_page_and_others_get_no_content() {
    let mut apps = Apps::new().await;
    apps.log_in().await;
    let logout = Asked::new("POST", "/auth/logout").credential(Credential::Cookies);
    let form = logout.clone().navigating().body(FORM, "");
    let form = apps.ask(form).await;
    form.redirects("/login");
    assert_eq!(form.cookies(), CLEARED);
    assert_eq!(apps.get("/me", Credential::Cookies).await.0, 401);

    apps.log_in().await;
    let script = apps.ask(logout.scripted()).await;
    assert_eq!((script.status, script.field("location")), (204, None));
    assert_eq!(script.cookies(), CLEARED);
    assert_eq!(apps.get("/me", Credential::Cookies).await.0, 401);
}

#[actix_web::test]
async fn the_routes_of_an_auth_are_mounted() {
    let mut apps = Apps::new().await;
    apps.ask(by_phone(RIGHT_JSON)).await;
    let jwks = apps.get("/.well-known/jwks.json", Credential::None).await;
    assert_eq!(jwks.0, 200);
    assert_eq!(apps.get("/ready", Credential::None).await.0, 200);
    assert_eq!(apps.get("/auth/sessions", Credential::Bearer).await.0, 200);
    assert_eq!(apps.get("/auth/sessions", Credential::None).await.0, 401);
    assert_eq!(apps.get("/auth/refresh", Credential::None).await.0, 405);
    let refresh = Asked::new("POST", "/auth/refresh").body(JSON, r#"{"refresh_token":"REFRESH"}"#);
    assert_eq!(apps.ask(refresh.clone()).await.status, 200);
    let others = Asked::new("POST", "/auth/logout-others").credential(Credential::Bearer);
    assert_eq!(apps.ask(others).await.status, 200);
    let unknown = Asked::new("DELETE", "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA");
    let unknown = unknown.credential(Credential::Bearer);
    assert_eq!(apps.ask(unknown).await.status, 404);
    let all = Asked::new("POST", "/auth/logout-all").credential(Credential::Bearer);
    assert_eq!(apps.ask(all).await.status, 204);
    assert_eq!(apps.ask(refresh).await.status, 400);
}

#[actix_web::test]
async fn guards_within_the_guard_of_pages_take_over_its_identity() {
    let mut apps = Apps::new().await;
    let anonymous = (200, "anonymous".to_owned());
    assert_eq!(apps.get("/site/home", Credential::None).await, anonymous);
    assert_eq!(apps.get("/site/mine", Credential::None).await.0, 401);

    let alice = (200, "alice of acme".to_owned());
    apps.log_in().await;
    for path in ["/site/home", "/site/mine", "/site/admin", "/me"] {
        assert_eq!(apps.get(path, Credential::Cookies).await, alice, "{path}");
    }
    apps.ask(by_form("username=bob&password=wonderland"))
        .await
        .redirects("/");
    assert_eq!(apps.get("/site/mine", Credential::Cookies).await.0, 200);
    assert_eq!(apps.get("/site/admin", Credential::Cookies).await.0, 403);

    // The access cookie has expired: the page's guard refreshes, also for the guard within.
    for site in &apps.0 {
        site.auth.advance(Duration::from_secs(700));
    }
    let page = Asked::new("GET", "/site/mine").navigating();
    let renewed = apps.ask(page.credential(Credential::Cookies)).await;
    renewed.redirects("./mine");
    assert_eq!(renewed.cookies(), [ACCESS, REFRESH]);
    let bob = (200, "bob of acme".to_owned());
    assert_eq!(apps.get("/site/mine", Credential::Cookies).await, bob);
}

#[actix_web::test]
async fn trouble_of_the_app_is_503_and_leads_nowhere() {
    let mut apps = Apps::new().await;
    let down = apps.ask(Asked::new("POST", "/down").navigating()).await;
    assert_eq!((down.status, down.field("location")), (503, None));
    assert!(down.field("retry-after").is_some());
    assert!(!down.body.contains("database"), "{}", down.body);
}
