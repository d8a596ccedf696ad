//! `/shim/…`: the strings that a test pulls.

use std::time::Duration;

use auth_core::session::{EndedBy, SessionId, Unavailable};
use auth_core::testing::{Fault, StoreOp};
use auth_core::{Clock, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::app::User;
use super::sessions::{FOLLOW_WAIT, SessionPart};
use super::setup::Setup;

/// A status, and a JSON body unless it is null.
pub type Reply = (u16, Value);

const NOT_FOUND: Reply = (404, Value::Null);
const NOTHING_TO_SAY: Reply = (204, Value::Null);

/// What happens to the clock, in seconds, forwards or back.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Turn {
    /// Time passes; it does not go back, the wall clock then does.
    AdvanceS(i64),
    /// The wall clock alone is set.
    StepS(i64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlannedFault {
    op: Op,
    mode: Mode,
    count: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Load,
    Write,
    Insert,
    Revoke,
    List,
    Any,
    /// The revocation feed, until a count of 0.
    Feed,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Down,
    LostAnswer,
    Slow,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Revoked {
    Sid(String),
    Sub(String),
}

impl Setup {
    /// Answers `/shim/{op}`.
    pub async fn control(&self, method: &str, op: &str, body: &[u8]) -> Reply {
        let wanted = if op == "stats" { "GET" } else { "POST" };
        if method != wanted {
            return (405, Value::Null);
        }
        let reply = match (op, &self.sessions) {
            ("clock", _) => match read(body) {
                Ok(by) => Ok(self.advance(by).await),
                Err(reply) => Err(reply),
            },
            ("stats", _) => Ok(self.stats()),
            (_, None) => Ok(NOT_FOUND),
            ("fault", Some(part)) => read(body).map(|fault| part.fault(fault)),
            ("purge", Some(part)) => Ok(part.purge().await),
            ("revoke", Some(part)) => match read(body) {
                Ok(what) => Ok(part.revoke(what).await),
                Err(reply) => Err(reply),
            },
            ("user", Some(part)) => read(body).map(|user: User| {
                part.users.say(user);
                NOTHING_TO_SAY
            }),
            _ => Ok(NOT_FOUND),
        };
        reply.unwrap_or_else(|refused| refused)
    }

    /// What there is to count; without a store, as if nothing had ever happened to one.
    fn stats(&self) -> Reply {
        let part = self.sessions.as_ref();
        let known = part.and_then(|part| part.revocations.as_ref());
        let staleness = known.and_then(|known| known.staleness());
        let stats = json!({
            "store_calls": part.map_or(0, |part| part.store.calls()),
            "jwks_fetches": self.issuers.fetches(),
            "revoked_entries": known.map_or(0, |known| known.list().len()),
            "feed_staleness_ms": staleness.map(|time| u64::try_from(time.as_millis()).ok()),
            "events": part.map_or_else(Vec::new, |part| part.journal.read()),
        });
        (200, stats)
    }

    /// Moves the manual clock; stores that are driven go by the same one.
    async fn advance(&self, turn: Turn) -> Reply {
        let Some(clock) = &self.clock else {
            return (
                409,
                json!({ "error": "the system's clock is not ours to move" }),
            );
        };
        match turn {
            Turn::AdvanceS(by @ 0..) => clock.advance(Duration::from_secs(by.unsigned_abs())),
            Turn::AdvanceS(by) | Turn::StepS(by) => {
                clock.set(Timestamp::from_secs(
                    clock.now().as_secs().saturating_add(by),
                ));
            }
        }
        self.catch_up().await;
        NOTHING_TO_SAY
    }

    /// Gives the follower of the revocations time for one look at the new hour: it is the clock
    /// that jumped, the node missed nothing. A feed that is down stays as stale as it is.
    async fn catch_up(&self) {
        let Some(part) = self.sessions.as_ref().filter(|part| !part.feed.is_down()) else {
            return;
        };
        let Some(revocations) = &part.revocations else {
            return;
        };
        for _ in 0..25 {
            if revocations.staleness() == Some(Duration::ZERO) {
                return;
            }
            tokio::time::sleep(FOLLOW_WAIT).await;
        }
    }
}

impl SessionPart {
    fn fault(&self, fault: PlannedFault) -> Reply {
        let op = match fault.op {
            Op::Load => Some(StoreOp::Load),
            Op::Write => Some(StoreOp::Write),
            Op::Insert => Some(StoreOp::Insert),
            Op::Revoke => Some(StoreOp::Revoke),
            Op::List => Some(StoreOp::List),
            Op::Any => None,
            Op::Feed => {
                self.feed.set_down(fault.count > 0);
                return NOTHING_TO_SAY;
            }
        };
        let mode = match fault.mode {
            Mode::Down => Fault::Down,
            Mode::LostAnswer => Fault::LostAnswer,
            Mode::Slow => Fault::Slow,
        };
        self.store.inject(op, mode, fault.count);
        NOTHING_TO_SAY
    }

    async fn purge(&self) -> Reply {
        done(
            self.sessions
                .purge()
                .await
                .map(|removed| json!({ "removed": removed })),
        )
    }

    async fn revoke(&self, what: Revoked) -> Reply {
        let revoked = match what {
            Revoked::Sub(subject) => self
                .sessions
                .end_all(&subject, EndedBy::App)
                .await
                .map(|()| true),
            Revoked::Sid(sid) => match SessionId::parse(&sid) {
                Some(session) => self.sessions.end(session, EndedBy::App).await,
                None => return (400, Value::Null),
            },
        };
        done(revoked.map(|revoked| json!({ "revoked": revoked })))
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|error| (400, json!({ "error": error.to_string() })))
}

fn done(result: Result<Value, Unavailable>) -> Reply {
    result.map_or((503, Value::Null), |value| (200, value))
}
