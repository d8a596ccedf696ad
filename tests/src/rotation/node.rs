//! One node: an issuer with rotating keys and sessions, on axum or on actix-web.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;

use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use auth_core::rotation::JwksEndpoint;
use auth_core::session::{LoginRequest, Sessions};
use auth_core::{
    AccessTokenRequest, Authenticator, Clock, Issuer, SessionRoutes, SystemClock, Transport,
};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::keys::{self, Pace, Store};
use crate::cluster::Failure;
use crate::node;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://api.example";

/// What a node is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(super) pace: Pace,
    pub(super) store: String,
    pub(super) key_encryption_key: String,
    /// When the time lapse begins, in milliseconds since 1970.
    from: i64,
    on_actix: bool,
}

impl Settings {
    pub(super) fn new(store: &str, pace: Pace) -> Result<Self, Failure> {
        Ok(Self {
            pace,
            store: store.to_owned(),
            key_encryption_key: "c2VhbHMgdGhlIGtleXMgb2YgdGhlIHJvdGF0aW9uIC4".to_owned(),
            from: SystemClock.now().as_millis(),
            on_actix: false,
        })
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.pace.clock(self.from)
    }
}

/// A running node, until dropped.
pub(crate) struct Node {
    pub(super) address: SocketAddr,
    _process: Child,
    _alive: ChildStdin,
}

impl Node {
    /// Starts three at once: they must begin with the same keys.
    pub(super) async fn start_three(settings: &Settings) -> Result<[Self; 3], Failure> {
        let (one, two, three) = tokio::try_join!(
            Self::start(settings, false),
            Self::start(settings, false),
            Self::start(settings, true)
        )?;
        Ok([one, two, three])
    }

    async fn start(settings: &Settings, on_actix: bool) -> Result<Self, Failure> {
        let settings = Settings {
            on_actix,
            ..settings.clone()
        };
        let mut process = Command::new(std::env::current_exe()?)
            .arg("node")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(mut stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("a node without pipes".into());
        };
        let line = format!("{}\n", serde_json::to_string(&settings)?);
        stdin.write_all(line.as_bytes()).await?;
        let first = BufReader::new(stdout).lines().next_line().await?;
        Ok(Self {
            address: first.ok_or("the node ended before it listened")?.parse()?,
            _process: process,
            _alive: stdin,
        })
    }
}

/// What the handlers share.
struct NodeState {
    issuer: Issuer,
    auth: Arc<Authenticator<()>>,
    routes: SessionRoutes<()>,
    jwks: JwksEndpoint,
}

impl NodeState {
    async fn start(settings: Settings) -> Result<Arc<Self>, Failure> {
        let store = Store::open(&settings).await?;
        let rotation = store.rotation(&settings).await?;
        let issuer = Issuer::for_issuer(ISSUER)
            .audience(AUDIENCE)
            .keys(rotation.keys())?
            .with_lifetime(settings.pace.lifetime())?
            .with_jitter(0)?
            .with_clock(settings.clock());
        let auth = issuer
            .authenticator::<()>()
            .with_leeway(settings.pace.leeway())
            .build()?;
        let refresh_keys = rotation.refresh_keys().ok_or("no refresh keys")?;
        let sessions = Sessions::builder(issuer.clone(), store.sessions, refresh_keys)
            .with_policy(settings.pace.policy())
            .without_revocations()
            .build()?;
        let jwks = rotation.jwks();
        let rotation = rotation.with_sessions(sessions.clone())?;
        tokio::spawn(keys::rotate(rotation, settings.pace));
        Ok(Arc::new(Self {
            routes: SessionRoutes::new(sessions, Arc::clone(&auth))?,
            issuer,
            auth,
            jwks,
        }))
    }

    /// A token, or nothing if this node must not sign any more.
    async fn mint(&self) -> Option<String> {
        let request = AccessTokenRequest::for_subject("ada");
        let minted = self.issuer.mint(&request).await;
        Some(minted.ok()?.expose().to_owned())
    }
}

/// Runs a node until its standard input ends.
///
/// # Errors
/// If the settings are wrong or no port can be had.
pub fn run() -> Result<(), Failure> {
    let settings: Settings = node::settings()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    if settings.on_actix {
        node::block_on_actix(on_actix(settings, listener))
    } else {
        node::block_on_axum(on_axum(settings, listener))
    }
}

fn login() -> LoginRequest {
    LoginRequest::for_subject("ada")
}

async fn on_axum(settings: Settings, listener: TcpListener) -> Result<(), Failure> {
    let shared = NodeState::start(settings).await?;
    let app = Router::new()
        .route("/me", get(|_: auth_tower::Claims<()>| async { "" }))
        .route_layer(auth_tower::AuthLayer::new(shared.auth.guard()))
        .route("/mint", post(axum_mint))
        .route("/login", post(axum_login))
        .merge(auth_tower::session_routes(shared.routes.clone()))
        .merge(auth_tower::jwks_route(shared.jwks.clone()))
        .with_state(shared);
    node::announce(listener.local_addr()?)?;
    axum::serve(tokio::net::TcpListener::from_std(listener)?, app).await?;
    Ok(())
}

async fn axum_mint(State(shared): State<Arc<NodeState>>) -> Result<String, StatusCode> {
    let minted = shared.mint().await;
    minted.ok_or(StatusCode::SERVICE_UNAVAILABLE)
}

async fn axum_login(
    State(shared): State<Arc<NodeState>>,
    parts: Parts,
) -> auth_tower::SessionAnswer {
    let head = auth_tower::RequestHead::from(&parts);
    shared
        .routes
        .login(&head, login(), Transport::Body)
        .await
        .into()
}

async fn on_actix(settings: Settings, listener: TcpListener) -> Result<(), Failure> {
    let shared = NodeState::start(settings).await?;
    let guarded = auth_actix::AuthMiddleware::new(shared.auth.guard());
    let shared = Data::from(shared);
    node::announce(listener.local_addr()?)?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .service(
                web::resource("/me")
                    .wrap(guarded.clone())
                    .get(|_: auth_actix::Claims<()>| async { "" }),
            )
            .route("/mint", web::post().to(actix_mint))
            .route("/login", web::post().to(actix_login))
            .configure(auth_actix::session_routes(shared.routes.clone()))
            .configure(auth_actix::jwks_route(shared.jwks.clone()))
    })
    .workers(2)
    .keep_alive(std::time::Duration::from_secs(75))
    .listen(listener)?;
    Ok(server.run().await?)
}

async fn actix_mint(shared: Data<NodeState>) -> HttpResponse {
    match shared.mint().await {
        Some(token) => HttpResponse::Ok().body(token),
        None => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn actix_login(shared: Data<NodeState>, request: HttpRequest) -> HttpResponse {
    let head = auth_actix::RequestHead::from(&request);
    let answer = shared.routes.login(&head, login(), Transport::Body).await;
    auth_actix::into_actix(answer)
}
