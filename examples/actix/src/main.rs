//! The example app on actix-web: a page with a login form, routes that require a token, and one
//! that requires the scope `admin`. `examples/axum` is the same app on axum.
//!
//! Browsers get their tokens in cookies that script cannot read. Other clients request them in the
//! response's body, and send the access token in the `Authorization` header.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, USER_AGENT};
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError};
use auth_actix::{AuthMiddleware, Claims, MaybeClaims, RequestHead, jwks_route, session_routes};
use auth_cookie::CookiePolicy;
use auth_core::adapter::CookieTransport;
use auth_core::health::Health;
use auth_core::revocation::{Follower, Revocations, StalePolicy};
use auth_core::rotation::KeyRotation;
use auth_core::session::{EndedBy, Sessions};
use auth_core::{
    Authenticator, Clock, Issuer, SessionRoute, SessionRoutes, SystemClock, Transport,
};
use example_shared::page::{self, View};
use example_shared::{
    AUDIENCE, BODY_LIMIT, Config, Credentials, Ending, ISSUER, Metrics, Profile, Reply, Thief,
    Users, listen, open_store, upkeep, welcome,
};

/// State shared by the handlers.
struct Service {
    users: Arc<Users>,
    auth: Arc<Authenticator<Profile>>,
    cookies: CookiePolicy,
    sessions: Sessions,
    routes: SessionRoutes<Profile>,
    thief: Thief,
    health: Health,
    metrics: Metrics,
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let config = Config::from_env(3001)?;
    let metrics = Metrics::install(&config)?;
    let (users, demo) = Users::seeded(&config)?;

    // The rotation task generates, publishes, uses and retires keys.
    let store = open_store(&config).await?;
    let rotation = KeyRotation::builder(store.keys, config.key_schedule())
        .with_refresh_keys(config.refresh_key_schedule())
        .start()
        .await?;

    // Accepted: access tokens of this issuer that have not been revoked.
    let cookies = CookiePolicy::server_rendered();
    let issuer = Issuer::for_issuer(ISSUER)
        .audience(AUDIENCE)
        .keys(rotation.keys())?
        .with_lifetime(config.access)?;
    let stale = StalePolicy::FailClosed {
        after: Duration::from_secs(10),
    };
    let revocations = Revocations::new(stale, Arc::new(SystemClock));
    let auth = issuer
        .authenticator::<Profile>()
        .with_cookies(cookies.clone())
        .with_revocations(revocations.clone())
        .with_leeway(Duration::ZERO)
        .with_cache_size(config.cache_tokens)
        .build()?;

    // Refresh tokens keep users signed in; a session is one row.
    let refresh_keys = rotation.refresh_keys().ok_or("no refresh keys")?;
    let sessions = Sessions::builder(issuer.clone(), store.sessions, refresh_keys)
        .with_policy(config.policy())
        .with_claims(users.clone())
        .with_revocations(revocations.clone())
        .build()?;
    let mut follower = Follower::new(store.feed, revocations.clone());
    follower.load().await?;
    let jwks = rotation.jwks();
    let health = Health::new()
        .with_revocations(revocations.clone())
        .with_rotation(rotation.health())
        .with_sessions(sessions.clone());
    let rotation = rotation.with_sessions(sessions.clone())?;
    let upkeep = tokio::spawn(upkeep(follower, rotation, sessions.clone()));

    // Pages and forms refresh silently; the API returns 401, and the page's script refreshes.
    let pages = auth.guard().with_login_page("/")?;
    let admins = pages.clone().require_scope("admin")?;
    let pages = pages.with_silent_refresh(sessions.clone())?;
    let routes = SessionRoutes::new(sessions.clone(), auth.clone())?;

    let visitors = AuthMiddleware::new(pages.clone().with_anonymous());
    let forms = AuthMiddleware::new(pages);
    let signed_in = AuthMiddleware::new(&auth);
    let admins = AuthMiddleware::new(admins);
    let thief = Thief::new(sessions.clone());
    let service = Data::new(Service {
        users,
        auth,
        cookies,
        sessions,
        routes: routes.clone(),
        thief,
        health,
        metrics,
    });

    let (listener, url) = listen(&config)?;
    let server = HttpServer::new(move || {
        let guarded = |path: &str| web::resource(path.to_owned()).wrap(signed_in.clone());
        let mut app = App::new()
            .app_data(service.clone())
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .configure(session_routes(routes.clone()))
            .configure(jwks_route(jwks.clone()))
            .service(web::resource("/").wrap(visitors.clone()).get(index))
            .service(guarded("/me").get(me))
            .service(web::resource("/devices").wrap(forms.clone()).post(devices))
            .service(guarded("/demo/steal").post(steal))
            .service(guarded("/demo/replay").post(replay))
            .service(web::resource("/admin").wrap(admins.clone()).get(admin))
            .service(
                web::resource("/admin/end-all/{username}")
                    .wrap(admins.clone())
                    .post(end_all),
            )
            .service(web::resource("/login").post(log_in))
            .service(web::resource("/logout").post(log_out))
            .service(web::resource("/health").get(alive))
            .service(web::resource("/ready").get(ready))
            .service(web::resource("/metrics").get(metered));
        for path in page::files() {
            app = app.route(path, web::get().to(file));
        }
        app
    })
    .shutdown_timeout(5)
    .listen(listener)?;
    println!("{}", welcome(&url, &demo));
    // It ends gracefully on Ctrl-C and SIGTERM.
    server.run().await?;
    upkeep.abort();
    Ok(())
}

/// The page, for signed-in users and anonymous visitors.
async fn index(service: Data<Service>, MaybeClaims(user): MaybeClaims<Profile>) -> Answer {
    let mut devices = Vec::new();
    if let Some(user) = &user {
        let own = user.session();
        devices = service
            .sessions
            .list(user.subject(), own)
            .await
            .unwrap_or_default();
    }
    let now = SystemClock.now();
    let user = user.as_ref();
    page::index(View {
        framework: FRAMEWORK,
        user,
        devices: &devices,
        now,
        error: None,
    })
    .into()
}

/// The signed-in user. Requires a valid token.
async fn me(Claims(user): Claims<Profile>) -> Answer {
    Reply::identity(&user).into()
}

/// A secret for admins. Requires a token with the scope `admin`.
async fn admin(Claims(user): Claims<Profile>) -> Answer {
    Reply::json(&serde_json::json!({ "secret": format!("for {} only", user.name) })).into()
}

/// Ends all sessions of an account on every node, for example after a theft.
async fn end_all(service: Data<Service>, username: web::Path<String>) -> Result<Answer, Answer> {
    service.sessions.end_all(&username, EndedBy::App).await?;
    Ok(Reply::new(204, "text/plain", "").into())
}

async fn log_in(
    service: Data<Service>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Answer, Answer> {
    let head = RequestHead::from(&request);
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let credentials = Credentials::read(header(CONTENT_TYPE), &body)?;
    if credentials.transport() == Transport::Cookie {
        // Another site must not be able to log a visitor in to the attacker's account.
        service.auth.check_csrf(&head)?;
    }
    // This login fails too if all sessions of the user are ended during the password check.
    let start = service.sessions.begin_login(&credentials.username).await?;
    if !service
        .users
        .check(&credentials.username, &credentials.password)
        .await
    {
        return Err(wrong_password(&credentials));
    }
    let login = credentials.login(start, header(USER_AGENT));
    let reply = Reply::from(
        service
            .routes
            .login(&head, login, credentials.transport())
            .await,
    );
    Ok(if credentials.is_form {
        reply.then_show("/")
    } else {
        reply
    }
    .into())
}

/// The response to a wrong password and to an unknown user; it does not reveal which accounts exist.
fn wrong_password(credentials: &Credentials) -> Answer {
    let error = "Unknown user name or wrong password.";
    if credentials.is_form {
        page::index(View {
            framework: FRAMEWORK,
            error: Some(error),
            ..View::default()
        })
        .into()
    } else {
        Reply::problem(403, error).into()
    }
}

/// The logout form; script calls `/auth/logout`. The route has no guard, so that a user with an
/// expired token can sign out too.
async fn log_out(service: Data<Service>, request: HttpRequest) -> Answer {
    let head = RequestHead::from(&request);
    let answer = service
        .routes
        .respond(SessionRoute::Logout, &head, b"")
        .await;
    Reply::from(answer).then_show("/").into()
}

/// Handles the forms of the device list.
async fn devices(
    service: Data<Service>,
    Claims(user): Claims<Profile>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Answer, Answer> {
    let route = match Ending::read(&body)? {
        Ending::All => SessionRoute::LogoutAll,
        Ending::Others => SessionRoute::LogoutOthers,
        Ending::One(session) => {
            service
                .sessions
                .end(session, EndedBy::User(user.subject()))
                .await?;
            return Ok(Reply::see_other("/").into());
        }
    };
    let head = RequestHead::from(&request);
    Ok(Reply::from(service.routes.respond(route, &head, b"").await)
        .then_show("/")
        .into())
}

/// Demonstrates a theft: copies the refresh token of the request. Not for real apps.
async fn steal(
    service: Data<Service>,
    Claims(user): Claims<Profile>,
    request: HttpRequest,
) -> Answer {
    let head = RequestHead::from(&request);
    let token = service.cookies.find_refresh(&head).ok().flatten();
    match (user.session(), token) {
        (Some(session), Some(token)) => service.thief.steal(session, token.expose()).into(),
        _ => Reply::problem(409, "the request has no refresh cookie to steal").into(),
    }
}

/// Demonstrates the use of the stolen token by another client.
async fn replay(service: Data<Service>, Claims(user): Claims<Profile>) -> Answer {
    match user.session() {
        Some(session) => service.thief.replay(session).await.into(),
        None => Reply::problem(409, "no token was stolen yet").into(),
    }
}

/// Liveness probe: 200 while the process runs.
async fn alive() -> Answer {
    Reply::new(200, "text/plain", "alive").into()
}

/// Readiness probe for a load balancer.
async fn ready(service: Data<Service>) -> Answer {
    Reply::from(service.health.check().await.response()).into()
}

async fn metered(service: Data<Service>) -> Answer {
    service.metrics.reply().into()
}

async fn file(request: HttpRequest) -> Answer {
    page::file(request.path())
        .unwrap_or_else(|| Reply::problem(404, "not found"))
        .into()
}

const FRAMEWORK: &str = "actix-web";

/// Converts a [`Reply`] to an actix-web response, also as an error.
struct Answer(Reply);

impl<R: Into<Reply>> From<R> for Answer {
    fn from(reply: R) -> Self {
        Self(reply.into())
    }
}

impl actix_web::Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.error_response()
    }
}

impl ResponseError for Answer {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in &self.0.headers {
            response.append_header((*name, value.as_str()));
        }
        response.body(self.0.body.clone())
    }
}

/// Prints only the status, because the headers may hold a cookie.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.0.status)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
