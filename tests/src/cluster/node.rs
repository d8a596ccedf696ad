//! One node: an app with sessions on a shared store, on axum or on actix-web. It is a process of
//! its own and is ended by SIGKILL.
//!
//! It loads what is in force before it listens. If the store cannot be reached it says so, listens
//! all the same, and its stale policy answers.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use auth_core::adapter::{BoxFuture, RequestView};
use auth_core::revocation::{Follower, Revocations, StalePolicy};
use auth_core::session::{EndedBy, LoginRequest, RefreshKey, Sessions};
use auth_core::{Authenticator, Clock, Issuer, Key, SessionRoutes, SystemClock, Transport};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::Failure;
use super::store::NodeStore;
use crate::node;

/// The framework of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// auth-actix
    Actix,
    /// auth-tower
    Axum,
}

/// What a node is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The framework.
    pub flavour: Flavour,
    /// The store.
    pub store: String,
    /// `FailClosed` after as many milliseconds, or else `FailOpen`.
    pub closed_after_ms: Option<u64>,
    /// How long access tokens live, in seconds.
    pub access_s: u64,
    /// The private JWK that all nodes sign with.
    pub signing_key: String,
    /// The secret that all nodes make refresh tokens with, base64url.
    pub refresh_key: String,
}

/// What `GET /status` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The moment, in milliseconds since the Unix epoch, as of which the node knows everything.
    pub complete_at_ms: Option<i64>,
    /// Entries in its list.
    pub entries: usize,
    /// Calls to the store of sessions since it started.
    pub session_calls: u64,
    /// Calls to the feed since it started.
    pub feed_calls: u64,
}

struct Node {
    sessions: Sessions,
    auth: Arc<Authenticator<()>>,
    routes: SessionRoutes<()>,
    revocations: Revocations,
    store: Arc<NodeStore>,
}

/// Runs a node until its standard input ends.
///
/// # Errors
/// If the settings are wrong or no port can be had.
pub fn run() -> Result<(), Failure> {
    let settings: Settings = node::settings()?;
    match settings.flavour {
        Flavour::Axum => node::block_on_axum(on_axum(settings)),
        Flavour::Actix => node::block_on_actix(on_actix(settings)),
    }
}

impl Node {
    async fn start(settings: Settings) -> Result<Arc<Self>, Failure> {
        let policy = match settings.closed_after_ms {
            Some(millis) => StalePolicy::FailClosed {
                after: Duration::from_millis(millis),
            },
            None => StalePolicy::FailOpen,
        };
        let revocations = Revocations::new(policy, Arc::new(SystemClock));
        let issuer = Issuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(Key::from_jwk(&settings.signing_key)?)?
            .with_lifetime(Duration::from_secs(settings.access_s))?;
        let auth = issuer
            .authenticator::<()>()
            .with_revocations(revocations.clone())
            .build()?;
        let store = Arc::new(NodeStore::new(settings.store));
        let key = RefreshKey::from_base64url(1, &settings.refresh_key)?;
        let sessions = Sessions::builder(issuer, store.clone(), key)
            .with_revocations(revocations.clone())
            .build()?;
        let mut follower = Follower::new(store.clone(), revocations.clone());
        if let Err(error) = follower.load().await {
            tracing::error!(%error, "serving without a snapshot of the revocations");
        }
        tokio::spawn(follower.run());
        Ok(Arc::new(Self {
            routes: SessionRoutes::new(sessions.clone(), Arc::clone(&auth))?,
            sessions,
            auth,
            revocations,
            store,
        }))
    }

    fn login(
        &self,
        request: &dyn RequestView,
        subject: &str,
    ) -> BoxFuture<auth_core::adapter::Response> {
        let login = LoginRequest::for_subject(subject);
        self.routes.login(request, login, Transport::Body)
    }

    /// The status of the app's own "this account was stolen".
    async fn end_all(&self, subject: &str) -> u16 {
        match self.sessions.end_all(subject, EndedBy::App).await {
            Ok(()) => 204,
            Err(_) => 503,
        }
    }

    fn status(&self) -> Status {
        let staleness = self.revocations.staleness();
        Status {
            complete_at_ms: staleness
                .map(|staleness| SystemClock.now().saturating_sub(staleness).as_millis()),
            entries: self.revocations.list().len(),
            session_calls: self.store.session_calls(),
            feed_calls: self.store.feed_calls(),
        }
    }
}

async fn on_axum(settings: Settings) -> Result<(), Failure> {
    let node = Node::start(settings).await?;
    let app = Router::new()
        .route("/me", get(|_: auth_tower::Claims<()>| async { "" }))
        .route_layer(auth_tower::AuthLayer::new(node.auth.guard()))
        .route("/login/{subject}", post(axum_login))
        .route("/end-all/{subject}", post(axum_end_all))
        .route("/status", get(axum_status))
        .merge(auth_tower::session_routes(node.routes.clone()))
        .with_state(node);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    node::announce(listener.local_addr()?)?;
    axum::serve(listener, app).await?;
    Ok(())
}

async fn axum_login(
    State(node): State<Arc<Node>>,
    Path(subject): Path<String>,
    parts: Parts,
) -> auth_tower::SessionAnswer {
    let answer = node.login(&auth_tower::RequestHead::from(&parts), &subject);
    answer.await.into()
}

async fn axum_end_all(
    State(node): State<Arc<Node>>,
    Path(subject): Path<String>,
) -> impl IntoResponse {
    let status = node.end_all(&subject).await;
    axum::http::StatusCode::from_u16(status).unwrap_or_default()
}

async fn axum_status(State(node): State<Arc<Node>>) -> axum::Json<Status> {
    axum::Json(node.status())
}

async fn on_actix(settings: Settings) -> Result<(), Failure> {
    let node = Node::start(settings).await?;
    let guarded = auth_actix::AuthMiddleware::new(node.auth.guard());
    let node = Data::from(node);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(node.clone())
            .service(
                web::resource("/me")
                    .wrap(guarded.clone())
                    .get(|_: auth_actix::Claims<()>| async { "" }),
            )
            .route("/login/{subject}", web::post().to(actix_login))
            .route("/end-all/{subject}", web::post().to(actix_end_all))
            .route("/status", web::get().to(actix_status))
            .configure(auth_actix::session_routes(node.routes.clone()))
    })
    .workers(2)
    .keep_alive(Duration::from_secs(75))
    .bind("127.0.0.1:0")?;
    if let Some(address) = server.addrs().first() {
        node::announce(*address)?;
    }
    Ok(server.run().await?)
}

async fn actix_login(
    node: Data<Node>,
    subject: web::Path<String>,
    request: HttpRequest,
) -> HttpResponse {
    let answer = node.login(&auth_actix::RequestHead::from(&request), &subject);
    auth_actix::into_actix(answer.await)
}

async fn actix_end_all(node: Data<Node>, subject: web::Path<String>) -> HttpResponse {
    let status = node.end_all(&subject).await;
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap_or_default()).finish()
}

async fn actix_status(node: Data<Node>) -> web::Json<Status> {
    web::Json(node.status())
}
