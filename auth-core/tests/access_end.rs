//! Long-lived connections end with their token, session or subject.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use auth_core::adapter::{RequestView, Verdict};
use auth_core::revocation::{Follower, Revocation, Revocations, StalePolicy};
use auth_core::session::SessionId;
use auth_core::testing::{ManualClock, MemoryStore};
use auth_core::{AccessEnd, AccessTokenRequest, EndReason, Issuer, Key, Timestamp};
use tokio::task::JoinHandle;

const NOW: i64 = 1_800_000_000;
const SESSION: SessionId = SessionId::from_bytes([7; 16]);

struct Bearer(String);

impl RequestView for Bearer {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/"
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

struct World {
    clock: Arc<ManualClock>,
    revocations: Revocations,
    end: AccessEnd,
}

/// A connection of `alice`, opened with a token for ten minutes, and ten seconds of leeway.
async fn world(policy: StalePolicy) -> World {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    let revocations = Revocations::new(policy, clock.clone());
    let feed = Arc::new(MemoryStore::new());
    let mut follower = Follower::new(feed, revocations.clone());
    follower.load().await.unwrap();
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap()
        .with_jitter(0)
        .unwrap()
        .with_clock(clock.clone());
    let auth = issuer
        .authenticator::<()>()
        .with_clock(clock.clone())
        .with_leeway(Duration::from_secs(10))
        .with_revocations(revocations.clone())
        .build()
        .unwrap();
    let request = AccessTokenRequest::for_subject("alice").with_session_id(SESSION);
    let token = issuer.mint(&request).await.unwrap();
    let request = Bearer(format!("Bearer {}", token.expose()));
    let Verdict::Pass(pass) = auth.authenticate(&request).verdict().await else {
        panic!("refused");
    };
    World {
        clock,
        revocations,
        end: pass.into_parts().0.access_end().unwrap(),
    }
}

fn session() -> Revocation {
    Revocation::Session {
        id: SESSION,
        until: Timestamp::from_secs(NOW + 700),
    }
}

/// Lets time pass, and lets all tasks run until they wait for the clock.
async fn wait(world: &World, seconds: u64) {
    world.clock.advance(Duration::from_secs(seconds));
    tokio::time::sleep(Duration::from_secs(seconds.max(3))).await;
}

fn watch(end: &AccessEnd) -> JoinHandle<EndReason> {
    let end = end.clone();
    tokio::spawn(async move { end.reached().await })
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_a_request_with_its_token_would_be_refused() {
    let world = world(StalePolicy::FailOpen).await;
    let ended = watch(&world.end);
    wait(&world, 609).await;
    assert!(!ended.is_finished() && world.end.reason().is_none());
    wait(&world, 1).await;
    assert!(ended.is_finished());
    assert_eq!(ended.await.unwrap(), EndReason::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_ends_it_at_once_and_others_do_not() {
    for revocation in [
        session(),
        Revocation::Subject {
            subject: "alice".into(),
            lowest_subject_version: 1,
            until: Timestamp::from_secs(NOW + 700),
        },
    ] {
        let world = world(StalePolicy::FailOpen).await;
        let ended = watch(&world.end);
        for n in 0..50_u8 {
            world.revocations.add(&Revocation::Session {
                id: SessionId::from_bytes([n + 100; 16]),
                until: Timestamp::from_secs(NOW + 700),
            });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(!ended.is_finished());
        let before = tokio::time::Instant::now();
        world.revocations.add(&revocation);
        assert_eq!(ended.await.unwrap(), EndReason::Revoked);
        assert!(before.elapsed() <= Duration::from_millis(25));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_revoked_before_it_waits_ends_it_too() {
    let world = world(StalePolicy::FailOpen).await;
    world.revocations.add(&session());
    assert_eq!(world.end.reached().await, EndReason::Revoked);
    assert_eq!(world.end.reason(), Some(EndReason::Revoked));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_know_ends_it_only_if_it_is_to_fail_closed() {
    let after = Duration::from_secs(30);
    let open = world(StalePolicy::FailOpen).await;
    let ended = watch(&open.end);
    wait(&open, 60).await;
    assert!(!ended.is_finished());

    let closed = world(StalePolicy::FailClosed { after }).await;
    let ended = watch(&closed.end);
    wait(&closed, 30).await;
    assert!(!ended.is_finished());
    wait(&closed, 1).await;
    assert!(ended.is_finished());
    assert_eq!(ended.await.unwrap(), EndReason::Unavailable);
}

#[test]
fn what_a_client_is_told() {
    assert_eq!(EndReason::Expired.close_code(), 1008);
    assert_eq!(EndReason::Revoked.close_code(), 1008);
    assert_eq!(EndReason::Unavailable.close_code(), 1013);
    assert_eq!(EndReason::Revoked.as_str(), "revoked");
}
