//! An issuer, a store that can fail, users whose state can change, and a record of the events.

use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::session::{
    ClaimsHook, ClientInfo, CurrentClaims, Event, Events, LoginRequest, RefreshKey, RefreshOutcome,
    SessionId, SessionPolicy, Sessions, Tokens, UserQuery, UserState, UsersUnavailable,
};
use auth_core::store::{LoadedSession, RefreshStore, StoreClock};
use auth_core::testing::{FaultStore, ManualClock, MemoryStore};
use auth_core::{Clock, Issuer, Key, Scope, Timestamp};

pub(crate) const T0: i64 = 1_800_000_000;
pub(crate) const ACCESS: u64 = 600;

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn days(days: u64) -> Duration {
    secs(days * 86_400)
}

#[derive(Debug, Default)]
pub(crate) struct Users {
    pub(crate) states: Mutex<HashMap<String, UserState>>,
    pub(crate) unavailable: Mutex<bool>,
    pub(crate) asked: Mutex<u32>,
}

#[async_trait]
impl ClaimsHook for Users {
    async fn current(&self, user: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
        *self.asked.lock().unwrap() += 1;
        tokio::task::yield_now().await;
        if *self.unavailable.lock().unwrap() {
            return Err(UsersUnavailable::new("the user database is down"));
        }
        let states = self.states.lock().unwrap();
        let enabled = UserState::Enabled(CurrentClaims::new());
        Ok(states.get(user.subject()).cloned().unwrap_or(enabled))
    }
}

impl Users {
    pub(crate) fn set(&self, user: &str, state: UserState) {
        self.states.lock().unwrap().insert(user.into(), state);
    }

    pub(crate) fn scope(&self, user: &str, scope: &str) {
        let claims = CurrentClaims::new().with_scope(Scope::parse(scope).unwrap());
        self.set(user, UserState::Enabled(claims));
    }
}

/// Events as `kind` or `kind cause`, in order, with `unconfirmed` if applicable.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<String>>);

impl Events for Told {
    fn on_event(&self, event: &Event<'_>) {
        let mut text = event.kind().to_owned();
        if let Some(cause) = event.cause() {
            text.push(' ');
            text.push_str(cause);
        }
        let unconfirmed = matches!(
            event,
            Event::Revoked { confirmed, .. } | Event::Reuse { confirmed, .. } if !confirmed
        );
        if unconfirmed {
            text.push_str(" unconfirmed");
        }
        self.0.lock().unwrap().push(text);
    }
}

impl Told {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) store: Arc<FaultStore>,
    pub(crate) users: Arc<Users>,
    pub(crate) told: Arc<Told>,
    pub(crate) sessions: Sessions,
    policy: SessionPolicy,
}

pub(crate) fn issuer(clock: &Arc<ManualClock>) -> Issuer {
    let key = Key::hs256("k1", &[0x61; 32].map(|b: u8| b.wrapping_add(3))).unwrap();
    Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(key)
        .unwrap()
        .with_lifetime(secs(ACCESS))
        .unwrap()
        .with_jitter(0)
        .unwrap()
        .with_clock(clock.clone())
}

pub(crate) fn refresh_key(id: u8) -> RefreshKey {
    let mut secret = *b"the refresh key of these tests..";
    secret[0] = id;
    RefreshKey::new(id, &secret).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(SessionPolicy::default())
    }

    pub(crate) fn with(policy: SessionPolicy) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(T0)));
        let memory = Arc::new(MemoryStore::new().with_clock(StoreClock::driven(clock.clone())));
        let store = Arc::new(FaultStore::new(memory.clone()).with_yields());
        let users = Arc::new(Users::default());
        let told = Arc::new(Told::default());
        let sessions = Self::build(&clock, &store, &users, &told, &policy);
        Self {
            clock,
            memory,
            store,
            users,
            told,
            sessions,
            policy,
        }
    }

    /// Another node of the same deployment.
    pub(crate) fn node(&self) -> Sessions {
        Self::build(
            &self.clock,
            &self.store,
            &self.users,
            &self.told,
            &self.policy,
        )
    }

    fn build(
        clock: &Arc<ManualClock>,
        store: &Arc<FaultStore>,
        users: &Arc<Users>,
        told: &Arc<Told>,
        policy: &SessionPolicy,
    ) -> Sessions {
        Sessions::builder(issuer(clock), store.clone(), refresh_key(1))
            .with_policy(policy.clone())
            .with_claims(users.clone())
            .with_events(told.clone())
            .without_revocations()
            .build()
            .unwrap()
    }

    pub(crate) fn advance(&self, by: u64) {
        self.clock.advance(secs(by));
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn login(&self, subject: &str) -> Tokens {
        let request = LoginRequest::for_subject(subject);
        self.sessions.login(request).await.unwrap()
    }

    pub(crate) async fn refresh(&self, token: &str) -> RefreshOutcome {
        self.sessions.refresh(token, &ClientInfo::new()).await
    }

    pub(crate) async fn granted(&self, token: &str) -> Tokens {
        match self.refresh(token).await {
            RefreshOutcome::Granted(tokens) => tokens,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn row(&self, session: SessionId) -> LoadedSession {
        self.memory.load(&session).await.unwrap().unwrap()
    }
}

pub(crate) fn refresh_text(tokens: &Tokens) -> String {
    tokens.refresh().unwrap().expose().to_owned()
}

/// The payload of an access token.
pub(crate) fn claims(tokens: &Tokens) -> serde_json::Value {
    let payload = tokens.access().expose().split('.').nth(1).unwrap();
    let json = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Polls a future at most `polls` times, then drops it, like the request of a disconnected client.
pub(crate) async fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Runs futures concurrently.
pub(crate) async fn join_all<T>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send>>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.into_iter().map(Some).collect();
    let mut done: Vec<Option<T>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in pending.iter_mut().zip(&mut done) {
            if let Some(running) = future
                && let Poll::Ready(value) = running.as_mut().poll(context)
            {
                *output = Some(value);
                *future = None;
            }
        }
        if pending.iter().all(Option::is_none) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}
