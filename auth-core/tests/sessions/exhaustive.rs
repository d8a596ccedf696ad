//! Every short schedule of one honest client: any number of tabs with one cookie jar, slow
//! requests, late and lost responses, retries. None leads to reuse with the minimum rotation
//! interval of the policy. The search is sharp: with a shorter interval, it finds reuse.

use std::collections::HashSet;
use std::time::Duration;

use auth_core::Timestamp;
use auth_core::session::{GrantKind, SessionId, SessionPolicy};
use auth_core::store::{Generation, LoadedSession, SessionDetails, SessionRecord};
use auth_core::testing::{Decision, Grant, decide};

const WINDOW: i64 = 10;
const DEADLINE: i64 = 30;
/// Exactly reuse interval + 2 × deadline, the minimum that the policy accepts.
const SETTLE: i64 = 70;
const T0: i64 = 1_800_000_000;
const MOST_TABS: usize = 3;
const MOST_LOST_IN_A_ROW: u8 = 3;

/// A request in flight, or its response. Ages are in seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Request {
    token: u32,
    age: i64,
    answer: Option<Option<u32>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    generation: u32,
    predecessor: Option<u32>,
    recovered: u8,
    /// Seconds since the rotation, capped where it makes no difference.
    age: i64,
    jar: u32,
    lost_in_a_row: u8,
    requests: Vec<Request>,
}

impl State {
    fn new() -> Self {
        Self {
            generation: 0,
            predecessor: None,
            recovered: 0,
            age: 0,
            jar: 0,
            lost_in_a_row: 0,
            requests: Vec::new(),
        }
    }

    fn decide(&self, token: u32, policy: &SessionPolicy) -> Decision {
        let rotated_at = Timestamp::from_secs(T0);
        let end = Timestamp::from_secs(T0 + 1_000_000_000);
        let loaded = LoadedSession {
            record: SessionRecord {
                id: SessionId::from_bytes([0; 16]),
                subject: "ada".into(),
                subject_version: 0,
                generation: Generation::new(self.generation),
                predecessor: self.predecessor.map(Generation::new),
                recovered: self.recovered,
                created_at: rotated_at,
                rotated_at,
                last_used_at: rotated_at,
                idle_expires_at: end,
                absolute_expires_at: end,
                revoked: None,
                details: SessionDetails::default(),
            },
            current_subject_version: 0,
            now: Timestamp::from_secs(T0 + self.age),
        };
        decide(Some(&loaded), Generation::new(token), policy)
    }

    /// A node responds: the new state, or `None` for a decision on reuse.
    fn serve(&self, at: usize, policy: &SessionPolicy) -> Option<Self> {
        let mut next = self.clone();
        let token = self.requests[at].token;
        let decision = self.decide(token, policy);
        if let Some(step) = decision.step() {
            next.generation = step.generation.get();
            next.predecessor = step.predecessor.map(Generation::get);
            next.recovered = step.recovered;
            next.age = 0;
        }
        let answer = match decision {
            Decision::Grant(Grant {
                kind: GrantKind::Held,
                ..
            }) => None,
            Decision::Grant(_) => Some(next.generation),
            Decision::Refuse(_) => return None,
        };
        next.requests[at].answer = Some(answer);
        Some(next)
    }

    fn deliver(&self, at: usize) -> Self {
        let mut next = self.clone();
        let request = next.requests.remove(at);
        if let Some(Some(token)) = request.answer {
            next.jar = token;
            next.lost_in_a_row = 0;
        }
        next
    }

    fn lose(&self, at: usize) -> Option<Self> {
        let mut next = self.clone();
        let request = next.requests.remove(at);
        if let Some(Some(_)) = request.answer {
            if self.lost_in_a_row == MOST_LOST_IN_A_ROW {
                return None;
            }
            next.lost_in_a_row += 1;
        }
        Some(next)
    }

    fn wait(&self, by: i64, min_rotation_interval: i64) -> Option<Self> {
        let mut next = self.clone();
        next.age = (next.age + by).min(min_rotation_interval + 1);
        for request in &mut next.requests {
            request.age += by;
            if request.age > DEADLINE {
                return None;
            }
        }
        Some(next)
    }

    /// Renumbers the generations from the lowest one in use, so that states which differ only in
    /// their age are equal.
    fn normalised(mut self) -> Self {
        self.requests.sort();
        let held = self.requests.iter().flat_map(|request| {
            [Some(request.token), request.answer.flatten()]
                .into_iter()
                .flatten()
        });
        let least = held
            .chain([self.jar, self.generation])
            .chain(self.predecessor)
            .min()
            .unwrap_or(0);
        if self.predecessor.is_some() {
            self.generation -= least;
            self.predecessor = self.predecessor.map(|p| p - least);
            self.jar -= least;
            for request in &mut self.requests {
                request.token -= least;
                request.answer = request.answer.map(|a| a.map(|token| token - least));
            }
        }
        self
    }

    fn send(&self) -> Option<Self> {
        if self.requests.len() == MOST_TABS {
            return None;
        }
        let mut next = self.clone();
        next.requests.push(Request {
            token: self.jar,
            age: 0,
            answer: None,
        });
        Some(next)
    }
}

struct Found {
    states: usize,
    reuse: bool,
}

/// Explores every schedule of at most `depth` acts.
fn search(min_rotation_interval: i64, depth: u32) -> Found {
    let secs = |secs: i64| Duration::from_secs(secs.unsigned_abs());
    let policy = SessionPolicy::default()
        .with_reuse_interval(secs(WINDOW))
        .with_min_rotation_interval(secs(min_rotation_interval))
        .with_request_deadline(secs(DEADLINE));
    let mut seen = HashSet::new();
    let mut frontier = vec![State::new()];
    for _ in 0..depth {
        let mut next = Vec::new();
        for state in frontier {
            let mut push = |state: State| {
                let state = state.normalised();
                if seen.insert(state.clone()) {
                    next.push(state);
                }
            };
            state.send().into_iter().for_each(&mut push);
            for by in [WINDOW - 1, WINDOW + 1, DEADLINE, SETTLE + 1] {
                state
                    .wait(by, min_rotation_interval)
                    .into_iter()
                    .for_each(&mut push);
            }
            for at in 0..state.requests.len() {
                if state.requests[at].answer.is_some() {
                    push(state.deliver(at));
                } else {
                    match state.serve(at, &policy) {
                        Some(served) => push(served),
                        None => {
                            return Found {
                                states: seen.len(),
                                reuse: true,
                            };
                        }
                    }
                }
                state.lose(at).into_iter().for_each(&mut push);
            }
        }
        frontier = next;
    }
    Found {
        states: seen.len(),
        reuse: false,
    }
}

#[test]
fn i3_no_short_schedule_of_one_honest_client_finds_reuse() {
    let found = search(SETTLE, 14);
    println!("{} states, no reuse", found.states);
    assert!(!found.reuse);
    assert!(found.states > 10_000);
}

#[test]
fn i3_the_search_finds_reuse_where_settle_is_too_short() {
    let found = search(WINDOW + 1, 14);
    assert!(found.reuse);
    let short = SessionPolicy::default()
        .with_min_rotation_interval(Duration::from_secs(WINDOW.unsigned_abs() + 1));
    assert!(short.check(Duration::from_secs(600)).is_err());
}
