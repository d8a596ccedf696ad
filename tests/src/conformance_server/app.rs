//! The app that the shims play: what it says about its users, and what it notes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use auth_core::Scope;
use auth_core::session::{
    ClaimsHook, ClientInfo, CurrentClaims, Event, Events, UserQuery, UserState, UsersUnavailable,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// More events than any test looks at.
const MOST_EVENTS: usize = 100_000;

/// What `/shim/user` says about a user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) sub: String,
    state: State,
    scope: Option<String>,
    claims: Option<Map<String, Value>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Enabled,
    Disabled,
    Unavailable,
}

/// The users of whom something was said; all others are enabled.
#[derive(Debug, Default)]
pub(super) struct Users(Mutex<HashMap<String, User>>);

impl Users {
    pub(super) fn say(&self, user: User) {
        lock(&self.0).insert(user.sub.clone(), user);
    }
}

#[async_trait]
impl ClaimsHook for Users {
    async fn current(&self, query: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
        let user = lock(&self.0).get(query.subject()).cloned();
        let mut claims = CurrentClaims::new();
        // The private claims that the login was asked for are kept with the session.
        if let Some(data) = query.details().data() {
            claims = claims.with_claims(data)?;
        }
        let Some(user) = user else {
            return Ok(UserState::Enabled(claims));
        };
        match user.state {
            State::Disabled => Ok(UserState::Disabled),
            State::Unavailable => Err(UsersUnavailable::new("told to be unavailable")),
            State::Enabled => {
                if let Some(private) = &user.claims {
                    claims = claims.with_claims(private)?;
                }
                if let Some(scope) = &user.scope {
                    claims = claims.with_scope(Scope::parse(scope)?);
                }
                Ok(UserState::Enabled(claims))
            }
        }
    }
}

/// Everything that happened, for `/shim/stats`.
#[derive(Debug, Default)]
pub(super) struct Journal(Mutex<Vec<Value>>);

impl Journal {
    pub(super) fn read(&self) -> Vec<Value> {
        lock(&self.0).clone()
    }
}

impl Events for Journal {
    fn on_event(&self, event: &Event<'_>) {
        let mut events = lock(&self.0);
        if events.len() < MOST_EVENTS {
            let client = event.client();
            events.push(json!({
                "kind": event.kind(),
                "sid": event.session().map(|session| session.to_string()),
                "cause": event.cause(),
                "sub": event.subject(),
                "ip": client.and_then(ClientInfo::ip),
                "user_agent": client.and_then(ClientInfo::user_agent),
            }));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
