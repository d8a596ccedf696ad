//! Races: N clients, half of them at one process and half at another, present tokens of one session
//! at the same moment.
//!
//! The clock stands still during a race and moves beyond settle between two, so that every race is
//! about a rotation that is due. What must come of each kind:
//!
//! | race | everybody presents | answers | writes |
//! |---|---|---|---|
//! | due | the current token | one rotated, all others replayed; one successor | 1 |
//! | lost | the last-but-one token, as after a lost answer | one recovered, all others replayed; one successor | 1 |
//! | tabs | the current or the last-but-one token, both within the window | fresh or replayed; one successor | 0 |
//! | theft | the current or the last-but-one token, after settle | the session ends, once, on both processes | 1, and 1 revocation; no write if it was recovered three times |
//! | logout | the current token, and one of them signs out | granted or refused; ended for good on both | at most 1, and 1 revocation |

use std::collections::HashSet;
use std::time::{Duration, Instant};

use auth_core::{Clock, SystemClock, Timestamp};
use tokio::task::JoinSet;

use super::Outcome;
use super::app::Setup;
use super::backend::Counts;
use super::client::{Client, Reply};
use super::node::{Node, Program};
use super::random::Random;
use super::report::Report;

const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Due,
    Lost,
    Theft,
    Logout,
}

/// Two processes over one store.
#[derive(Debug)]
pub struct Pair {
    nodes: [Node; 2],
    /// `None` if everybody goes by their own clock.
    now: Option<Timestamp>,
    counted: Counts,
}

/// How much to race.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// At most this long for each number of clients.
    pub time: Duration,
    /// At most this many rounds for each number of clients.
    pub rounds: u64,
}

impl Pair {
    /// Starts both.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start(program: &Program, store: &str, driven: bool) -> Outcome<Self> {
        let mut setup = Setup::on(store);
        let now = driven.then(|| SystemClock.now());
        if let Some(now) = now {
            setup = setup.with_clock(now);
        }
        Ok(Self {
            nodes: [
                Node::start(program, setup.clone()).await?,
                Node::start(program, setup).await?,
            ],
            now,
            counted: Counts::default(),
        })
    }

    async fn counted(&mut self) -> Outcome<Counts> {
        let [one, other] = &self.nodes;
        let counts = one.counts().await?.plus(other.counts().await?);
        let since = counts.since(self.counted);
        self.counted = counts;
        Ok(since)
    }

    async fn next_rotation_is_due(&mut self) -> Outcome<()> {
        if let Some(now) = &mut self.now {
            *now = now.saturating_add(self.nodes[0].setup().beyond_settle());
            for node in &self.nodes {
                node.set_clock(*now).await?;
            }
        }
        Ok(())
    }
}

/// One session, and the clients that race for it.
struct Racer {
    clients: Vec<Client>,
    number: usize,
    logins: u64,
    session: Option<Session>,
}

#[derive(Clone)]
struct Session {
    subject: String,
    current: String,
    generation: u32,
    previous: Option<String>,
    recovered: u32,
}

impl Racer {
    fn new(number: usize, clients: usize, nodes: &[Node; 2]) -> Self {
        let client = |n: usize| Client::new(nodes[n % 2].address(), PATIENCE);
        Self {
            clients: (0..clients).map(client).collect(),
            number,
            logins: 0,
            session: None,
        }
    }

    async fn ready(&mut self) -> Outcome<Session> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        self.logins += 1;
        let subject = format!("racer-{}-{}", self.number, self.logins);
        let reply = self.clients[0].login(&subject).await?;
        let current = reply.refresh.ok_or("a login without a token")?;
        let session = Session {
            subject,
            current,
            generation: 0,
            previous: None,
            recovered: 0,
        };
        self.session = Some(session.clone());
        Ok(session)
    }

    /// Everybody presents what `token` says, all at once; whoever it says nothing for signs out.
    async fn race(
        &mut self,
        current: &str,
        token: impl Fn(usize) -> Option<String>,
    ) -> Vec<std::io::Result<Reply>> {
        for client in &mut self.clients {
            let _ = client.connect().await;
        }
        let mut flying = JoinSet::new();
        for (n, mut client) in self.clients.drain(..).enumerate() {
            let (token, current) = (token(n), current.to_owned());
            flying.spawn(async move {
                let reply = match token {
                    Some(token) => client.refresh(&token).await,
                    None => client.logout(&current).await,
                };
                (n, client, reply)
            });
        }
        let mut done = flying.join_all().await;
        done.sort_by_key(|(n, ..)| *n);
        let mut replies = Vec::with_capacity(done.len());
        for (_, client, reply) in done {
            self.clients.push(client);
            replies.push(reply);
        }
        replies
    }
}

/// What one race contributed.
#[derive(Default)]
struct Tally {
    writes: u64,
    writes_at_most: u64,
    revocations: u64,
    reports: Report,
}

/// Races on this pair with `clients` clients at a time.
///
/// # Errors
/// If a process does not answer at all.
pub async fn run(pair: &mut Pair, name: &str, clients: usize, effort: Effort) -> Outcome<Report> {
    let began = Instant::now();
    let mut report = Report::new(format!("{name}, {clients} clients"));
    let mut random = Random::new(clients as u64);
    let at_once = (64 / clients).clamp(1, 16);
    let mut racers: Vec<Racer> = (0..at_once)
        .map(|number| Racer::new(number, clients, &pair.nodes))
        .collect();
    let driven = pair.now.is_some();
    pair.counted().await?;
    while began.elapsed() < effort.time && report.rounds < effort.rounds {
        let mut batch = JoinSet::new();
        for mut racer in racers.drain(..) {
            let dice = random.below(100);
            batch.spawn(async move {
                let tally = round(&mut racer, dice, driven).await;
                (racer, tally)
            });
        }
        let mut total = Tally::default();
        for (racer, tally) in batch.join_all().await {
            racers.push(racer);
            let tally = tally?;
            total.writes += tally.writes;
            total.writes_at_most += tally.writes_at_most;
            total.revocations += tally.revocations;
            report.add(tally.reports);
        }
        let counted = pair.counted().await?;
        if counted.advanced > total.writes_at_most {
            let over = counted.advanced - total.writes_at_most;
            report.double_wins += over;
            report
                .violations
                .push(format!("{over} writes too many in a batch"));
        }
        if counted.advanced < total.writes || counted.revoked != total.revocations {
            report.wrong(|| {
                format!(
                    "{} writes for {} rotations, {} revocations for {}",
                    counted.advanced, total.writes, counted.revoked, total.revocations
                )
            });
        }
        pair.next_rotation_is_due().await?;
    }
    report.took = began.elapsed();
    Ok(report)
}

fn kind_of(session: &Session, dice: u64, driven: bool) -> Kind {
    match dice {
        0..4 => Kind::Logout,
        _ if !driven || session.previous.is_none() => Kind::Due,
        4..8 => Kind::Theft,
        8..20 if session.recovered < 3 => Kind::Lost,
        _ => Kind::Due,
    }
}

async fn round(racer: &mut Racer, dice: u64, driven: bool) -> Outcome<Tally> {
    if !driven {
        // Only the first use of a login is due at once.
        racer.session = None;
    }
    let session = racer.ready().await?;
    let kind = kind_of(&session, dice, driven);
    let previous = session.previous.clone().unwrap_or_default();
    let current = session.current.clone();
    let replies = racer
        .race(&current, |n| match kind {
            Kind::Due => Some(current.clone()),
            Kind::Lost => Some(previous.clone()),
            Kind::Theft if n % 3 == 1 => Some(previous.clone()),
            Kind::Theft => Some(current.clone()),
            Kind::Logout => (n != 1).then(|| current.clone()),
        })
        .await;
    let mut tally = Tally::default();
    tally.reports.rounds = 1;
    tally.reports.requests = replies.len() as u64;
    match kind {
        Kind::Due | Kind::Lost => {
            tally.writes = 1;
            tally.writes_at_most = 1;
            let word = if kind == Kind::Due {
                "rotated"
            } else {
                "recovered"
            };
            let next = judge(
                &session,
                &replies,
                word,
                "replayed",
                (1, session.generation + 1),
                &mut tally.reports,
            );
            if kind == Kind::Lost {
                // The token that was orphaned by it is not honest any more.
                racer.session = next.map(|next| Session {
                    previous: session.previous.clone(),
                    recovered: session.recovered + 1,
                    ..next
                });
            } else {
                racer.session = next;
            }
            if let Some(session) = racer.session.clone().filter(|_| dice.is_multiple_of(4)) {
                tabs(racer, &session, &mut tally.reports).await;
            }
        }
        Kind::Theft | Kind::Logout => {
            tally.revocations = 1;
            tally.writes_at_most = 1;
            // After three recoveries in a row the last-but-one token is reuse at once.
            tally.writes = u64::from(kind == Kind::Theft && session.recovered < 3);
            for reply in &replies {
                let fair = reply.as_ref().is_ok_and(|reply| {
                    matches!(reply.status, 200 | 400) || kind == Kind::Logout && reply.status == 204
                });
                if !fair {
                    tally.reports.wrong(|| format!("{kind:?}: {reply:?}"));
                }
            }
            ended_for_good(racer, &current, &mut tally.reports).await;
            racer.session = None;
        }
    }
    Ok(tally)
}

/// Whether all answers are good, as many as said say `winner`, the rest `others`, and everybody
/// has one token, of the generation that was expected.
fn judge(
    session: &Session,
    replies: &[std::io::Result<Reply>],
    winner: &str,
    others: &str,
    (winners, expected): (usize, u32),
    report: &mut Report,
) -> Option<Session> {
    let who = &session.subject;
    let mut won = 0;
    let mut successors = HashSet::new();
    for reply in replies {
        let grant = reply.as_ref().ok().and_then(Reply::grant);
        let Some((grant, reply)) = grant.zip(reply.as_ref().ok()) else {
            report.wrong(|| format!("{who}: {winner}: {reply:?}"));
            continue;
        };
        if grant.outcome == winner {
            won += 1;
        } else if grant.outcome != others {
            report.wrong(|| format!("{who}: {} where {winner} was due", grant.outcome));
        }
        if reply.access.is_none() {
            report.wrong(|| format!("{who}: no access token"));
        }
        successors.insert((reply.refresh.clone(), grant.generation));
    }
    if won > winners {
        report.double_win(|| format!("{who}: {won} answers say {winner}"));
    }
    if won < winners {
        report.wrong(|| format!("{who}: {won} answers say {winner}"));
    }
    if successors.len() > 1 {
        report.wrong(|| format!("{who}: {} successors", successors.len()));
    }
    let next = successors.into_iter().next();
    let Some((Some(current), generation)) = next else {
        report.lost(|| format!("{who}: nobody got a successor"));
        return None;
    };
    if generation != expected {
        report.wrong(|| format!("{who}: generation {generation}, not {expected}"));
    }
    Some(Session {
        subject: session.subject.clone(),
        previous: Some(session.current.clone()),
        current,
        generation,
        recovered: 0,
    })
}

/// Right after a rotation both tokens are good, and nothing is written for either.
async fn tabs(racer: &mut Racer, session: &Session, report: &mut Report) {
    let previous = session.previous.clone().unwrap_or_default();
    let current = session.current.clone();
    let replies = racer
        .race(&current, |n| {
            Some(if n % 2 == 0 {
                current.clone()
            } else {
                previous.clone()
            })
        })
        .await;
    report.rounds += 1;
    report.requests += replies.len() as u64;
    let next = judge(
        session,
        &replies,
        "fresh",
        "replayed",
        (replies.len().div_ceil(2), session.generation),
        report,
    );
    if next.is_some_and(|next| next.current != session.current) {
        report.wrong(|| format!("{}: a fresh token was replaced", session.subject));
    }
}

/// I4, on both processes.
async fn ended_for_good(racer: &mut Racer, token: &str, report: &mut Report) {
    for client in racer.clients.iter_mut().take(2) {
        let reply = client.refresh(token).await;
        report.requests += 1;
        if !reply.as_ref().is_ok_and(|reply| reply.status == 400) {
            report.wrong(|| format!("a session that was ended: {reply:?}"));
        }
    }
}
