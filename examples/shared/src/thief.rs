//! A demonstration of a stolen refresh token. Not for real apps.
//!
//! Script cannot read the refresh cookie, so the server plays the thief. It keeps a copy of the
//! token of a request, and uses it later like another client.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use auth_core::session::{ClientInfo, GrantKind, RefreshOutcome, SessionId, Sessions};

use crate::reply::Reply;

/// Maximum number of stolen tokens in memory.
const LOOT: usize = 1000;

/// Stolen refresh tokens, by session.
pub struct Thief {
    sessions: Sessions,
    stolen: Mutex<HashMap<SessionId, String>>,
}

impl Thief {
    /// Creates a thief without tokens.
    #[must_use]
    pub fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            stolen: Mutex::default(),
        }
    }

    /// Copies a session's refresh token.
    pub fn steal(&self, session: SessionId, refresh_token: &str) -> Reply {
        self.keep(session, refresh_token);
        Reply::json(&serde_json::json!({
            "outcome": "stolen",
            "meaning": "The thief has a copy of your refresh token, and has not used it yet. Use \
                        it now, or let your page refresh once or twice first.",
        }))
    }

    /// Uses the copy like another client.
    pub async fn replay(&self, session: SessionId) -> Reply {
        let Some(token) = self.loot().get(&session).cloned() else {
            return Reply::problem(409, "no token was stolen yet");
        };
        let client = ClientInfo::new().with_user_agent("a thief");
        let outcome = self.sessions.refresh(&token, &client).await;
        if let RefreshOutcome::Granted(tokens) = &outcome
            && let Some(next) = tokens.refresh()
        {
            self.keep(session, next.expose());
        }
        let (outcome, meaning) = tell(&outcome);
        Reply::json(&serde_json::json!({ "outcome": outcome, "meaning": meaning }))
    }

    fn keep(&self, session: SessionId, token: &str) {
        let mut loot = self.loot();
        if loot.len() >= LOOT {
            loot.clear();
        }
        loot.insert(session, token.to_owned());
    }

    fn loot(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, String>> {
        self.stolen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result as one word and as a sentence.
fn tell(outcome: &RefreshOutcome) -> (&'static str, &'static str) {
    match outcome {
        RefreshOutcome::Granted(tokens) => (tokens.kind().as_str(), granted(tokens.kind())),
        RefreshOutcome::SessionEnded(_) => (
            "ended",
            "An old token was used a second time. The session has ended, for the thief and for \
             you: every node refuses its access tokens from now on.",
        ),
        RefreshOutcome::TokenRejected(_) => (
            "refused",
            "The token was refused. Nothing has \
                                                         changed.",
        ),
        RefreshOutcome::Unavailable(_) => ("unavailable", "The store cannot be reached."),
    }
}

fn granted(kind: GrantKind) -> &'static str {
    match kind {
        GrantKind::Rotated => {
            "The thief was first: the token was rotated, and the thief has its successor. Your \
             own next refresh counts as a retry at first. Later, a reuse is detected, and the \
             session ends."
        }
        GrantKind::Recovered => {
            "The thief counts as a client whose response was lost. Your own token is now an \
             orphan: your next refresh ends the session."
        }
        GrantKind::Fresh => {
            "The token was rotated a moment ago and is still the current one: its use is not a \
             reuse. Let the page refresh, then try again."
        }
        GrantKind::Replayed | GrantKind::Held => {
            "So soon after a rotation, this use counts as a second tab or a retry. Let the page \
             refresh, then try again."
        }
        _ => "The thief got an access token.",
    }
}

/// Omits the tokens.
impl fmt::Debug for Thief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thief").finish_non_exhaustive()
    }
}
