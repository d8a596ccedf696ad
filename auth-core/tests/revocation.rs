//! Revocation on a node: the list, its feed, and the effect of staleness on requests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::revocation::{Follower, Revocation, Revocations, StalePolicy};
use auth_core::session::SessionId;
use auth_core::store::{Batch, Cursor, FeedError, RevocationFeed, Snapshot};
use auth_core::testing::ManualClock;
use auth_core::{AccessTokenRequest, Authenticator, Clock, Guard, Issuer, Key, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);

fn sid(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

struct Bearer(String);

impl RequestView for Bearer {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/me"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if name == "authorization" {
            visit(self.0.as_bytes());
        }
    }
}

/// A feed in memory that can be disconnected.
#[derive(Debug, Default)]
struct Feed {
    log: Mutex<Vec<Revocation>>,
    down: Mutex<bool>,
    trimmed: Mutex<usize>,
}

impl Feed {
    fn reachable(&self) -> Result<(), FeedError> {
        if *self.down.lock().unwrap() {
            Err(FeedError::unavailable("down"))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl RevocationFeed for Feed {
    async fn snapshot(&self) -> Result<Snapshot, FeedError> {
        self.reachable()?;
        let log = self.log.lock().unwrap();
        Ok(Snapshot {
            revocations: log.clone(),
            cursor: Cursor::new(log.len().to_string()),
        })
    }

    async fn follow(&self, cursor: &Cursor, _: Duration) -> Result<Batch, FeedError> {
        self.reachable()?;
        let from: usize = cursor.as_str().parse().unwrap();
        if from < *self.trimmed.lock().unwrap() {
            return Err(FeedError::CursorLost);
        }
        let log = self.log.lock().unwrap();
        let cursor = Cursor::new(log.len().to_string());
        Ok(Batch {
            revocations: log[from..].to_vec(),
            cursor,
        })
    }

    async fn append(&self, revocation: &Revocation) -> Result<(), FeedError> {
        self.reachable()?;
        self.log.lock().unwrap().push(revocation.clone());
        Ok(())
    }
}

struct Node {
    clock: Arc<ManualClock>,
    issuer: Issuer,
    revocations: Revocations,
    guard: Guard<()>,
}

impl Node {
    fn new(policy: StalePolicy) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let issuer = Issuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(Key::hs256("k1", &[7; 32]).unwrap())
            .unwrap()
            .with_clock(clock.clone());
        let revocations = Revocations::new(policy, clock.clone());
        let auth: Arc<Authenticator<()>> = issuer
            .authenticator()
            .with_clock(clock.clone())
            .with_revocations(revocations.clone())
            .build()
            .unwrap();
        Self {
            clock,
            issuer,
            revocations,
            guard: Guard::from(auth),
        }
    }

    async fn token(&self, session: u8, subject_version: u64) -> Bearer {
        let request = AccessTokenRequest::for_subject("alice")
            .with_session_id(sid(session))
            .with_subject_version(subject_version);
        Bearer(format!(
            "Bearer {}",
            self.issuer.mint(&request).await.unwrap().expose()
        ))
    }

    fn status(&self, request: &Bearer) -> u16 {
        match self.guard.check(request) {
            Step::Done(Verdict::Pass(_)) => 200,
            Step::Done(Verdict::Refuse(refusal)) => refusal.response().status(),
            Step::Wait(_) => panic!("a verified request waits for nobody"),
        }
    }

    fn ended(&self, session: u8) -> Revocation {
        Revocation::Session {
            id: sid(session),
            until: self.clock.now().saturating_add(11 * MINUTE),
        }
    }
}

const CLOSED: StalePolicy = StalePolicy::FailClosed {
    after: Duration::from_secs(30),
};

#[tokio::test]
async fn d12_an_access_token_is_refused_the_moment_its_session_is_listed() {
    let node = Node::new(StalePolicy::FailOpen);
    let (ended, other) = (node.token(1, 0).await, node.token(2, 0).await);
    assert_eq!((node.status(&ended), node.status(&other)), (200, 200));
    node.revocations.add(&node.ended(1));
    assert_eq!((node.status(&ended), node.status(&other)), (401, 200));
}

#[tokio::test]
async fn d12_the_end_of_all_refuses_older_epochs_and_no_newer() {
    let node = Node::new(StalePolicy::FailOpen);
    let (before, after) = (node.token(1, 1).await, node.token(1, 2).await);
    node.revocations.add(&Revocation::Subject {
        subject: "alice".into(),
        lowest_subject_version: 2,
        until: node.clock.now().saturating_add(11 * MINUTE),
    });
    assert_eq!((node.status(&before), node.status(&after)), (401, 200));
}

#[tokio::test]
async fn e10_a_node_that_never_reached_the_feed_serves_nobody_if_it_is_to_fail_closed() {
    let node = Node::new(CLOSED);
    let token = node.token(1, 0).await;
    assert_eq!(node.status(&token), 503);
    let feed = Arc::new(Feed::default());
    let mut follower = Follower::new(feed.clone(), node.revocations.clone());
    *feed.down.lock().unwrap() = true;
    assert!(follower.load().await.is_err());
    assert_eq!(node.status(&token), 503);
    *feed.down.lock().unwrap() = false;
    follower.step().await.unwrap();
    assert_eq!(node.status(&token), 200);
}

#[tokio::test]
async fn e10_beyond_the_bound_a_stale_node_does_what_was_chosen() {
    for (policy, expected) in [(CLOSED, 503), (StalePolicy::FailOpen, 200)] {
        let node = Node::new(policy);
        let feed = Arc::new(Feed::default());
        let mut follower = Follower::new(feed.clone(), node.revocations.clone());
        follower.step().await.unwrap();
        let token = node.token(1, 0).await;
        *feed.down.lock().unwrap() = true;
        node.clock.advance(Duration::from_secs(30));
        assert!(follower.step().await.is_err());
        assert_eq!(node.status(&token), 200, "within the bound");
        assert_eq!(node.revocations.staleness(), Some(Duration::from_secs(30)));
        node.clock.advance(Duration::from_secs(1));
        assert_eq!(node.status(&token), expected);
        *feed.down.lock().unwrap() = false;
        follower.step().await.unwrap();
        assert_eq!(node.status(&token), 200, "healed");
    }
}

/// A node whose tokens live for a day, so that a wall clock may be an hour off.
fn slow_node() -> Node {
    let mut node = Node::new(CLOSED);
    let day = Duration::from_secs(24 * 60 * 60);
    node.issuer = node.issuer.with_lifetime(day).unwrap();
    node
}

#[tokio::test]
async fn h12_staleness_goes_on_as_measured_whatever_the_wall_clock_does() {
    let node = slow_node();
    let feed = Arc::new(Feed::default());
    let mut follower = Follower::new(feed.clone(), node.revocations.clone());
    let token = node.token(1, 0).await;
    node.clock.advance(120 * MINUTE);
    follower.step().await.unwrap();
    *feed.down.lock().unwrap() = true;
    let start = node.clock.now();
    let wall = [
        start.saturating_add(60 * MINUTE),
        start.saturating_sub(60 * MINUTE),
    ];
    for (seconds, expected) in [(0, 200), (30, 200), (1, 503)] {
        node.clock.advance(Duration::from_secs(seconds));
        let measured = node.revocations.staleness();
        for now in wall {
            node.clock.set(now);
            assert_eq!(node.status(&token), expected, "{now:?}");
            assert_eq!(node.revocations.staleness(), measured);
        }
    }
    *feed.down.lock().unwrap() = false;
    follower.step().await.unwrap();
    assert_eq!(node.revocations.staleness(), Some(Duration::ZERO));
    assert_eq!(node.status(&token), 200);
}

#[tokio::test]
async fn h12_a_wall_clock_that_was_an_hour_ahead_has_forgotten_nothing() {
    let node = slow_node();
    let feed = Arc::new(Feed::default());
    let mut follower = Follower::new(feed.clone(), node.revocations.clone());
    follower.step().await.unwrap();
    node.revocations.add(&node.ended(1));
    let (now, ended) = (node.clock.now(), node.token(1, 0).await);
    node.clock.set(now.saturating_add(60 * MINUTE));
    // Enough entries for a sweep and a larger table.
    for other in 2..=255 {
        node.revocations.add(&node.ended(other));
        follower.step().await.unwrap();
    }
    node.clock.set(now);
    assert_eq!(node.status(&ended), 401);
    // The end has passed by both clocks.
    node.clock.advance(75 * MINUTE);
    for _ in 0..60 {
        follower.step().await.unwrap();
    }
    assert!(node.revocations.list().is_empty());
}

#[tokio::test]
async fn nothing_is_missed_over_an_interruption_or_a_lost_cursor() {
    let node = Node::new(CLOSED);
    let feed = Arc::new(Feed::default());
    feed.append(&node.ended(1)).await.unwrap();
    let mut follower = Follower::new(feed.clone(), node.revocations.clone());
    follower.load().await.unwrap();
    assert_eq!(
        node.status(&node.token(1, 0).await),
        401,
        "in force before it served"
    );
    feed.append(&node.ended(2)).await.unwrap();
    *feed.down.lock().unwrap() = true;
    assert!(follower.step().await.is_err());
    feed.log.lock().unwrap().push(node.ended(3));
    *feed.down.lock().unwrap() = false;
    follower.step().await.unwrap();
    for session in [2, 3] {
        assert_eq!(node.status(&node.token(session, 0).await), 401);
    }
    feed.log.lock().unwrap().push(node.ended(4));
    *feed.trimmed.lock().unwrap() = 4;
    follower.step().await.unwrap();
    assert_eq!(
        node.status(&node.token(4, 0).await),
        401,
        "a new snapshot has it"
    );
}

#[tokio::test]
async fn a_memory_store_tells_the_other_nodes_of_its_process() {
    use auth_core::session::RevokeReason;
    use auth_core::store::{
        Listing, NewSession, RefreshStore, RevocationMark, RevokeSubject, SessionDetails,
        StoreClock,
    };
    use auth_core::testing::MemoryStore;
    let node = Node::new(CLOSED);
    let store = Arc::new(MemoryStore::new().with_clock(StoreClock::driven(node.clock.clone())));
    let mut follower = Follower::new(store.clone(), node.revocations.clone());
    follower.load().await.unwrap();
    let details = SessionDetails::default();
    let mark = RevocationMark::from_bytes([0; 16]);
    let listing = Listing {
        lifetime: 10 * MINUTE,
        margin: MINUTE,
    };
    let new = |n: u8, replaces| NewSession {
        id: sid(n),
        subject: "alice",
        subject_version: 0,
        idle: 60 * MINUTE,
        absolute: 60 * MINUTE,
        details: &details,
        limit: None,
        replaces,
        mark,
        listing,
    };
    store.insert(&new(1, None)).await.unwrap();
    store.insert(&new(2, Some(sid(1)))).await.unwrap();
    follower.step().await.unwrap();
    assert_eq!(node.status(&node.token(1, 0).await), 401, "replaced");
    assert_eq!(node.status(&node.token(2, 0).await), 200);
    let end = RevokeSubject {
        subject: "alice",
        keep: None,
        reason: RevokeReason::All,
        listing,
    };
    store.end_all(&end).await.unwrap();
    follower.step().await.unwrap();
    assert_eq!(node.status(&node.token(2, 0).await), 401, "all ended");
    node.clock.advance(12 * MINUTE);
    assert!(
        store
            .revoke(&auth_core::store::RevokeSession {
                id: sid(2),
                reason: RevokeReason::App,
                mark,
                listing,
            })
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        store.snapshot().await.unwrap().revocations.len(),
        1,
        "the rest is over"
    );
}
