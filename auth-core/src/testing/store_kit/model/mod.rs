//! Random histories of clients, thieves, faults and clocks, checked against the invariants of the
//! protocol.
//!
//! 1. A client is one cookie jar with any number of tabs. A request carries the contents of the jar
//!    at the time it is sent. Its response arrives later, out of order, or never. No request lasts
//!    longer than the request deadline.
//! 2. A thief copies tokens, and uses them at any time.
//! 3. The invariants are checked after every act:
//!    - I1: a generation is consumed once, and its successor is one token.
//!    - I2: only the current generation and its direct predecessor are honored.
//!    - I3: an honest client that loses at most three responses in a row meets no reuse, and no end
//!      that was not ordered.
//!    - I4: a revoked session stays revoked.
//!    - I5: a token has the subject of its own session.
//!    - I6: trouble is 503, and no other condition is.
//! 4. A clock step or a restored backup during requests in flight makes their session dishonest: I3
//!    does not apply to it. The other invariants still do.
//! 5. Each node has a revocation list, and a verifier with the maximum leeway. A node refuses the
//!    access tokens of every end that it was asked for or knows from the feed, until they expire,
//!    regardless of issuing node and lifetime (I4). It accepts the tokens of live sessions (I6).

mod access;
mod acts;
mod ends;
mod judge;
mod nodes;
mod published;
mod requests;
mod trouble;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;

use self::access::IssuedAccess;
use self::acts::act;
pub use self::acts::{Act, End};
use self::nodes::{Deployment, KnownEnd, Node, SHORT};
use crate::base::clock::{Clock, SystemClock, Timestamp};
use crate::base::id::SessionId;
use crate::session::store::record::SessionRecord;
use crate::session::{
    ClientInfo, LoginRequest, RefreshOutcome, RefreshToken, SessionEnded, Tokens,
};
use crate::testing::store_kit::{Broken, StoreFixture, Trial, ensure};
use crate::testing::{Fault, KitFailure, StoreOp};

const CLIENTS: u8 = 3;
/// Number of users. Two of the clients belong to one user.
const USERS: u8 = 2;
const MOST_REQUESTS: usize = 8;
const MOST_LOST_IN_A_ROW: u32 = 3;
/// Durations in seconds, on both sides of the protocol's limits.
const WAITS: [u64; 11] = [1, 4, 9, 11, 29, 59, 90, 121, 700, 2000, 90_000];

#[derive(Clone)]
struct Token {
    text: String,
    session: SessionId,
    generation: u32,
}

#[derive(Default)]
struct Client {
    jar: Option<Token>,
    lost_in_a_row: u32,
}

struct ModelRequest {
    client: usize,
    token: Token,
    age: Duration,
    answer: Option<ModelResponse>,
}

enum ModelResponse {
    NewToken(Token),
    Over,
    Nothing,
}

struct Book {
    subject: String,
    /// Whether I3 applies to the session.
    honest: bool,
    /// Whether an end of the session was ordered.
    ordered_end: bool,
    row: Option<SessionRecord>,
}

struct History<'t> {
    trial: &'t Trial<'t>,
    deadline: Duration,
    deployment: Deployment,
    nodes: [Node; 2],
    /// The longest access token lifetime so far.
    longest: Duration,
    access: Vec<IssuedAccess>,
    /// Number of issued access tokens.
    made: u64,
    /// The published entries so far.
    published: Vec<KnownEnd>,
    /// Index of the first entry that the store still has.
    durable_from: usize,
    /// The wall clock without steps.
    true_time: Timestamp,
    clients: Vec<Client>,
    requests: Vec<ModelRequest>,
    stolen: Vec<Token>,
    books: HashMap<SessionId, Book>,
    issued: HashMap<(SessionId, u32), String>,
    backed_up: bool,
    restored: bool,
    clock_stepped: bool,
}

/// Runs one history over a store, and checks the protocol's invariants after every act.
///
/// # Errors
/// [`KitFailure`]: the first broken invariant, and the act that broke it.
pub async fn prove_history(fixture: &dyn StoreFixture, acts: &[Act]) -> Result<(), KitFailure> {
    let proven = async { run(&Trial::new(fixture).await?, acts).await };
    proven.await.map_err(|broken| KitFailure {
        case: "model::history",
        broken,
    })
}

pub(super) async fn random_histories_keep_the_invariants(trial: &Trial<'_>) -> Result<(), Broken> {
    for _ in 0..trial.fixture.rounds() {
        let mut seed = [0; 480];
        ensure(
            rand::fill(&mut seed).is_ok(),
            "the operating system returns random bytes",
        )?;
        let acts: Vec<_> = seed.chunks_exact(3).filter_map(act).collect();
        run(trial, &acts).await?;
    }
    Ok(())
}

async fn run(trial: &Trial<'_>, acts: &[Act]) -> Result<(), Broken> {
    let mut history = History::new(trial)?;
    for client in 0..CLIENTS {
        history.login(client).await?;
    }
    for (at, act) in acts.iter().enumerate() {
        let done = history.act(*act).await;
        done.map_err(|broken| Broken::Promise(format!("act {at}, {act:?}: {broken}")))?;
    }
    history.all_honest_sessions_go_on().await?;
    history.every_end_was_told_once()
}

impl<'t> History<'t> {
    fn new(trial: &'t Trial<'t>) -> Result<Self, Broken> {
        let clock: Arc<dyn Clock> = match trial.fixture.clock() {
            Some(clock) => clock,
            None => Arc::new(SystemClock),
        };
        let true_time = clock.now();
        let deployment = Deployment {
            clock,
            feed: Arc::default(),
            told: Arc::default(),
        };
        let nodes = [
            deployment.start(trial.store.clone(), SHORT)?,
            deployment.start(trial.other.clone(), SHORT)?,
        ];
        let [a, _] = &nodes;
        Ok(Self {
            trial,
            deadline: a.sessions.policy().request_deadline(),
            deployment,
            nodes,
            longest: SHORT,
            access: Vec::new(),
            made: 0,
            published: Vec::new(),
            durable_from: 0,
            true_time,
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            requests: Vec::new(),
            stolen: Vec::new(),
            books: HashMap::new(),
            issued: HashMap::new(),
            backed_up: false,
            restored: false,
            clock_stepped: false,
        })
    }

    async fn act(&mut self, act: Act) -> Result<(), Broken> {
        self.do_act(act).await?;
        self.read_feed();
        // Access tokens are tried when they are issued, and these acts change nothing else.
        let quiet = matches!(
            act,
            Act::Serve { .. }
                | Act::Send(_)
                | Act::Deliver(_)
                | Act::Lose(_)
                | Act::Steal(_)
                | Act::BackUp
        );
        if quiet {
            Ok(())
        } else {
            self.try_all_access().await
        }
    }

    async fn do_act(&mut self, act: Act) -> Result<(), Broken> {
        match act {
            Act::Login(client) => return self.login(client).await,
            Act::Send(client) => self.send(usize::from(client % CLIENTS)),
            Act::Serve {
                request,
                node,
                fault,
            } => return self.serve(request, node, fault).await,
            Act::Deliver(request) => self.deliver(request),
            Act::Lose(request) => self.lose(request),
            Act::Wait(which) => {
                let at = usize::from(which) % WAITS.len();
                self.wait(Duration::from_secs(WAITS.get(at).copied().unwrap_or(1)));
            }
            Act::Steal(client) => {
                let jar = self.jar(client).cloned();
                self.stolen.extend(jar);
            }
            Act::UseStolen(which) => return self.use_stolen(which).await,
            Act::End {
                end,
                client,
                node,
                fault,
            } => return self.end(end, client, node, fault).await,
            Act::StopHalfWay => self.deployment.feed.stop_half_way(),
            Act::Follow(node) => {
                let feed = Arc::clone(&self.deployment.feed);
                self.node_mut(node).follow(&feed);
            }
            Act::Redeploy { node, long } => self.redeploy(node, long)?,
            Act::StepBack(minutes) => self.step_clock(minutes, false),
            Act::StepForward(minutes) => self.step_clock(minutes, true),
            Act::BackUp => {
                self.backed_up |= self.trial.fixture.back_up().await;
                // The limit on lost rotations uses the clock since then.
                self.clock_stepped = false;
            }
            Act::Restore => return self.restore().await,
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.deployment.clock.now()
    }

    fn jar(&self, client: u8) -> Option<&Token> {
        let client = self.clients.get(usize::from(client % CLIENTS))?;
        client.jar.as_ref()
    }

    fn subject(&self, client: u8) -> String {
        self.trial
            .subject(&format!("user{}", client % CLIENTS % USERS))
    }

    fn node(&self, node: bool) -> &Node {
        let [a, b] = &self.nodes;
        if node { a } else { b }
    }

    fn node_mut(&mut self, node: bool) -> &mut Node {
        let [a, b] = &mut self.nodes;
        if node { a } else { b }
    }

    /// Number of failures of the store.
    fn failures(&self) -> u64 {
        let [a, b] = &self.nodes;
        a.failures() + b.failures() + self.deployment.feed.stopped()
    }

    /// A login replaces the jar's session. Requests in flight for that jar are dropped, because a
    /// late response could put the old session back.
    async fn login(&mut self, client: u8) -> Result<(), Broken> {
        let at = usize::from(client % CLIENTS);
        self.requests.retain(|request| request.client != at);
        let subject = self.subject(client);
        let mut request = LoginRequest::for_subject(subject.clone());
        let old = self.jar(client).cloned();
        if let Some(token) = &old {
            request = request.with_replaced_session(token.text.clone());
            self.order_end(token.session);
        }
        let node = client.is_multiple_of(2);
        let tokens = self
            .node(node)
            .sessions
            .login(request)
            .await
            .map_err(|error| Broken::Promise(format!("I6: a login succeeds: {error}")))?;
        if let Some(token) = old
            && let Some(seen) = self.look(token.session).await?
        {
            ensure(!seen.live, "I4: a replaced session is dead")?;
            self.note_asked(node, token.session, true);
        }
        self.books.insert(
            tokens.session(),
            Book {
                subject,
                honest: true,
                ordered_end: false,
                row: None,
            },
        );
        let token = self.note_issued(&tokens)?;
        self.keep_access(&tokens).await?;
        if let Some(client) = self.clients.get_mut(at) {
            client.jar = token;
            client.lost_in_a_row = 0;
        }
        Ok(())
    }

    /// Records an issued token: a generation of a session is one token (I1).
    fn note_issued(&mut self, tokens: &Tokens) -> Result<Option<Token>, Broken> {
        let subject = self.books.get(&tokens.session()).map(|b| &*b.subject);
        ensure(
            subject == Some(tokens.subject()),
            "I5: a token has the subject of its own session",
        )?;
        let Some(text) = tokens.refresh().map(RefreshToken::expose) else {
            return Ok(None);
        };
        let generation = tokens.generation().get();
        let issued = self
            .issued
            .entry((tokens.session(), generation))
            .or_insert_with(|| text.to_owned());
        ensure(issued == text, "I1: a generation is one token")?;
        Ok(Some(Token {
            text: text.to_owned(),
            session: tokens.session(),
            generation,
        }))
    }

    /// Presents a token to a node, and checks every invariant with the row before and after.
    async fn present(
        &mut self,
        token: &Token,
        node: bool,
        fault: Option<(StoreOp, Fault)>,
    ) -> Result<ModelResponse, Broken> {
        let before = self.look(token.session).await?;
        let (failures, stopped) = (self.failures(), self.deployment.feed.stopped());
        let serving = self.node(node);
        if let Some((op, fault)) = fault {
            serving.store.inject(Some(op), fault, 1);
        }
        let client = ClientInfo::new();
        let outcome = serving.sessions.refresh(&token.text, &client).await;
        serving.store.forget_faults();
        let failed = self.failures() > failures;
        let after = self.look(token.session).await?;
        self.judge(token, before.as_ref(), after.as_ref(), &outcome, failed)?;
        let of_revoking =
            matches!(fault, Some((StoreOp::Revoke, _))) || self.deployment.feed.stopped() > stopped;
        Ok(match outcome {
            RefreshOutcome::Granted(tokens) => {
                self.keep_access(&tokens).await?;
                match self.note_issued(&tokens)? {
                    Some(token) => ModelResponse::NewToken(token),
                    None => ModelResponse::Nothing,
                }
            }
            RefreshOutcome::SessionEnded(terminal) => {
                if matches!(terminal, SessionEnded::Reuse(_)) {
                    self.note_asked(node, token.session, true);
                }
                ModelResponse::Over
            }
            RefreshOutcome::Unavailable(_) if failed && of_revoking => {
                self.note_asked(node, token.session, false);
                ModelResponse::Nothing
            }
            RefreshOutcome::TokenRejected(_) | RefreshOutcome::Unavailable(_) => {
                ModelResponse::Nothing
            }
        })
    }

    /// Loads the current row: a revoked session stays revoked (I4).
    async fn look(&mut self, session: SessionId) -> Result<Option<Observed>, Broken> {
        let loaded = self.trial.other.load(&session).await?;
        let seen = loaded.map(|loaded| Observed {
            live: loaded
                .record
                .is_live(loaded.current_subject_version, loaded.now),
            row: loaded.record,
        });
        if let Some(book) = self.books.get_mut(&session) {
            let revoked = |row: Option<&SessionRecord>| row.and_then(|row| row.revoked);
            let (old, new) = (book.row.as_ref(), seen.as_ref().map(|seen| &seen.row));
            if let (Some(old), Some(_)) = (revoked(old), new) {
                ensure(
                    revoked(new) == Some(old),
                    "I4: a revoked session stays revoked",
                )?;
            }
            book.row = new.cloned();
        }
        Ok(seen)
    }

    async fn use_stolen(&mut self, which: u8) -> Result<(), Broken> {
        let count = self.stolen.len().max(1);
        let Some(token) = self.stolen.get(usize::from(which) % count).cloned() else {
            return Ok(());
        };
        if let Some(book) = self.books.get_mut(&token.session) {
            book.honest = false;
        }
        if let ModelResponse::NewToken(token) =
            self.present(&token, which.is_multiple_of(2), None).await?
        {
            self.stolen.push(token);
        }
        Ok(())
    }

    fn every_end_was_told_once(&self) -> Result<(), Broken> {
        let mut told = self.deployment.told.take();
        told.sort_unstable();
        let twice = told.windows(2).any(|two| matches!(two, [a, b] if a == b));
        ensure(!twice, "an end is emitted once")
    }

    /// Checks that every honest session can refresh at the end, unless its end was ordered or its
    /// time is over.
    async fn all_honest_sessions_go_on(&mut self) -> Result<(), Broken> {
        for at in 0..CLIENTS {
            let Some(token) = self.jar(at).cloned() else {
                continue;
            };
            let expected = self
                .books
                .get(&token.session)
                .is_some_and(|book| book.honest && !book.ordered_end);
            let before = self.look(token.session).await?;
            let ended = before.is_none_or(|seen| seen.row.revoked.is_none() && !seen.live);
            let answer = self.present(&token, true, None).await?;
            ensure(
                !expected || ended || !matches!(answer, ModelResponse::Over),
                "I3: no session is lost",
            )?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Observed {
    live: bool,
    row: SessionRecord,
}
