//! A small server on bare hyper, guarded by the adapter in `lib.rs`.
//!
//! `cargo run -p example-hyper`, then:
//!
//! ```sh
//! # Any user name works. Browsers send this header too.
//! curl -c jar -d alice -H 'Origin: http://127.0.0.1:3000' http://127.0.0.1:3000/login
//! curl -b jar http://127.0.0.1:3000/me
//! curl -b jar http://127.0.0.1:3000/auth/sessions
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use auth_cookie::CookiePolicy;
use auth_core::revocation::{Revocations, StalePolicy};
use auth_core::rotation::JwksEndpoint;
use auth_core::session::{LoginError, LoginRequest, RefreshKey, RefreshKeys, Sessions};
use auth_core::testing::MemoryStore;
use auth_core::{Algorithm, Guard, Issuer, Key, SessionRoutes, SystemClock, Transport};
use bytes::Bytes;
use example_hyper::{Head, Reply, claims, finish, guarded, jwks, reply, session_route};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

struct App {
    guard: Guard<()>,
    sessions: Sessions,
    routes: SessionRoutes<()>,
    jwks: JwksEndpoint,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = Arc::new(App::new()?);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}", listener.local_addr()?);
    let server = auto::Builder::new(TokioExecutor::new());
    loop {
        let stream = TokioIo::new(listener.accept().await?.0);
        let (app, server) = (Arc::clone(&app), server.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(Arc::clone(&app), request));
            let _ = server.serve_connection(stream, service).await;
        });
    }
}

impl App {
    /// Creates keys and sessions in memory. `auth-store` would persist them.
    fn new() -> Result<Self, Box<dyn Error>> {
        let (key, _) = Key::generate("k1", Algorithm::Es256)?;
        let issuer = Issuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(key)?;
        let revocations = Revocations::new(StalePolicy::FailOpen, Arc::new(SystemClock));
        let keys = RefreshKeys::new(RefreshKey::ephemeral()?);
        let sessions = Sessions::builder(issuer.clone(), Arc::new(MemoryStore::new()), keys)
            .with_revocations(revocations.clone())
            .build()?;
        let auth = issuer
            .authenticator()
            .with_cookies(CookiePolicy::server_rendered())
            .with_revocations(revocations)
            .build()?;
        Ok(Self {
            guard: auth.guard().with_silent_refresh(sessions.clone())?,
            routes: SessionRoutes::new(sessions.clone(), auth)?,
            sessions,
            jwks: JwksEndpoint::new(&issuer, Duration::from_secs(600)),
        })
    }
}

async fn respond(app: Arc<App>, request: Request<Incoming>) -> Result<Reply, Infallible> {
    let method = request.method().clone();
    let request = match session_route(&app.routes, request).await {
        Ok(answer) => return Ok(finish(&method, answer)),
        Err(request) => request,
    };
    let answer = match (request.method(), request.uri().path()) {
        (&Method::POST, "/login") => log_in(&app, request).await,
        (&Method::GET | &Method::HEAD, "/me") => guarded(&app.guard, request, me).await,
        (_, JwksEndpoint::PATH) => jwks(&app.jwks, &request),
        _ => plain(StatusCode::NOT_FOUND, "not found\n"),
    };
    Ok(finish(&method, answer))
}

async fn me(request: Request<Incoming>) -> Reply {
    match claims::<(), _>(&request) {
        Ok(user) => plain(StatusCode::OK, format!("{}\n", user.subject())),
        Err(refused) => *refused,
    }
}

/// A login without a password: the body is the user name.
async fn log_in(app: &App, request: Request<Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts, ());
    let head = Head::from(&request);
    let Ok(body) = Limited::new(body, 256).collect().await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "not a valid user name\n");
    };
    let name = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let start = match app.sessions.begin_login(&name).await {
        Ok(start) => start,
        Err(LoginError::Unavailable(_)) => return plain(StatusCode::SERVICE_UNAVAILABLE, ""),
        Err(_) => return plain(StatusCode::BAD_REQUEST, "not a valid user name\n"),
    };
    // A real app checks a password here.
    let login = LoginRequest::started(start);
    reply(app.routes.login(&head, login, Transport::Cookie).await)
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}
