//! Guarantees about ended sessions, from the view of two nodes and their users: on one server, and
//! on a cluster in which related keys are on different nodes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::revocation::{Follower, Revocation, Revocations, StalePolicy};
use auth_core::session::{
    ClientInfo, EndedBy, Event, Events, LoginRequest, RefreshKey, RefreshOutcome, SessionId,
    SessionPolicy, Sessions, Tokens,
};
use auth_core::store::{RefreshStore, RevocationFeed, StoreClock};
use auth_core::testing::{Fault, FaultStore, ManualClock, StoreOp};
use auth_core::{Authenticator, Clock, Guard, Issuer, Key, SystemClock, Timestamp};
use auth_store::{RedisStore, StoreOptions};

use super::new_id;
use super::servers::{Cluster, Server, can_start, pause};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Maximum leeway of a verifier.
const LEEWAY: Duration = Duration::from_secs(300);
/// Time limit for calls that must succeed even on a busy machine.
const PATIENT: Duration = Duration::from_secs(50);

struct Bearer<'a>(&'a [u8]);

impl RequestView for Bearer<'_> {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/me"
    }

    fn target(&self) -> &str {
        "/me"
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if name == "authorization" {
            visit(self.0);
        }
    }
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Events for Told {
    fn on_event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(event.kind().to_owned());
    }
}

/// A node of the app.
struct Node {
    store: Arc<RedisStore>,
    faults: Arc<FaultStore>,
    sessions: Sessions,
    revocations: Revocations,
    guard: Guard<()>,
    told: Arc<Told>,
}

struct Opening<'a> {
    url: &'a str,
    clock: Option<&'a Arc<ManualClock>>,
    bound: Duration,
    lifetime: Duration,
}

impl Opening<'_> {
    async fn open(&self) -> Node {
        let driven = self.clock.cloned();
        let clock = driven.clone().map(|clock| -> Arc<dyn Clock> { clock });
        let mut options = StoreOptions::new().with_timeout(self.bound);
        if let Some(clock) = driven {
            options = options.with_clock(StoreClock::driven(clock));
        }
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock));
        let store = loop {
            // A time limit that is too short for this machine is not under test.
            match RedisStore::connect_with(self.url, options.clone()).await {
                Ok(store) => break Arc::new(store),
                Err(_) => pause().await,
            }
        };
        let issuer = Issuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(Key::hs256("k1", &[7; 32]).unwrap())
            .unwrap()
            .with_lifetime(self.lifetime)
            .unwrap()
            .with_clock(clock.clone());
        let revocations = Revocations::new(StalePolicy::FailOpen, clock.clone());
        let auth: Arc<Authenticator<()>> = issuer
            .authenticator()
            .with_clock(clock)
            .with_leeway(LEEWAY)
            .with_revocations(revocations.clone())
            .build()
            .unwrap();
        let faults = Arc::new(FaultStore::new(store.clone()));
        let told = Arc::new(Told::default());
        let sessions = Sessions::builder(
            issuer,
            faults.clone(),
            RefreshKey::new(1, &[9; 32]).unwrap(),
        )
        .with_policy(SessionPolicy::default().with_request_deadline(PATIENT))
        .with_revocations(revocations.clone())
        .with_events(told.clone())
        .build()
        .unwrap();
        Node {
            store,
            faults,
            sessions,
            revocations,
            guard: Guard::from(auth),
            told,
        }
    }
}

fn opening(url: &str) -> Opening<'_> {
    Opening {
        url,
        clock: None,
        bound: PATIENT,
        lifetime: 10 * MINUTE,
    }
}

impl Node {
    async fn login(&self, subject: &str) -> Tokens {
        let login = LoginRequest::for_subject(subject);
        self.sessions.login(login).await.unwrap()
    }

    async fn refresh(&self, tokens: &Tokens) -> RefreshOutcome {
        let token = tokens.refresh().unwrap().expose();
        self.sessions.refresh(token, &ClientInfo::new()).await
    }

    /// Loads all revocations in force.
    async fn hear(&self) {
        let mut follower = Follower::new(self.store.clone(), self.revocations.clone());
        follower.load().await.unwrap();
    }

    /// Waits until the cluster's new master is known.
    async fn finds_the_feed(&self) {
        while self.store.snapshot().await.is_err() {
            pause().await;
        }
    }

    fn admits(&self, tokens: &Tokens) -> bool {
        let bearer = format!("Bearer {}", tokens.access().expose());
        match self.guard.check(&Bearer(bearer.as_bytes())) {
            Step::Done(Verdict::Pass(_)) => true,
            Step::Done(Verdict::Refuse(refusal)) => {
                assert_eq!(refusal.response().status(), 401);
                false
            }
            Step::Wait(_) => panic!("an access token waits for nobody"),
        }
    }

    /// The lowest versions of a subject that the feed has published.
    async fn published(&self, subject: &str) -> Vec<u64> {
        let snapshot = self.store.snapshot().await.unwrap();
        let entries = snapshot.revocations.into_iter();
        entries
            .filter_map(|entry| match entry {
                Revocation::Subject {
                    subject: of,
                    lowest_subject_version,
                    ..
                } if *of == *subject => Some(lowest_subject_version),
                _ => None,
            })
            .collect()
    }
}

fn granted(outcome: RefreshOutcome) -> Tokens {
    match outcome {
        RefreshOutcome::Granted(tokens) => tokens,
        other => panic!("{other:?}"),
    }
}

fn row_key(id: SessionId) -> Vec<u8> {
    [b"auth:s:".as_slice(), id.as_bytes()].concat()
}

/// One server and one cluster, both empty.
async fn both() -> (Server, Cluster, [String; 2]) {
    let (server, cluster) = (Server::start(&[]).await, Cluster::start().await);
    let urls = [server.url(), cluster.url()];
    (server, cluster, urls)
}

/// A user with two devices.
struct User {
    name: String,
    asking: Tokens,
    other: Tokens,
}

impl User {
    /// A user whose version and sessions are on other nodes than the feed.
    async fn new(cluster: &Cluster, node: &Node) -> Self {
        let feed = cluster.master_of(b"auth:{feed}").await;
        let name = loop {
            let name = new_id().to_string();
            let subject_version = format!("auth:e:{{{name}}}");
            if cluster.master_of(subject_version.as_bytes()).await != feed {
                break name;
            }
        };
        let device = async || loop {
            let tokens = node.login(&name).await;
            if cluster.master_of(&row_key(tokens.session())).await != feed {
                break tokens;
            }
        };
        let (asking, other) = (device().await, device().await);
        Self {
            name,
            asking,
            other,
        }
    }

    async fn end_others(&self, node: &Node) -> RefreshOutcome {
        let access = self.asking.access().expose();
        let session = self.asking.session();
        node.sessions.end_others(&self.name, session, access).await
    }

    /// The requesting device continues on every node, and a new login works.
    async fn is_not_locked_out(&self, nodes: &[Node]) {
        for node in nodes {
            node.hear().await;
            let tokens = granted(node.refresh(&self.asking).await);
            assert!(node.admits(&tokens));
        }
        self.can_sign_in(nodes).await;
    }

    async fn can_sign_in(&self, nodes: &[Node]) {
        let new = nodes[0].login(&self.name).await;
        for node in nodes {
            node.hear().await;
            assert!(node.admits(&new));
            let _ = granted(node.refresh(&new).await);
        }
    }

    async fn other_device_is_out(&self, nodes: &[Node]) {
        for node in nodes {
            node.hear().await;
            assert!(!node.admits(&self.other));
            let outcome = node.refresh(&self.other).await;
            assert!(
                matches!(outcome, RefreshOutcome::SessionEnded(_)),
                "{outcome:?}"
            );
        }
    }
}

/// The fault of a node of the cluster.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It refuses this command, also in scripts.
    Refuses(&'static str),
    /// It does not respond.
    Stalls,
    /// It stops, and its replica takes over later.
    Dies,
}

impl Trouble {
    async fn begin(self, cluster: &mut Cluster, node: usize) {
        match self {
            Self::Refuses(command) => {
                let forbid = format!("ACL SETUSER default -{command}");
                cluster.nodes()[node].tell(&forbid).await;
            }
            Self::Stalls => cluster.nodes()[node].signal("STOP"),
            Self::Dies => cluster.kill(node).await,
        }
    }

    async fn end(self, cluster: &mut Cluster, node: usize) {
        match self {
            Self::Refuses(_) => {
                let allow = "ACL SETUSER default allcommands";
                cluster.nodes()[node].tell(allow).await;
            }
            Self::Stalls => cluster.nodes()[node].signal("CONT"),
            Self::Dies => cluster.promote(node).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h09_a_second_half_that_fails_locks_nobody_out_and_its_retry_completes_it() {
    if !can_start() {
        return;
    }
    let mut cluster = Cluster::start().await;
    let url = cluster.url();
    let feed = cluster.master_of(b"auth:{feed}").await;
    let nodes = [opening(&url).open().await, opening(&url).open().await];
    let brief = Duration::from_millis(500);
    let brief = Opening {
        bound: brief,
        ..opening(&url)
    };
    for trouble in [Trouble::Refuses("xadd"), Trouble::Stalls, Trouble::Dies] {
        let others = User::new(&cluster, &nodes[0]).await;
        let all = User::new(&cluster, &nodes[0]).await;
        let stalls = matches!(trouble, Trouble::Stalls);
        let slow = brief.open().await;
        let asked = if stalls { &slow } else { &nodes[0] };
        trouble.begin(&mut cluster, feed).await;
        let failed = others.end_others(asked).await;
        assert!(
            matches!(failed, RefreshOutcome::Unavailable(_)),
            "{failed:?}"
        );
        assert!(
            asked
                .sessions
                .end_all(&all.name, EndedBy::User(&all.name))
                .await
                .is_err()
        );
        trouble.end(&mut cluster, feed).await;
        for node in &nodes {
            node.finds_the_feed().await;
        }
        for user in [&others, &all] {
            let subject_version = nodes[0].store.subject_version(&user.name).await.unwrap();
            let published = nodes[0].published(&user.name).await;
            // The progress on a stalled node is unknown.
            assert!(stalls || subject_version == 1 && published.is_empty());
            assert!(published.iter().all(|lowest| *lowest <= subject_version));
        }
        others.is_not_locked_out(&nodes).await;
        all.can_sign_in(&nodes).await;

        let kept = granted(others.end_others(&nodes[0]).await);
        nodes[0]
            .sessions
            .end_all(&all.name, EndedBy::User(&all.name))
            .await
            .unwrap();
        others.other_device_is_out(&nodes).await;
        assert!(nodes.iter().all(|node| node.admits(&kept)));
        others.is_not_locked_out(&nodes).await;
        all.other_device_is_out(&nodes).await;
        assert!(!nodes.iter().any(|node| node.admits(&all.asking)));
        all.can_sign_in(&nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h09_a_first_half_that_fails_publishes_nothing() {
    if !can_start() {
        return;
    }
    let mut cluster = Cluster::start().await;
    let url = cluster.url();
    let nodes = [opening(&url).open().await, opening(&url).open().await];
    for command in ["set", "get"] {
        let trouble = Trouble::Refuses(command);
        let user = User::new(&cluster, &nodes[0]).await;
        let subject_version = format!("auth:e:{{{}}}", user.name);
        let subject_version = cluster.master_of(subject_version.as_bytes()).await;
        trouble.begin(&mut cluster, subject_version).await;
        let failed = user.end_others(&nodes[0]).await;
        assert!(
            matches!(failed, RefreshOutcome::Unavailable(_)),
            "{failed:?}"
        );
        assert!(
            nodes[0]
                .sessions
                .end_all(&user.name, EndedBy::User(&user.name))
                .await
                .is_err()
        );
        trouble.end(&mut cluster, subject_version).await;
        assert!(nodes[0].published(&user.name).await.is_empty());
        assert_eq!(nodes[0].store.subject_version(&user.name).await.unwrap(), 0);
        user.is_not_locked_out(&nodes).await;
        let _ = granted(nodes[1].refresh(&user.other).await);
        let kept = granted(user.end_others(&nodes[0]).await);
        user.other_device_is_out(&nodes).await;
        assert!(nodes.iter().all(|node| node.admits(&kept)));
        user.is_not_locked_out(&nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h07_a_token_of_a_longer_lifetime_is_refused_to_its_end() {
    if !can_start() {
        return;
    }
    let (_server, _cluster, urls) = both().await;
    for url in &urls {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let long = Opening {
            clock: Some(&clock),
            lifetime: HOUR,
            ..opening(url)
        };
        let short = Opening {
            lifetime: 10 * MINUTE,
            ..long
        };
        let nodes = [long.open().await, short.open().await];
        let ended = nodes[0].login("alice").await;
        // Lifetimes differ slightly, so that concurrently issued tokens do not expire together.
        let control = loop {
            let tokens = nodes[0].login("alice").await;
            if tokens.access().expires_at() >= ended.access().expires_at() {
                break tokens;
            }
        };
        let token = ended.refresh().unwrap().expose();
        nodes[1].sessions.end_by_token(token).await.unwrap();
        is_refused_to_its_end(&ended, &control, &nodes, &clock).await;
    }
}

/// An access token is refused as long as any node might accept it, which `control` shows.
async fn is_refused_to_its_end(
    ended: &Tokens,
    control: &Tokens,
    nodes: &[Node],
    clock: &ManualClock,
) {
    let end = ended.access().expires_at();
    let last = end.saturating_add(LEEWAY - Duration::from_secs(1));
    for moment in [clock.now(), end, last] {
        clock.advance(moment.saturating_since(clock.now()));
        for node in nodes {
            // A node that starts now refuses it too.
            node.hear().await;
            assert!(!node.admits(ended), "{moment:?}");
            assert!(node.admits(control), "{moment:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h10_a_logout_whose_answer_was_lost_is_felt_at_once_and_told_once() {
    if !can_start() {
        return;
    }
    let (_server, _cluster, urls) = both().await;
    for url in &urls {
        let [node, other] = [opening(url).open().await, opening(url).open().await];
        for fault in [Fault::LostAnswer, Fault::Down] {
            let tokens = node.login("alice").await;
            let token = tokens.refresh().unwrap().expose();
            node.told.0.lock().unwrap().clear();
            node.faults.inject(Some(StoreOp::Revoke), fault, 1);
            assert!(node.sessions.end_by_token(token).await.is_err());
            assert!(!node.admits(&tokens));
            node.sessions.end_by_token(token).await.unwrap();
            other.sessions.end_by_token(token).await.unwrap();
            other.hear().await;
            assert!(!other.admits(&tokens));
            let told: Vec<_> = node.told.0.lock().unwrap().clone();
            let ends = told.iter().filter(|kind| *kind == "revoked").count();
            // Unconfirmed, and confirmed only by a retry that had to complete the write.
            let expected = if matches!(fault, Fault::Down) { 2 } else { 1 };
            assert_eq!(ends, expected, "{fault:?}: {told:?}");
            let told = other.told.0.lock().unwrap().clone();
            assert!(!told.iter().any(|kind| kind == "revoked"), "{told:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h24_a_token_made_without_a_write_is_refused_to_its_end() {
    if !can_start() {
        return;
    }
    let (_server, _cluster, urls) = both().await;
    for url in &urls {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let opening = Opening {
            clock: Some(&clock),
            ..opening(url)
        };
        let nodes = [opening.open().await, opening.open().await];
        let [ended, control] = [nodes[0].login("alice").await, nodes[0].login("bob").await];
        let [ended, control] = [
            granted(nodes[0].refresh(&ended).await),
            granted(nodes[0].refresh(&control).await),
        ];
        clock.advance(MINUTE);
        let fresh = async |rotated: &Tokens| {
            let again = granted(nodes[1].refresh(rotated).await);
            let [before, now] = [rotated, &again].map(|tokens| tokens.refresh().unwrap().expose());
            assert_eq!(before, now, "not written");
            again
        };
        let last = fresh(&ended).await;
        let control = loop {
            let tokens = fresh(&control).await;
            if tokens.access().expires_at() >= last.access().expires_at() {
                break tokens;
            }
        };
        clock.advance(MINUTE / 2);
        let token = last.refresh().unwrap().expose();
        nodes[0].sessions.end_by_token(token).await.unwrap();
        is_refused_to_its_end(&last, &control, &nodes, &clock).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h25_a_login_that_finds_an_entry_ahead_raises_the_epoch_to_it() {
    if !can_start() {
        return;
    }
    let (_server, _cluster, urls) = both().await;
    for url in &urls {
        let nodes = [opening(url).open().await, opening(url).open().await];
        let before = nodes[0].login("alice").await;
        // The state left by an earlier version, or by a failover that lost the version.
        let ahead = Revocation::Subject {
            subject: "alice".into(),
            lowest_subject_version: 3,
            until: SystemClock.now().saturating_add(HOUR),
        };
        nodes[1].store.append(&ahead).await.unwrap();
        nodes[0].hear().await;
        let tokens = nodes[0].login("alice").await;
        assert_eq!(nodes[1].store.subject_version("alice").await.unwrap(), 3);
        for node in &nodes {
            node.hear().await;
            assert!(node.admits(&tokens));
            let _ = granted(node.refresh(&tokens).await);
            let outcome = node.refresh(&before).await;
            assert!(
                matches!(outcome, RefreshOutcome::SessionEnded(_)),
                "{outcome:?}"
            );
        }
        // The argument is a minimum: the call never lowers the version.
        assert_eq!(
            nodes[0]
                .store
                .raise_subject_version("alice", 2)
                .await
                .unwrap(),
            3
        );
        let far = nodes[0]
            .store
            .raise_subject_version("alice", u64::MAX)
            .await;
        assert!(far.is_err(), "no row has room for it");
        assert_eq!(nodes[0].store.subject_version("alice").await.unwrap(), 3);
    }
}
