//! Somebody with up to a few devices, each with a session of its own.
//!
//! 1. Nine in ten requests show an access token, in the header or in the cookie: mostly a valid one,
//!    else one that was signed out, has expired, was altered, or none.
//! 2. A valid token is one that has two seconds to live, by what its answer said: issuers shorten
//!    lifetimes at random. An answer that took longer than that is judged by nobody.
//! 3. No answer and 503 mean: the same again, later. They are counted, and consume nothing.
//! 4. In the end every session must still get new tokens, and they must be accepted.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::PASSWORD;
use super::tally::Tally;
use super::tokens::{altered, lifetime, session_of};
use super::{PEOPLE, Site};
use crate::fault::app::cookies;
use crate::fault::client::{Client, Reply};
use crate::fault::history::{Fault, History};
use crate::fault::random::Random;
use crate::fault::report::Report;

/// How long somebody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long things may take to work again in the end.
const RECOVERY: Duration = Duration::from_secs(30);
/// By when the other app knows of a logout. What it answers before is not judged.
const HEARD: Duration = Duration::from_secs(5);
/// So much earlier a client takes its token for expired.
const MARGIN: Duration = Duration::from_secs(2);
/// So many devices at most.
const DEVICES: usize = 4;
/// So many tokens are remembered that must not work any more.
const REMEMBERED: usize = 8;

/// A session that works.
#[derive(Debug)]
struct Held {
    sid: String,
    refresh: String,
    access: String,
    /// The token is good until then, at least.
    good_until: Instant,
    /// It is certainly over by then.
    over_from: Instant,
    generation: u32,
    history: History,
}

/// Tokens of a session that was signed out.
#[derive(Clone, Debug)]
struct Ended {
    refresh: String,
    access: String,
    at: Instant,
}

/// Where an access token is shown.
#[derive(Clone, Copy, Debug)]
enum Carrier {
    Header,
    Cookie,
}

/// Somebody.
#[derive(Debug)]
pub struct Person {
    name: &'static str,
    site: Arc<Site>,
    /// One for each app of the site.
    clients: Vec<Client>,
    home: usize,
    arrives_after: Duration,
    random: Random,
    held: Vec<Held>,
    ended: Vec<Ended>,
    expired: Vec<(String, Instant)>,
    report: Report,
    tally: Tally,
}

impl Person {
    /// Number `number` of a site.
    #[must_use]
    pub fn new(number: u32, site: Arc<Site>) -> Self {
        let clients = site.apps.iter().map(|app| Client::new(*app, PATIENCE));
        Self {
            name: if number.is_multiple_of(2) {
                "alice"
            } else {
                "admin"
            },
            clients: clients.collect(),
            home: site
                .apps
                .iter()
                .position(|app| *app == site.home)
                .unwrap_or(0),
            arrives_after: site.arrival * number / PEOPLE,
            random: Random::new(u64::from(number) + 1),
            held: Vec::new(),
            ended: Vec::new(),
            expired: Vec::new(),
            report: Report::default(),
            tally: Tally::default(),
            site,
        }
    }

    /// What they saw.
    #[must_use]
    pub fn finish(self) -> (Report, Tally) {
        (self.report, self.tally)
    }

    /// Until the site is over, and then rule 4.
    pub async fn live(mut self) -> Self {
        let twice = u64::try_from(self.site.rest.as_millis()).unwrap_or(u64::MAX) * 2;
        // One by one: a password costs the app a good deal.
        tokio::time::sleep(self.arrives_after).await;
        while !self.site.is_over() {
            let rest = self.random.below(twice.max(2));
            tokio::time::sleep(Duration::from_millis(rest)).await;
            self.act().await;
        }
        while let Some(which) = self.held.len().checked_sub(1) {
            let began = Instant::now();
            while self.held.len() > which && !self.refresh(which).await {
                if began.elapsed() > RECOVERY {
                    self.report
                        .lost(|| "nothing but trouble in the end".to_owned());
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            if self.held.len() > which {
                self.show_valid(which, Carrier::Header).await;
                self.held.truncate(which);
            }
        }
        self
    }

    async fn act(&mut self) {
        let Some(which) = self.any_held() else {
            return self.sign_in().await;
        };
        match self.random.below(100) {
            0..90 => self.visit(which).await,
            90..97 => {
                self.refresh(which).await;
            }
            97 => self.refresh_oddly(which).await,
            98 if self.held.len() < DEVICES => self.sign_in().await,
            _ => self.sign_out(which).await,
        }
    }

    fn any_held(&mut self) -> Option<usize> {
        let count = u64::try_from(self.held.len())
            .ok()
            .filter(|count| *count > 0)?;
        usize::try_from(self.random.below(count)).ok()
    }

    fn any_app(&mut self) -> usize {
        let count = u64::try_from(self.clients.len()).unwrap_or(1);
        usize::try_from(self.random.below(count)).unwrap_or(0)
    }

    async fn sign_in(&mut self) {
        let body = serde_json::json!({ "username": self.name, "password": PASSWORD }).to_string();
        let head = "content-type: application/json\r\n";
        let sent = Instant::now();
        let home = &mut self.clients[self.home];
        let reply = home.send("POST", "/login", head, &body).await;
        let Some(reply) = self.answered(reply) else {
            return;
        };
        self.tally.logins += 1;
        let lifetime = lifetime(&reply);
        let (200, Some(refresh), Some(access)) = (reply.status, reply.refresh, reply.access) else {
            let status = reply.status;
            return self.report.wrong(|| format!("a login: {status}"));
        };
        let Some(sid) = session_of(&access, self.name) else {
            return self.report.wrong(|| "a login for somebody else".to_owned());
        };
        if !self.site.is_new(&sid) {
            self.report.wrong(|| "two logins of one session".to_owned());
        }
        self.held.push(Held {
            sid,
            refresh,
            access,
            good_until: sent + lifetime.saturating_sub(MARGIN),
            over_from: Instant::now() + lifetime + MARGIN,
            generation: 0,
            history: History::default(),
        });
    }

    async fn sign_out(&mut self, which: usize) {
        let held = self.held.remove(which);
        let began = Instant::now();
        loop {
            let reply = self.clients[self.home].logout(&held.refresh).await;
            if let Some(reply) = self.answered(reply) {
                self.tally.logouts += 1;
                if reply.status != 204 || !reply.clears {
                    self.report.wrong(|| format!("a logout: {}", reply.status));
                }
                break;
            }
            if began.elapsed() > RECOVERY {
                return self
                    .report
                    .wrong(|| "a logout that nobody answers".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let ended = Ended {
            refresh: held.refresh,
            access: held.access,
            at: Instant::now(),
        };
        // At once, and again whenever chance has it.
        self.show_ended(&ended).await;
        self.ended.push(ended);
        if self.ended.len() > REMEMBERED {
            self.ended.remove(0);
        }
    }

    /// A request with an access token, or what looks like one.
    async fn visit(&mut self, which: usize) {
        let carrier = if self.random.percent(50) {
            Carrier::Header
        } else {
            Carrier::Cookie
        };
        match self.random.below(100) {
            0..6 if !self.ended.is_empty() => {
                let any = self.random.below(self.ended.len() as u64);
                let ended = self.ended[usize::try_from(any).unwrap_or(0)].clone();
                self.show_ended(&ended).await;
            }
            6..10 if !self.expired.is_empty() => {
                let (token, from) = self.expired[0].clone();
                if Instant::now() > from {
                    self.show_bad("an expired token", &token, carrier).await;
                }
            }
            10..14 => {
                let altered = altered(&self.held[which].access, self.random.below(u64::MAX));
                self.show_bad("an altered token", &altered, carrier).await;
            }
            14..16 => self.show_nothing().await,
            16..20 => self.enter_admin(which).await,
            _ => self.show_valid(which, carrier).await,
        }
    }

    /// Refreshes first if it is time to, as clients do.
    async fn show_valid(&mut self, which: usize, carrier: Carrier) {
        if Instant::now() > self.held[which].good_until && !self.refresh(which).await {
            return;
        }
        let held = &self.held[which];
        let (token, sid, good_until) = (held.access.clone(), held.sid.clone(), held.good_until);
        let app = self.any_app();
        let reply = self.ask(app, "/me", &token, carrier).await;
        let Some(reply) = self.answered(reply) else {
            return;
        };
        if Instant::now() > good_until {
            return;
        }
        self.tally.valid += 1;
        if reply.status != 200 {
            return self
                .report
                .wrong(|| format!("a valid token: {}", reply.status));
        }
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if body["subject"] != self.name || body["session"] != *sid {
            self.report.wrong(|| "somebody else's identity".to_owned());
        }
    }

    async fn enter_admin(&mut self, which: usize) {
        let held = &self.held[which];
        let (token, good_until) = (held.access.clone(), held.good_until);
        let app = self.any_app();
        let reply = self.ask(app, "/admin", &token, Carrier::Header).await;
        let Some(reply) = self.answered(reply) else {
            return;
        };
        if Instant::now() > good_until {
            return;
        }
        let expected = if self.name == "admin" { 200 } else { 403 };
        self.tally.valid += 1;
        if reply.status != expected {
            let (status, name) = (reply.status, self.name);
            self.report
                .wrong(|| format!("{name} at the admin's: {status}"));
        }
    }

    async fn show_ended(&mut self, ended: &Ended) {
        let app = if ended.at.elapsed() > HEARD {
            self.any_app()
        } else {
            self.home
        };
        let reply = self.ask(app, "/me", &ended.access, Carrier::Header).await;
        self.judge_bad("a signed-out token", reply);
    }

    async fn show_bad(&mut self, what: &str, token: &str, carrier: Carrier) {
        let app = self.any_app();
        let reply = self.ask(app, "/me", token, carrier).await;
        self.judge_bad(what, reply);
    }

    async fn show_nothing(&mut self) {
        let reply = self.clients[self.home].send("GET", "/me", "", "").await;
        self.judge_bad("no token", reply);
    }

    fn judge_bad(&mut self, what: &str, reply: io::Result<Reply>) {
        if let Some(reply) = self.answered(reply) {
            self.tally.invalid += 1;
            if reply.status != 401 {
                self.report.wrong(|| format!("{what}: {}", reply.status));
            }
        }
    }

    async fn ask(
        &mut self,
        app: usize,
        path: &str,
        token: &str,
        carrier: Carrier,
    ) -> io::Result<Reply> {
        let head = match carrier {
            Carrier::Header => format!("authorization: Bearer {token}\r\n"),
            Carrier::Cookie => {
                format!("cookie: {}={token}\r\n", cookies().access_cookie().name())
            }
        };
        self.clients[app].send("GET", path, &head, "").await
    }

    /// Whether it was granted.
    async fn refresh(&mut self, which: usize) -> bool {
        let (token, presented) = (
            self.held[which].refresh.clone(),
            self.held[which].generation,
        );
        let sent = Instant::now();
        let reply = self.clients[self.home].refresh(&token).await;
        self.take(which, presented, sent, reply)
    }

    /// In two tabs at once, with a token that was signed out, or with one that nobody has issued.
    async fn refresh_oddly(&mut self, which: usize) {
        match self.random.below(3) {
            0 => {
                let (token, presented) = (
                    self.held[which].refresh.clone(),
                    self.held[which].generation,
                );
                let sent = Instant::now();
                let mut other = Client::new(self.site.home, PATIENCE);
                let both = tokio::join!(
                    self.clients[self.home].refresh(&token),
                    other.refresh(&token)
                );
                if self.take(which, presented, sent, both.0) {
                    self.take(which, presented, sent, both.1);
                }
            }
            1 if !self.ended.is_empty() => {
                let token = self.ended[0].refresh.clone();
                self.refresh_badly("a refresh after a logout", &token).await;
            }
            _ => {
                let token = altered(&self.held[which].refresh, self.random.below(u64::MAX));
                self.refresh_badly("a refresh with an altered token", &token)
                    .await;
            }
        }
    }

    async fn refresh_badly(&mut self, what: &str, token: &str) {
        let reply = self.clients[self.home].refresh(token).await;
        if let Some(reply) = self.answered(reply) {
            self.tally.bad_refreshes += 1;
            if reply.status != 400 || reply.refresh.is_some() || reply.access.is_some() {
                self.report.wrong(|| format!("{what}: {}", reply.status));
            }
        }
    }

    fn take(
        &mut self,
        which: usize,
        presented: u32,
        sent: Instant,
        reply: io::Result<Reply>,
    ) -> bool {
        let Some(reply) = self.answered(reply) else {
            return false;
        };
        self.tally.refreshes += 1;
        let lifetime = lifetime(&reply);
        let name = self.name;
        let (Some(grant), Some(access)) = (reply.grant(), &reply.access) else {
            self.held.remove(which);
            let (status, body) = (reply.status, String::from_utf8_lossy(&reply.body));
            self.report
                .lost(|| format!("{name}, generation {presented}: {status} {body}"));
            return false;
        };
        let held = &mut self.held[which];
        self.report.rounds += 1;
        match held.history.note(presented, &grant) {
            Ok(()) => {}
            Err(Fault::DoubleWin) => self.report.double_win(|| format!("{grant:?}")),
            Err(Fault::Contradiction(why)) => {
                self.report
                    .wrong(|| format!("{why}: {presented}: {grant:?}"));
            }
        }
        if session_of(access, name).as_deref() != Some(held.sid.as_str()) {
            self.report
                .wrong(|| "a refresh into another session".to_owned());
        }
        let old = std::mem::replace(&mut held.access, access.clone());
        self.expired.push((old, held.over_from));
        if self.expired.len() > REMEMBERED {
            self.expired.remove(0);
        }
        held.good_until = sent + lifetime.saturating_sub(MARGIN);
        held.over_from = Instant::now() + lifetime + MARGIN;
        if let Some(token) = reply.refresh {
            held.refresh = token;
            held.generation = grant.generation;
        }
        true
    }

    /// The answer, if it is one of substance.
    fn answered(&mut self, reply: io::Result<Reply>) -> Option<Reply> {
        let Ok(reply) = reply else {
            self.report.transient += 1;
            return None;
        };
        self.report.requests += 1;
        if reply.status != 503 {
            return Some(reply);
        }
        self.report.transient += 1;
        if !reply.retry_after || reply.clears || reply.refresh.is_some() {
            self.report
                .wrong(|| "a 503 without Retry-After, or with cookies".to_owned());
        }
        None
    }
}
