//! Single flight: concurrent requests of one session on one node take turns, and later ones share
//! the row that an earlier one has loaded.
//!
//! 1. Only the row is shared, never a response: each request decides with its own token.
//! 2. A row is shared only with requests that arrived before the load or write of it began. For
//!    them it is as good as a load of their own, so no request sees a session as live that ended
//!    before the request arrived.
//! 3. A request that is dropped, at any await, passes its turn to the next.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Turns, MutexGuard as TurnGuard};

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::session::store::LoadedSession;

/// The sessions with requests in progress.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<SessionId, FlightEntry>>);

#[derive(Debug)]
struct FlightEntry {
    users: usize,
    flight: Arc<Flight>,
}

#[derive(Debug, Default)]
struct Flight {
    arrivals: AtomicU64,
    turns: Turns<Option<FlightState>>,
}

/// A row loaded by one request, and the requests for which it is fresh enough.
#[derive(Debug)]
struct FlightState {
    /// Number of requests that had arrived before the load or write began.
    covers: u64,
    seen: FlightRecord,
}

/// A row, and the time of this node just before the load or write of it.
#[derive(Clone, Debug)]
pub(crate) struct FlightRecord {
    pub(crate) loaded: LoadedSession,
    pub(crate) began: Timestamp,
}

impl Flights {
    /// Joins the requests of a session.
    pub(crate) fn join(&self, id: SessionId) -> Ticket<'_> {
        let mut entries = self.entries();
        let entry = entries.entry(id).or_insert_with(|| FlightEntry {
            users: 0,
            flight: Arc::default(),
        });
        entry.users += 1;
        let flight = Arc::clone(&entry.flight);
        let number = flight.arrivals.fetch_add(1, Ordering::SeqCst) + 1;
        Ticket {
            flights: self,
            id,
            flight,
            number,
        }
    }

    /// No code under this lock can panic half-way.
    fn entries(&self) -> MutexGuard<'_, HashMap<SessionId, FlightEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }
}

/// The place of a request among those of its session.
#[derive(Debug)]
pub(crate) struct Ticket<'f> {
    flights: &'f Flights,
    id: SessionId,
    flight: Arc<Flight>,
    number: u64,
}

impl Ticket<'_> {
    /// Waits until it is this request's turn.
    pub(crate) async fn turn(&self) -> FlightTurn<'_> {
        FlightTurn {
            shared: self.flight.turns.lock().await,
            flight: &self.flight,
            number: self.number,
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut entries = self.flights.entries();
        if let Some(entry) = entries.get_mut(&self.id) {
            entry.users -= 1;
            if entry.users == 0 {
                entries.remove(&self.id);
            }
        }
    }
}

/// The right to load and write the row of a session. Dropping it passes the turn on.
#[derive(Debug)]
pub(crate) struct FlightTurn<'t> {
    shared: TurnGuard<'t, Option<FlightState>>,
    flight: &'t Flight,
    number: u64,
}

impl FlightTurn<'_> {
    /// The row loaded by an earlier request, if it is fresh enough for this one.
    pub(crate) fn shared(&self) -> Option<&FlightRecord> {
        self.shared
            .as_ref()
            .filter(|shared| shared.covers >= self.number)
            .map(|shared| &shared.seen)
    }

    /// Number of arrived requests. Read it just before the load or write, for
    /// [`FlightTurn::publish`].
    pub(crate) fn arrivals(&self) -> u64 {
        self.flight.arrivals.load(Ordering::SeqCst)
    }

    /// Shares a row with the first `covers` requests, and passes the turn on.
    pub(crate) fn publish(mut self, covers: u64, seen: FlightRecord) {
        *self.shared = Some(FlightState { covers, seen });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{Generation, SessionId};
    use crate::session::store::LoadedSession;
    use crate::session::store::record::{SessionDetails, SessionRecord};

    fn seen() -> FlightRecord {
        let at = Timestamp::from_secs(1);
        FlightRecord {
            loaded: LoadedSession {
                record: SessionRecord {
                    id: SessionId::from_bytes([1; 16]),
                    subject: "ada".into(),
                    subject_version: 0,
                    generation: Generation::FIRST,
                    predecessor: None,
                    recovered: 0,
                    created_at: at,
                    rotated_at: at,
                    last_used_at: at,
                    idle_expires_at: at,
                    absolute_expires_at: at,
                    revoked: None,
                    details: SessionDetails::default(),
                },
                current_subject_version: 0,
                now: at,
            },
            began: at,
        }
    }

    #[tokio::test]
    async fn rule_3_a_row_is_shared_with_those_who_were_there_before_it_was_loaded() {
        let flights = Flights::default();
        let id = SessionId::from_bytes([1; 16]);
        let (leader, early) = (flights.join(id), flights.join(id));
        let turn = leader.turn().await;
        assert!(turn.shared().is_none());
        let covers = turn.arrivals();
        let late = flights.join(id);
        turn.publish(covers, seen());
        assert!(early.turn().await.shared().is_some());
        assert!(late.turn().await.shared().is_none());
        let elsewhere = flights.join(SessionId::from_bytes([2; 16]));
        assert!(elsewhere.turn().await.shared().is_none());
    }

    #[tokio::test]
    async fn nothing_is_kept_of_a_session_that_nobody_asks_about() {
        let flights = Flights::default();
        let id = SessionId::from_bytes([1; 16]);
        let (one, two) = (flights.join(id), flights.join(id));
        one.turn().await.publish(2, seen());
        drop(one);
        assert!(!flights.is_empty());
        drop(two);
        assert!(flights.is_empty());
        assert!(flights.join(id).turn().await.shared().is_none());
    }
}
