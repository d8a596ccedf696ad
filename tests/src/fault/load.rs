//! Honest people, who use the app while somebody pulls plugs.
//!
//! 1. Each has one cookie jar, presents what is in it, and puts into it what an answer sets, in the
//!    order in which answers arrive.
//! 2. No answer, or 503, means: the same token again, at any of the processes.
//! 3. They open two tabs at once, go away before an answer arrives, look at a page, and sign out
//!    and in again. After they have signed out, the old token must be refused for good.
//! 4. In the end, when everything works again, each must get on with what is in the jar.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client::{Client, Reply};
use super::history::{Fault, History};
use super::random::Random;
use super::report::Report;

/// Less than half of what the short policy has between window and settle.
const PATIENCE: Duration = Duration::from_millis(1700);
/// How long things may take to work again.
const RECOVERY: Duration = Duration::from_secs(20);

/// How people behave.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How many sign in again and again: their first refresh is always due.
    pub quick: u64,
    /// How many stay, and come back around the settle time.
    pub steady: u64,
    /// How long the quick ones rest at most.
    pub rest: Duration,
    /// Settle.
    pub min_rotation_interval: Duration,
}

impl Crowd {
    /// As many as the short policy and two processes bear easily.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            quick: 40,
            steady: 40,
            rest: Duration::from_millis(200),
            min_rotation_interval: Duration::from_secs(4),
        }
    }
}

/// People who are busy.
#[derive(Debug)]
pub struct Load {
    people: JoinSet<Person>,
    shared: Arc<LoadState>,
    began: Instant,
}

#[derive(Debug)]
struct LoadState {
    nodes: Vec<SocketAddr>,
    crowd: Crowd,
    over: AtomicBool,
    granted: AtomicU64,
    failed: AtomicU64,
}

impl Load {
    /// Sends them to these processes.
    #[must_use]
    pub fn start(nodes: Vec<SocketAddr>, crowd: Crowd) -> Self {
        let shared = Arc::new(LoadState {
            nodes,
            crowd,
            over: AtomicBool::new(false),
            granted: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let mut people = JoinSet::new();
        for number in 0..crowd.quick + crowd.steady {
            let person = Person::new(number, Arc::clone(&shared));
            people.spawn(person.live());
        }
        Self {
            people,
            shared,
            began: Instant::now(),
        }
    }

    /// How many refreshes were granted so far.
    #[must_use]
    pub fn granted(&self) -> u64 {
        self.shared.granted.load(SeqCst)
    }

    /// Waits until something is granted: how long that took. `None` if nothing is.
    pub async fn first_success(&self) -> Option<Duration> {
        first(&self.shared.granted).await
    }

    /// Waits until somebody is answered 503, or not at all. `None` if nobody is.
    pub async fn first_failure(&self) -> Option<Duration> {
        first(&self.shared.failed).await
    }

    /// Lets them finish, now that everything works again, and asks each how it went.
    pub async fn finish(self, name: &str) -> Report {
        self.shared.over.store(true, SeqCst);
        let mut report = Report::new(name);
        let mut last = JoinSet::new();
        for mut person in self.people.join_all().await {
            last.spawn(async move {
                person.check_out().await;
                person.report
            });
        }
        for part in last.join_all().await {
            report.add(part);
        }
        report.took = self.began.elapsed();
        report
    }
}

/// Waits until something more is counted: how long that took. `None` if nothing is.
async fn first(counter: &AtomicU64) -> Option<Duration> {
    let (began, before) = (Instant::now(), counter.load(SeqCst));
    while counter.load(SeqCst) == before {
        if began.elapsed() > RECOVERY {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Some(began.elapsed())
}

#[derive(Clone, Debug)]
struct Jar {
    subject: String,
    token: String,
    access: String,
    generation: u32,
    history: History,
    /// Whether they have tried to sign out, and do not know what came of it.
    leaving: bool,
}

#[derive(Debug)]
struct Person {
    number: u64,
    logins: u64,
    shared: Arc<LoadState>,
    clients: Vec<Client>,
    random: Random,
    jar: Option<Jar>,
    /// Whether the last answer was given up for nothing: nobody is that unlucky twice.
    left: bool,
    ended: Vec<String>,
    report: Report,
}

impl Person {
    fn new(number: u64, shared: Arc<LoadState>) -> Self {
        let clients = shared
            .nodes
            .iter()
            .map(|node| Client::new(*node, PATIENCE))
            .collect();
        Self {
            number,
            logins: 0,
            shared,
            clients,
            random: Random::new(number + 1),
            jar: None,
            left: false,
            ended: Vec::new(),
            report: Report::default(),
        }
    }

    async fn live(mut self) -> Self {
        while !self.shared.over.load(SeqCst) {
            self.act().await;
            let crowd = self.shared.crowd;
            let most = if self.number < crowd.quick {
                crowd.rest
            } else {
                crowd.min_rotation_interval.mul_f64(1.5)
            };
            let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
            let rest = Duration::from_millis(self.random.below(most.max(1)));
            let until = Instant::now() + rest;
            while Instant::now() < until && !self.shared.over.load(SeqCst) {
                let step = until.saturating_duration_since(Instant::now());
                tokio::time::sleep(step.min(Duration::from_millis(50))).await;
            }
        }
        self
    }

    async fn act(&mut self) {
        if self.jar.is_none() {
            return self.sign_in().await;
        }
        let quick = self.number < self.shared.crowd.quick;
        match self.random.below(100) {
            0..10 if !self.left => self.leave_early().await,
            10..25 => self.two_tabs().await,
            25..40 => self.look().await,
            40..44 => self.sign_out().await,
            44..70 if quick => self.sign_out().await,
            70..74 => self.try_ended().await,
            _ => {
                self.refresh().await;
            }
        }
    }

    fn client(&mut self) -> &mut Client {
        let which = self.random.below(self.clients.len() as u64);
        &mut self.clients[usize::try_from(which).unwrap_or(0)]
    }

    async fn sign_in(&mut self) {
        self.logins += 1;
        let subject = format!("person-{}-{}", self.number, self.logins);
        let reply = self.client().login(&subject).await;
        let Some(reply) = self.answered(&reply) else {
            return;
        };
        match (reply.status, reply.refresh, reply.access) {
            (200, Some(token), Some(access)) => {
                self.jar = Some(Jar {
                    subject,
                    token,
                    access,
                    generation: 0,
                    history: History::default(),
                    leaving: false,
                });
            }
            (status, ..) => self.report.wrong(|| format!("a login: {status}")),
        }
    }

    async fn refresh(&mut self) -> bool {
        let Some((token, presented)) = self.presented() else {
            return false;
        };
        let reply = self.client().refresh(&token).await;
        self.left = false;
        self.take(presented, reply)
    }

    async fn two_tabs(&mut self) {
        let Some((token, presented)) = self.presented() else {
            return;
        };
        let mut flying = JoinSet::new();
        for mut client in self.clients.drain(..) {
            let token = token.clone();
            flying.spawn(async move {
                let reply = client.refresh(&token).await;
                (client, reply)
            });
        }
        while let Some(Ok((client, reply))) = flying.join_next().await {
            self.clients.push(client);
            self.take(presented, reply);
        }
    }

    async fn leave_early(&mut self) {
        if let Some((token, _)) = self.presented() {
            self.left = true;
            let _ = self.client().refresh_and_leave(&token).await;
        }
    }

    async fn look(&mut self) {
        let Some(jar) = &self.jar else { return };
        let (access, subject) = (jar.access.clone(), jar.subject.clone());
        let reply = self.client().me(&access).await;
        let Ok(reply) = reply else {
            self.failed();
            return;
        };
        self.report.requests += 1;
        if reply.status != 200 {
            // I6: no store is asked here, so there is no excuse.
            let status = reply.status;
            self.report
                .wrong(|| format!("a valid access token: {status}"));
        } else if reply.body != subject.as_bytes() {
            self.report
                .wrong(|| format!("{subject} got the page of another"));
        }
    }

    async fn sign_out(&mut self) {
        let Some(jar) = &mut self.jar else { return };
        jar.leaving = true;
        let token = jar.token.clone();
        let reply = self.client().logout(&token).await;
        let Some(reply) = self.answered(&reply) else {
            return;
        };
        if reply.status == 204 {
            self.ended.push(token);
            self.jar = None;
        } else {
            self.report.wrong(|| format!("a logout: {}", reply.status));
        }
    }

    /// I4
    async fn try_ended(&mut self) {
        let Some(token) = self.ended.last().cloned() else {
            return;
        };
        let reply = self.client().refresh(&token).await;
        if let Some(reply) = self.answered(&reply)
            && reply.status != 400
        {
            self.report
                .wrong(|| format!("after a logout: {}", reply.status));
        }
    }

    fn presented(&self) -> Option<(String, u32)> {
        let jar = self.jar.as_ref()?;
        Some((jar.token.clone(), jar.generation))
    }

    fn failed(&mut self) {
        self.report.transient += 1;
        self.shared.failed.fetch_add(1, SeqCst);
    }

    /// The answer, if it is one of substance.
    fn answered(&mut self, reply: &io::Result<Reply>) -> Option<Reply> {
        match reply {
            Ok(reply) if reply.status == 503 => {
                self.report.requests += 1;
                self.failed();
                if !reply.retry_after || reply.clears || reply.refresh.is_some() {
                    self.report
                        .wrong(|| "a 503 without Retry-After, or with cookies".to_owned());
                }
                None
            }
            Ok(reply) => {
                self.report.requests += 1;
                Some(reply.clone())
            }
            Err(_) => {
                self.failed();
                None
            }
        }
    }

    /// Puts an answer to a token of generation `presented` into the jar; whether it was granted.
    fn take(&mut self, presented: u32, reply: io::Result<Reply>) -> bool {
        let Some(reply) = self.answered(&reply) else {
            return false;
        };
        let Some(jar) = &mut self.jar else {
            return false;
        };
        let Some(grant) = reply.grant() else {
            if jar.leaving && reply.status == 400 {
                self.jar = None;
                return false;
            }
            let what = format!(
                "{}: generation {presented}: {} {}",
                jar.subject,
                reply.status,
                String::from_utf8_lossy(&reply.body)
            );
            self.jar = None;
            self.report.lost(|| what);
            return false;
        };
        self.shared.granted.fetch_add(1, SeqCst);
        self.report.rounds += 1;
        let what = || format!("generation {presented}: {grant:?}");
        match jar.history.note(presented, &grant) {
            Ok(()) => {}
            Err(Fault::DoubleWin) => self.report.double_win(what),
            Err(Fault::Contradiction(why)) => self.report.wrong(|| format!("{why}: {}", what())),
        }
        if (grant.outcome == "held") == reply.refresh.is_some() || reply.access.is_none() {
            self.report.wrong(|| format!("the cookies of {grant:?}"));
        }
        if let Some(access) = reply.access {
            jar.access = access;
        }
        if let Some(token) = reply.refresh {
            jar.token = token;
            jar.generation = grant.generation;
        }
        true
    }

    /// Rule 4, and once more rule 3.
    async fn check_out(&mut self) {
        let began = Instant::now();
        while self.jar.is_some() && !self.refresh().await {
            if began.elapsed() > RECOVERY {
                self.report.lost(|| "nothing but trouble".to_owned());
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.look().await;
        for token in self.ended.split_off(self.ended.len().saturating_sub(2)) {
            self.ended = vec![token];
            self.try_ended().await;
        }
    }
}
