//! Random histories of browsers with pages, other sites, thieves and faults of the infrastructure.
//!
//! 1. No write happens before its response can be delivered (I3). A server error, a page of the app
//!    and the response to a link on another site leave the row unchanged. Any number of them may be
//!    lost, by a timeout in front of the app or by the opener of the tab.
//! 2. A browser that keeps its cookies stays logged in under all faults, if at most three responses
//!    in a row are lost on the network (I3).
//! 3. No page is read without a trace: either the token was just used up, or this request uses it
//!    up.
//! 4. Faults are 503, claims that exceed a cookie are 500, and no other request is refused (I6).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::adapter::HeaderLine;
use auth_core::revocation::{Follower, Revocation, Revocations, StalePolicy};
use auth_core::session::SessionId;
use auth_core::store::{
    Batch, Cursor, FeedError, RefreshStore, RevocationFeed, SessionRecord, Snapshot,
};
use auth_core::testing::{Fault, StoreOp};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::browser::{App, Browser, ELEVEN_MINUTES, Options, Request, Seen, manual_clock};

const CLIENTS: u8 = 2;
const MOST_LOST_IN_A_ROW: u32 = 3;
const DEADLINE: u64 = 30;
const SETTLE: i64 = 120;
const STALE_AFTER: u64 = 30;
/// Durations in seconds, on both sides of the protocol's limits.
const WAITS: [u64; 6] = [1, 9, 11, 29, 121, ELEVEN_MINUTES];
const FITS: usize = 300;
const OUTGROWN: usize = 2900;

/// One act. Its numbers select among the existing browsers and requests.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// A tab requests a page of the app, with or without the access cookie. The store may fail
    /// meanwhile.
    Page(u8, &'static str, bool, Option<(StoreOp, Fault)>),
    /// A page of another site navigates a tab to the app.
    Link(u8, &'static str),
    /// A script refreshes.
    Refresh(u8),
    /// A response arrives.
    Deliver(u8),
    /// A response is lost, or the client has disconnected.
    Lose(u8),
    /// Time passes.
    Wait(u8),
    /// The user's claims exceed the cookie, or fit again.
    Outgrow(bool),
    /// The feed is unreachable, or reachable again.
    FeedDown(bool),
    /// A thief copies a browser's cookies.
    Steal(u8),
    /// A thief requests a page, and may disconnect before the head of the response arrives.
    StolenPage(u8, &'static str, bool),
}

fn act() -> impl Strategy<Value = Act> {
    let fault = prop_oneof![
        8 => Just(None),
        1 => Just(Some((StoreOp::Load, Fault::Down))),
        1 => Just(Some((StoreOp::Write, Fault::Down))),
        1 => Just(Some((StoreOp::Write, Fault::LostAnswer))),
    ];
    let method = || prop_oneof![3 => Just("GET"), 1 => Just("HEAD"), 1 => Just("POST")];
    let site = prop_oneof![Just("cross-site"), Just("same-site")];
    prop_oneof![
        8 => (any::<u8>(), method(), any::<bool>(), fault)
            .prop_map(|(client, method, access, fault)| Act::Page(client, method, access, fault)),
        3 => (any::<u8>(), site).prop_map(|(client, site)| Act::Link(client, site)),
        3 => any::<u8>().prop_map(Act::Refresh),
        6 => any::<u8>().prop_map(Act::Deliver),
        3 => any::<u8>().prop_map(Act::Lose),
        8 => any::<u8>().prop_map(Act::Wait),
        1 => any::<bool>().prop_map(Act::Outgrow),
        1 => any::<bool>().prop_map(Act::FeedDown),
        1 => any::<u8>().prop_map(Act::Steal),
        2 => (any::<u8>(), method(), any::<bool>())
            .prop_map(|(which, method, hangs_up)| Act::StolenPage(which, method, hangs_up)),
    ]
}

/// A feed without entries.
#[derive(Debug)]
struct Quiet;

#[async_trait]
impl RevocationFeed for Quiet {
    async fn snapshot(&self) -> Result<Snapshot, FeedError> {
        Ok(Snapshot {
            revocations: Vec::new(),
            cursor: Cursor::new(""),
        })
    }

    async fn follow(&self, cursor: &Cursor, _: Duration) -> Result<Batch, FeedError> {
        Ok(Batch {
            revocations: Vec::new(),
            cursor: cursor.clone(),
        })
    }

    async fn append(&self, _: &Revocation) -> Result<(), FeedError> {
        Ok(())
    }
}

struct Client {
    browser: Browser,
    session: SessionId,
    lost_in_a_row: u32,
    /// Whether its cookies have not been used by a thief.
    honest: bool,
}

/// Cookies in flight.
struct Pending {
    client: usize,
    lines: Vec<HeaderLine>,
    age: u64,
}

impl Pending {
    fn brings_refresh(&self) -> bool {
        let mut lines = self.lines.iter();
        lines.any(|line| line.is_appended() && line.value().starts_with("rt="))
    }
}

struct History {
    app: App,
    follower: Follower,
    feed_down: bool,
    stale_for: u64,
    outgrown: bool,
    clients: Vec<Client>,
    pending: Vec<Pending>,
    stolen: Vec<(usize, Browser)>,
}

/// The conditions of a request.
struct Met {
    row: SessionRecord,
    writes: u64,
    failed: bool,
}

impl History {
    async fn new() -> Self {
        let clock = manual_clock();
        let after = Duration::from_secs(STALE_AFTER);
        let policy = StalePolicy::FailClosed { after };
        let revocations = Revocations::new(policy, clock.clone());
        let options = Options {
            revocations: Some(revocations.clone()),
            ..Options::default()
        };
        let mut history = Self {
            app: App::with(options, clock),
            follower: Follower::new(Arc::new(Quiet), revocations),
            feed_down: false,
            stale_for: 0,
            outgrown: false,
            clients: Vec::new(),
            pending: Vec::new(),
            stolen: Vec::new(),
        };
        history.app.user.carries(FITS);
        history.wait(0).await;
        for _ in 0..CLIENTS {
            let browser = Browser::signed_in(&history.app).await;
            let rows = history.app.store.list("ada", 10).await.unwrap();
            let is_new = |id: SessionId| history.clients.iter().all(|c| c.session != id);
            let session = rows.iter().map(|row| row.id).find(|id| is_new(*id));
            history.clients.push(Client {
                browser,
                session: session.unwrap(),
                lost_in_a_row: 0,
                honest: true,
            });
        }
        history
    }

    async fn act(&mut self, act: Act) {
        let of = |client: u8| usize::from(client % CLIENTS);
        match act {
            Act::Page(client, method, access, fault) => {
                let client = of(client);
                let browser = &self.clients[client].browser;
                let request = own(browser, method, access);
                // Lost responses of the store count against the limit too.
                let lost = self.clients[client].lost_in_a_row;
                let may_lose = lost < MOST_LOST_IN_A_ROW;
                let fault = fault.filter(|(_, fault)| may_lose || *fault != Fault::LostAnswer);
                let lines = self.ask(client, &request, fault).await;
                self.answer(client, lines);
            }
            Act::Link(client, site) => {
                let client = of(client);
                let link = self.clients[client].browser.link("/", site);
                let writes = self.app.store.writes();
                let lines = self.ask(client, &link, None).await;
                assert_eq!(self.app.store.writes(), writes, "I3: another site's doing");
                self.answer(client, lines);
            }
            Act::Refresh(client) => self.refresh(of(client)).await,
            Act::Deliver(which) => {
                if let Some(at) = pick(self.pending.len(), which) {
                    self.deliver(at);
                }
            }
            Act::Lose(which) => self.lose(which),
            Act::Wait(which) => self.wait(WAITS[usize::from(which) % WAITS.len()]).await,
            Act::Outgrow(outgrown) => {
                self.outgrown = outgrown;
                let size = if outgrown { OUTGROWN } else { FITS };
                self.app.user.carries(size);
            }
            Act::FeedDown(down) => {
                self.feed_down = down;
                self.wait(0).await;
            }
            Act::Steal(client) => {
                let browser = self.clients[of(client)].browser.clone();
                self.stolen.push((of(client), browser));
            }
            Act::StolenPage(which, method, hangs_up) => self.steal(which, method, hangs_up).await,
        }
    }

    async fn row(&self, client: usize) -> SessionRecord {
        let loaded = self.app.store.load(&self.clients[client].session).await;
        loaded.unwrap().unwrap().record
    }

    /// Passes a request to the guard, and checks its response. Returns the cookies for the jar.
    async fn ask(
        &mut self,
        client: usize,
        request: &Request,
        fault: Option<(StoreOp, Fault)>,
    ) -> Vec<HeaderLine> {
        let row = self.row(client).await;
        let (writes, failures) = (self.app.store.writes(), self.app.store.failures());
        if let Some((op, fault)) = fault {
            self.app.store.inject(Some(op), fault, 1);
        }
        let seen = self.app.ask(request).await;
        self.app.store.forget_faults();
        let met = Met {
            row,
            writes,
            failed: self.app.store.failures() > failures,
        };
        if met.failed && self.row(client).await.generation != met.row.generation {
            self.clients[client].lost_in_a_row += 1;
        }
        match seen {
            Seen::Page(who, edits) => {
                assert_eq!(who.as_deref(), Some("ada"), "I5");
                self.judge_page(request, &met);
                edits.finish([], false)
            }
            Seen::Ours(_, answer) => {
                self.judge(client, &answer, &met).await;
                answer.headers().to_vec()
            }
        }
    }

    fn judge_page(&self, request: &Request, met: &Met) {
        assert!(!self.is_stale(), "I4: nobody knows what was revoked");
        assert_eq!(
            self.app.store.writes(),
            met.writes,
            "I3: a page may be lost"
        );
        let is_access =
            |(name, value): &(String, String)| name == "cookie" && value.starts_with("at=");
        if !request.fields.iter().any(is_access) {
            let age = self.now() - met.row.rotated_at.as_secs();
            let used_up = met.row.generation.get() > 0 && age <= SETTLE;
            assert!(used_up, "a page was read without a trace");
        }
    }

    async fn judge(&self, client: usize, answer: &auth_core::adapter::Response, met: &Met) {
        let row = self.row(client).await;
        let moved = row.generation != met.row.generation;
        let honest = self.clients[client].honest;
        match answer.status() {
            303 | 307 => assert!(moved, "a redirect is for a session that moved on"),
            200 => {}
            500 => assert!(self.outgrown, "I6: a fault of nobody's"),
            503 => assert!(self.is_stale() || met.failed, "I6: 503 without trouble"),
            status => assert!(!honest, "I3, I6: {status} for an honest client: {row:?}"),
        }
        if answer.status() >= 500 && !met.failed {
            assert!(!moved, "I3: a generation is spent on an error of ours");
        }
    }

    async fn refresh(&mut self, client: usize) {
        let met = Met {
            row: self.row(client).await,
            writes: self.app.store.writes(),
            failed: false,
        };
        let mut browser = self.clients[client].browser.clone();
        let answer = self.app.refresh(&mut browser).await;
        assert_ne!(answer.status(), 503, "H01: sessions refresh all the same");
        self.judge(client, &answer, &met).await;
        self.answer(client, answer.headers().to_vec());
    }

    fn answer(&mut self, client: usize, lines: Vec<HeaderLine>) {
        self.pending.push(Pending {
            client,
            lines,
            age: 0,
        });
    }

    fn deliver(&mut self, at: usize) {
        let pending = self.pending.remove(at);
        let client = &mut self.clients[pending.client];
        if pending.brings_refresh() {
            client.lost_in_a_row = 0;
        }
        client.browser.keep(&pending.lines);
    }

    fn lose(&mut self, which: u8) {
        let Some(at) = pick(self.pending.len(), which) else {
            return;
        };
        let client = &mut self.clients[self.pending[at].client];
        if self.pending[at].brings_refresh() {
            if client.lost_in_a_row == MOST_LOST_IN_A_ROW {
                return;
            }
            client.lost_in_a_row += 1;
        }
        self.pending.remove(at);
    }

    /// Lets time pass. Responses that would exceed the deadline arrive first.
    async fn wait(&mut self, seconds: u64) {
        while let Some(at) = self.pending.iter().position(|p| p.age + seconds > DEADLINE) {
            self.deliver(at);
        }
        for pending in &mut self.pending {
            pending.age += seconds;
        }
        self.app.advance(seconds);
        self.stale_for += seconds;
        if !self.feed_down {
            self.follower.load().await.unwrap();
            self.stale_for = 0;
        }
    }

    fn is_stale(&self) -> bool {
        self.stale_for > STALE_AFTER
    }

    fn now(&self) -> i64 {
        auth_core::Clock::now(&*self.app.clock).as_secs()
    }

    async fn steal(&mut self, which: u8, method: &'static str, hangs_up: bool) {
        let Some(at) = pick(self.stolen.len(), which) else {
            return;
        };
        let client = self.stolen[at].0;
        self.clients[client].honest = false;
        let request = own(&self.stolen[at].1, method, false);
        let lines = self.ask(client, &request, None).await;
        if !hangs_up {
            self.stolen[at].1.keep(&lines);
        }
    }

    /// At the end, honest browsers are logged in, and the session of an owner and a thief shows the
    /// theft.
    async fn end(mut self) {
        self.app.user.carries(FITS);
        self.feed_down = false;
        for _ in 0..2 {
            self.wait(ELEVEN_MINUTES).await;
        }
        for at in 0..self.clients.len() {
            let thief = self.stolen.iter().find(|(client, _)| *client == at);
            let mut thief = thief.map(|(_, browser)| browser.clone());
            let mut owner = self.clients[at].browser.clone();
            let was_over = self.row(at).await.revoked.is_some();
            if self.clients[at].honest {
                let statuses = owner.load(&self.app, "/").await;
                assert_eq!(statuses.last(), Some(&200), "I3: {statuses:?}");
            }
            let Some(thief) = &mut thief else { continue };
            self.app.told.take();
            for _ in 0..2 {
                self.wait(ELEVEN_MINUTES).await;
                thief.load(&self.app, "/").await;
                self.wait(ELEVEN_MINUTES).await;
                owner.load(&self.app, "/").await;
            }
            let told = self.app.told.take();
            let shows = |told: &String| told == "recovered" || told.starts_with("reuse");
            assert!(
                was_over || told.iter().any(shows),
                "a theft goes on: {told:?}"
            );
        }
    }
}

/// A request of the app's own pages.
fn own(browser: &Browser, method: &'static str, access: bool) -> Request {
    match access {
        true => browser.own(method, "/orders"),
        false => browser.without("at").own(method, "/orders"),
    }
}

fn pick(count: usize, which: u8) -> Option<usize> {
    usize::from(which).checked_rem(count)
}

fn prove(acts: &[Act]) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let mut history = History::new().await;
        for act in acts {
            history.act(*act).await;
        }
        history.end().await;
    });
}

proptest! {
    #[test]
    fn i3_i4_i6_hold_in_random_histories_of_pages(acts in vec(act(), 1..80)) {
        prove(&acts);
    }
}
