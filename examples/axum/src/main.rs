//! The example app on axum: a page with a login form, routes that require a token, and one that
//! requires the scope `admin`. `examples/actix` is the same app on actix-web.
//!
//! Browsers get their tokens in cookies that script cannot read. Other clients request them in the
//! response's body, and send the access token in the `Authorization` header.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use auth_cookie::CookiePolicy;
use auth_core::adapter::CookieTransport;
use auth_core::health::Health;
use auth_core::revocation::{Follower, Revocations, StalePolicy};
use auth_core::rotation::KeyRotation;
use auth_core::session::{EndedBy, Sessions};
use auth_core::{
    Authenticator, Clock, Issuer, SessionRoute, SessionRoutes, SystemClock, Transport,
};
use auth_tower::{AuthLayer, Claims, MaybeClaims, RequestHead, jwks_route, session_routes};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use example_shared::page::{self, View};
use example_shared::{
    AUDIENCE, BODY_LIMIT, Config, Credentials, Ending, ISSUER, Metrics, Profile, Reply, Thief,
    Users, listen, open_store, upkeep, welcome,
};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

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

type ServiceState = State<Arc<Service>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let config = Config::from_env(3000)?;
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

    let visitors = AuthLayer::new(pages.clone().with_anonymous());
    let forms = AuthLayer::new(pages);
    let signed_in = AuthLayer::new(&auth);
    let admins = AuthLayer::new(admins);
    let thief = Thief::new(sessions.clone());
    let service = Arc::new(Service {
        users,
        auth,
        cookies,
        sessions,
        routes: routes.clone(),
        thief,
        health,
        metrics,
    });

    let guarded = Router::new()
        .route("/me", get(me))
        .route("/demo/steal", post(steal))
        .route("/demo/replay", post(replay))
        .route_layer(signed_in);
    let mut app = guarded
        .merge(session_routes(routes))
        .merge(jwks_route(jwks))
        .route("/", get(index).route_layer(visitors))
        .route("/devices", post(devices).route_layer(forms))
        .route("/admin", get(admin).route_layer(admins.clone()))
        .route(
            "/admin/end-all/{username}",
            post(end_all).route_layer(admins),
        )
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/health", get(alive))
        .route("/ready", get(ready))
        .route("/metrics", get(metered));
    for path in page::files() {
        app = app.route(path, get(file));
    }
    let app = app
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(service);

    let (listener, url) = listen(&config)?;
    println!("{}", welcome(&url, &demo));
    axum::serve(TcpListener::from_std(listener)?, app)
        .with_graceful_shutdown(asked_to_stop())
        .await?;
    upkeep.abort();
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn asked_to_stop() {
    let (interrupt, terminate) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// The page, for signed-in users and anonymous visitors.
async fn index(State(service): ServiceState, MaybeClaims(user): MaybeClaims<Profile>) -> Answer {
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
async fn end_all(
    State(service): ServiceState,
    Path(username): Path<String>,
) -> Result<Answer, Answer> {
    service.sessions.end_all(&username, EndedBy::App).await?;
    Ok(Reply::new(204, "text/plain", "").into())
}

async fn log_in(
    State(service): ServiceState,
    request: Parts,
    body: Bytes,
) -> Result<Answer, Answer> {
    let head = RequestHead::from(&request);
    let header = |name| {
        request
            .headers
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
async fn log_out(State(service): ServiceState, request: Parts) -> Answer {
    let head = RequestHead::from(&request);
    let answer = service
        .routes
        .respond(SessionRoute::Logout, &head, b"")
        .await;
    Reply::from(answer).then_show("/").into()
}

/// Handles the forms of the device list.
async fn devices(
    State(service): ServiceState,
    Claims(user): Claims<Profile>,
    request: Parts,
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
    State(service): ServiceState,
    Claims(user): Claims<Profile>,
    request: Parts,
) -> Answer {
    let head = RequestHead::from(&request);
    let token = service.cookies.find_refresh(&head).ok().flatten();
    match (user.session(), token) {
        (Some(session), Some(token)) => service.thief.steal(session, token.expose()).into(),
        _ => Reply::problem(409, "the request has no refresh cookie to steal").into(),
    }
}

/// Demonstrates the use of the stolen token by another client.
async fn replay(State(service): ServiceState, Claims(user): Claims<Profile>) -> Answer {
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
async fn ready(State(service): ServiceState) -> Answer {
    Reply::from(service.health.check().await.response()).into()
}

async fn metered(State(service): ServiceState) -> Answer {
    service.metrics.reply().into()
}

async fn file(uri: Uri) -> Answer {
    page::file(uri.path())
        .unwrap_or_else(|| Reply::problem(404, "not found"))
        .into()
}

const FRAMEWORK: &str = "axum";

/// Converts a [`Reply`] to an axum response.
struct Answer(Reply);

impl<R: Into<Reply>> From<R> for Answer {
    fn from(reply: R) -> Self {
        Self(reply.into())
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.0.status);
        for (name, value) in self.0.headers {
            response = response.header(name, value);
        }
        let response = response.body(Body::from(self.0.body));
        response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}
