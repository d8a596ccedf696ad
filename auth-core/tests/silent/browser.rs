//! An app with silent refresh, and the requests of a browser.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::adapter::{HeaderLine, RequestView, ResponseEdits, Verdict};
use auth_core::revocation::Revocations;
use auth_core::session::{
    ClaimsHook, CurrentClaims, Event, Events, LoginRequest, RefreshKey, SessionPolicy, Sessions,
    SessionsBuilder, UserQuery, UserState, UsersUnavailable,
};
use auth_core::store::StoreClock;
use auth_core::testing::{FaultStore, ManualClock, MemoryStore};
use auth_core::{
    AuthenticatorBuilder, Cause, ConfigError, Guard, Issuer, Key, SessionRoute, SessionRoutes,
    Timestamp, Transport,
};
use serde_json::{Map, Value};

use crate::cookies::Cookies;

pub(crate) const T0: i64 = 1_800_000_000;
/// Longer than the lifetime of an access token.
pub(crate) const ELEVEN_MINUTES: u64 = 660;

/// One user, with claims of a configurable size.
#[derive(Debug, Default)]
pub(crate) struct User(Mutex<usize>);

impl User {
    pub(crate) fn carries(&self, bytes: usize) {
        *self.0.lock().unwrap() = bytes;
    }
}

#[async_trait]
impl ClaimsHook for User {
    async fn current(&self, _: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
        let groups = "g".repeat(*self.0.lock().unwrap());
        let mut claims = Map::new();
        claims.insert("groups".to_owned(), Value::String(groups));
        Ok(UserState::Enabled(
            CurrentClaims::new().with_claims(&claims)?,
        ))
    }
}

/// Events as `kind cause`.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<String>>);

impl Told {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Events for Told {
    fn on_event(&self, event: &Event<'_>) {
        let text = format!("{} {}", event.kind(), event.cause().unwrap_or_default());
        self.0.lock().unwrap().push(text.trim_end().to_owned());
    }
}

/// The settings that differ between apps.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) revocations: Option<Revocations>,
    pub(crate) reference: bool,
    pub(crate) max_cookie_bytes: Option<usize>,
    pub(crate) login_page: bool,
}

/// An app with pages for users, and with the session routes.
pub(crate) struct App {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<FaultStore>,
    pub(crate) user: Arc<User>,
    pub(crate) told: Arc<Told>,
    pub(crate) guard: Guard<Map<String, Value>>,
    pub(crate) routes: SessionRoutes<Map<String, Value>>,
}

pub(crate) fn issuer(clock: &Arc<ManualClock>) -> Issuer {
    Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap()
        .with_jitter(0)
        .unwrap()
        .with_clock(clock.clone())
}

fn sessions(clock: &Arc<ManualClock>, store: &Arc<FaultStore>) -> SessionsBuilder {
    let key = RefreshKey::new(1, &[9; 32]).unwrap();
    Sessions::builder(issuer(clock), store.clone(), key).without_revocations()
}

pub(crate) fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_secs(T0)))
}

fn store(clock: &Arc<ManualClock>) -> Arc<FaultStore> {
    let memory = MemoryStore::new().with_clock(StoreClock::driven(clock.clone()));
    Arc::new(FaultStore::new(Arc::new(memory)))
}

/// What a guard says to sessions with this policy.
pub(crate) fn build_with(policy: SessionPolicy) -> Result<(), ConfigError> {
    let clock = manual_clock();
    let sessions = sessions(&clock, &store(&clock)).with_policy(policy).build();
    let auth: AuthenticatorBuilder<()> = issuer(&clock).authenticator();
    let guard = auth.with_cookies(Cookies).build()?.guard();
    guard.with_silent_refresh(sessions.unwrap()).map(|_| ())
}

impl App {
    pub(crate) fn new() -> Self {
        Self::with(Options::default(), manual_clock())
    }

    pub(crate) fn with(options: Options, clock: Arc<ManualClock>) -> Self {
        let store = store(&clock);
        let (user, told) = (Arc::<User>::default(), Arc::<Told>::default());
        let mut sessions = sessions(&clock, &store)
            .with_claims(user.clone())
            .with_events(told.clone());
        let mut auth = issuer(&clock)
            .authenticator()
            .with_cookies(Cookies)
            .with_leeway(Duration::ZERO)
            .with_clock(clock.clone());
        if let Some(revocations) = options.revocations {
            sessions = sessions.with_revocations(revocations.clone());
            auth = auth.with_revocations(revocations);
        }
        if options.reference {
            sessions = sessions.with_reference_tokens();
        }
        let sessions = sessions.build().unwrap();
        if options.reference {
            auth = auth.with_reference_tokens(sessions.clone());
        }
        if let Some(bytes) = options.max_cookie_bytes {
            auth = auth.with_max_cookie_bytes(bytes);
        }
        let auth = auth.build().unwrap();
        let mut guard = auth.guard().with_silent_refresh(sessions.clone()).unwrap();
        if options.login_page {
            guard = guard.with_login_page("/login").unwrap();
        }
        Self {
            clock,
            store,
            user,
            told,
            guard,
            routes: SessionRoutes::new(sessions, auth).unwrap(),
        }
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Passes a request to the guard.
    pub(crate) async fn ask(&self, request: &Request) -> Seen {
        Self::ask_guard(&self.guard, request).await
    }

    pub(crate) async fn ask_guard(guard: &Guard<Map<String, Value>>, request: &Request) -> Seen {
        match guard.check(request).verdict().await {
            Verdict::Pass(pass) => {
                let (context, edits) = pass.into_parts();
                let who = context
                    .authenticated::<Map<String, Value>>(request)
                    .unwrap();
                Seen::Page(who.map(|who| who.subject().to_owned()), edits)
            }
            Verdict::Refuse(refusal) => {
                let (error, answer) = refusal.into_parts();
                Seen::Ours(error.cause(), answer)
            }
        }
    }

    /// `POST /auth/refresh` with the browser's cookies.
    pub(crate) async fn refresh(&self, browser: &mut Browser) -> auth_core::adapter::Response {
        let request = browser.own("POST", "/auth/refresh");
        let answer = self.routes.respond(SessionRoute::Refresh, &request, b"");
        let answer = answer.await;
        browser.keep(answer.headers());
        answer
    }

    pub(crate) async fn sign_in(&self, browser: &mut Browser) -> auth_core::adapter::Response {
        let request = browser.own("POST", "/login");
        let login = LoginRequest::for_subject("ada");
        let answer = self.routes.login(&request, login, Transport::Cookie).await;
        browser.keep(answer.headers());
        answer
    }
}

/// The result of a request.
pub(crate) enum Seen {
    /// The app handled it for this user.
    Page(Option<String>, ResponseEdits),
    /// The guard responded.
    Ours(Cause, auth_core::adapter::Response),
}

impl Seen {
    /// The status of the guard's response, or 200 for the app's.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Page(..) => 200,
            Self::Ours(_, answer) => answer.status(),
        }
    }

    pub(crate) fn is_page_of(&self, user: &str) -> bool {
        matches!(self, Self::Page(Some(who), _) if who == user)
    }

    #[track_caller]
    pub(crate) fn response(self) -> auth_core::adapter::Response {
        match self {
            Self::Ours(_, answer) => answer,
            Self::Page(..) => panic!("the app got the request"),
        }
    }

    /// The cookies in the response.
    pub(crate) fn cookies(self) -> Vec<String> {
        let lines = match self {
            Self::Page(_, edits) => edits.finish([], false),
            Self::Ours(_, answer) => answer.headers().to_vec(),
        };
        let cookies = lines.iter().filter(|line| line.is_appended());
        let name = |line: &HeaderLine| line.value().split('=').next().unwrap().to_owned();
        cookies.map(name).collect()
    }
}

pub(crate) fn field<'a>(answer: &'a auth_core::adapter::Response, name: &str) -> &'a str {
    let mut lines = answer.headers().iter().filter(|line| line.name() == name);
    let line = lines.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(lines.next().is_none(), "{name} occurs twice");
    line.value()
}

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(own, _)| own != name);
        self
    }
}

impl RequestView for Request {
    fn method(&self) -> &str {
        self.method
    }

    /// The path as a nested router presents it.
    fn path(&self) -> &str {
        "/stripped"
    }

    fn target(&self) -> &str {
        &self.target
    }

    fn authority(&self) -> Option<&str> {
        Some("app.example")
    }

    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        for (_, value) in self.fields.iter().filter(|(own, _)| own == name) {
            visit(value.as_bytes());
        }
    }
}

/// A browser with a cookie jar.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser(BTreeMap<String, String>);

impl Browser {
    pub(crate) async fn signed_in(app: &App) -> Self {
        let mut browser = Self::default();
        assert_eq!(app.sign_in(&mut browser).await.status(), 200);
        browser
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn without(&self, name: &str) -> Self {
        let mut rest = self.clone();
        rest.0.remove(name);
        rest
    }

    /// An empty value deletes a cookie.
    pub(crate) fn keep(&mut self, lines: &[HeaderLine]) {
        for line in lines.iter().filter(|line| line.is_appended()) {
            let pair = line.value().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.0.remove(name);
            } else {
                self.set(name, value);
            }
        }
    }

    fn request(&self, method: &'static str, target: &str, site: &str) -> Request {
        let request = Request {
            method,
            target: target.to_owned(),
            fields: Vec::new(),
        };
        let request = request.with("sec-fetch-site", site);
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.fold(request, |request, pair| request.with("cookie", &pair))
    }

    /// A request of the app's own pages.
    pub(crate) fn own(&self, method: &'static str, target: &str) -> Request {
        self.request(method, target, "same-origin")
    }

    /// A followed link on a page of `site`.
    pub(crate) fn link(&self, target: &str, site: &str) -> Request {
        self.request("GET", target, site)
            .with("sec-fetch-mode", "navigate")
            .with("sec-fetch-dest", "document")
    }

    /// Loads one of the app's own pages and follows redirects. Returns all statuses.
    pub(crate) async fn load(&mut self, app: &App, target: &str) -> Vec<u16> {
        let mut seen = Vec::new();
        loop {
            let answer = app.ask(&self.own("GET", target)).await;
            seen.push(answer.status());
            assert!(seen.len() < 5, "it goes round: {seen:?}");
            match answer {
                Seen::Page(who, edits) => {
                    assert_eq!(who.as_deref(), Some("ada"));
                    self.keep(&edits.finish([], false));
                    return seen;
                }
                Seen::Ours(_, answer) => {
                    self.keep(answer.headers());
                    if answer.status() != 303 {
                        return seen;
                    }
                }
            }
        }
    }
}
