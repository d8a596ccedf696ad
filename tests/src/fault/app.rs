//! The app under test: a login that believes everybody, the session routes, one guarded page, and
//! what the tests need to look inside.

use std::sync::Arc;
use std::time::Duration;

use auth_cookie::CookiePolicy;
use auth_core::session::{LoginRequest, RefreshKey, SessionPolicy, Sessions};
use auth_core::store::{RefreshStore, StoreClock};
use auth_core::testing::ManualClock;
use auth_core::{
    Authenticator, Clock, Issuer, Key, SessionRoutes, SystemClock, Timestamp, Transport,
};
use auth_tower::{AuthLayer, Claims, RequestHead, SessionAnswer, session_routes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::Outcome;
use super::backend::{self, Counted, Counts, Death};

/// The header in which a login says who they are.
pub const SUBJECT: &str = "x-subject";

/// Secrets that nodes which share a store must share; of no worth outside of these tests.
const SIGNING_KEY: &[u8] = b"races and faults: a key that signs access tokens";
const REFRESH_KEY: &[u8] = b"races and faults: a key for refresh tokens";

/// How a node is set up; nodes get it as JSON in `AUTH_NODE`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Setup {
    /// The store's URL: see [`backend::open`].
    pub store: String,
    /// 0 for any.
    pub port: u16,
    /// Milliseconds since the Unix epoch at which a clock stands that the test moves; without it,
    /// nodes and stores go by their own.
    pub clock: Option<i64>,
    /// The retry window, in milliseconds.
    pub window_ms: u64,
    /// The settle time, in milliseconds.
    pub settle_ms: u64,
    /// The request deadline, in milliseconds.
    pub deadline_ms: u64,
    /// The bound of a store call, in milliseconds.
    pub timeout_ms: u64,
    /// When the process ends itself.
    pub death: Option<Death>,
}

impl Setup {
    /// A node with the protocol's own numbers.
    #[must_use]
    pub fn on(store: &str) -> Self {
        Self {
            store: store.to_owned(),
            port: 0,
            clock: None,
            window_ms: 10_000,
            settle_ms: 120_000,
            deadline_ms: 30_000,
            timeout_ms: 5_000,
            death: None,
        }
    }

    /// Numbers so short that a session moves on many times within a test: settle is 4 s, and a
    /// request lives 1 s at the server and at most as long again on its way.
    #[must_use]
    pub fn brisk(store: &str) -> Self {
        Self {
            window_ms: 500,
            settle_ms: 4_000,
            deadline_ms: 1_000,
            timeout_ms: 800,
            ..Self::on(store)
        }
    }

    /// With a clock that the test moves.
    #[must_use]
    pub fn with_clock(mut self, clock: Timestamp) -> Self {
        self.clock = Some(clock.as_millis());
        self
    }

    /// How far a driven clock must move for the next rotation to be due.
    #[must_use]
    pub fn beyond_settle(&self) -> Duration {
        Duration::from_millis(self.settle_ms + 1)
    }

    fn policy(&self) -> SessionPolicy {
        SessionPolicy::default()
            .with_reuse_interval(Duration::from_millis(self.window_ms))
            .with_min_rotation_interval(Duration::from_millis(self.settle_ms))
            .with_request_deadline(Duration::from_millis(self.deadline_ms))
    }
}

/// What the routes of a node share.
#[derive(Clone, Debug)]
pub struct App {
    routes: SessionRoutes<()>,
    auth: Arc<Authenticator<()>>,
    /// The sessions, for tests in this process.
    pub sessions: Sessions,
    store: Arc<Counted>,
    clock: Option<Arc<ManualClock>>,
}

/// What sets and reads the cookies.
pub fn cookies() -> CookiePolicy {
    CookiePolicy::same_origin_spa()
}

impl App {
    /// Opens the store and puts everything together.
    ///
    /// # Errors
    /// If the store cannot be opened.
    pub async fn open(setup: &Setup) -> Outcome<Self> {
        let manual = setup
            .clock
            .map(|now| Arc::new(ManualClock::at(Timestamp::from_millis(now))));
        let store_clock = manual
            .clone()
            .map_or_else(StoreClock::own, |clock| StoreClock::driven(clock));
        let timeout = Duration::from_millis(setup.timeout_ms);
        let store = backend::open(&setup.store, store_clock, timeout).await?;
        Self::over(store, manual, setup)
    }

    /// Puts everything together over a store that is open already.
    ///
    /// # Errors
    /// If the numbers contradict each other.
    pub fn over(
        store: Arc<dyn RefreshStore>,
        manual: Option<Arc<ManualClock>>,
        setup: &Setup,
    ) -> Outcome<Self> {
        let clock: Arc<dyn Clock> = match &manual {
            Some(clock) => Arc::clone(clock) as _,
            None => Arc::new(SystemClock),
        };
        let store = Arc::new(Counted::new(store, setup.death));
        let issuer = Issuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(Key::hs256("k1", SIGNING_KEY)?)?
            .with_clock(Arc::clone(&clock));
        let auth = issuer
            .authenticator::<()>()
            .with_clock(clock)
            .with_cookies(cookies())
            .build()?;
        let refresh_key = RefreshKey::new(1, REFRESH_KEY)?;
        let sessions = Sessions::builder(issuer, Arc::clone(&store) as _, refresh_key)
            .with_policy(setup.policy())
            .without_revocations()
            .build()?;
        Ok(Self {
            routes: SessionRoutes::new(sessions.clone(), Arc::clone(&auth))?,
            auth,
            sessions,
            store,
            clock: manual,
        })
    }

    /// What the store was asked for so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.store.counts()
    }

    /// Moves the driven clock, if there is one.
    pub fn advance(&self, by: Duration) {
        if let Some(clock) = &self.clock {
            clock.advance(by);
        }
    }

    /// The app's routes.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/me", get(me))
            .route_layer(AuthLayer::new(&self.auth))
            .route("/login", post(login))
            .route("/control/counts", get(counts))
            .route("/control/clock", post(clock))
            .with_state(self.clone())
            .merge(session_routes(self.routes.clone()))
    }
}

async fn me(user: Claims<()>) -> String {
    user.subject().to_owned()
}

async fn login(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let Some(subject) = parts.headers.get(SUBJECT).and_then(|it| it.to_str().ok()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let login = LoginRequest::for_subject(subject);
    let answer = app
        .routes
        .login(&RequestHead::from(&parts), login, Transport::Cookie)
        .await;
    SessionAnswer::from(answer).into_response()
}

async fn counts(State(app): State<App>) -> Json<Counts> {
    Json(app.counts())
}

async fn clock(State(app): State<App>, millis: String) -> StatusCode {
    let (Some(clock), Ok(now)) = (&app.clock, millis.parse()) else {
        return StatusCode::CONFLICT;
    };
    clock.set(Timestamp::from_millis(now));
    StatusCode::NO_CONTENT
}
