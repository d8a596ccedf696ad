use std::sync::atomic::Ordering;
use std::time::Duration;

use auth_core::health::{Health, HealthReason, HealthReport, HealthStatus};
use auth_core::revocation::{Follower, Revocations, StalePolicy};
use auth_core::rotation::{KeyRotation, KeySchedule};
use auth_core::testing::Fault;

use super::issuers::{Publisher, Shelf, fetched};
use crate::world::{World, secs};

fn says(report: &HealthReport, status: HealthStatus, reasons: &[HealthReason]) {
    assert_eq!((report.status(), report.reasons()), (status, reasons));
    let answer = report.response();
    let expected = if status == HealthStatus::NotReady {
        503
    } else {
        200
    };
    assert_eq!(answer.status(), expected);
    let body: serde_json::Value = serde_json::from_slice(&answer.into_body()).unwrap();
    assert_eq!(body["status"], status.as_str());
    assert_eq!(body["reasons"].as_array().unwrap().len(), reasons.len());
}

#[tokio::test(start_paused = true)]
async fn a_stale_feed_is_as_bad_as_the_policy_says() {
    let world = World::new();
    let closed = StalePolicy::FailClosed { after: secs(30) };
    for (policy, at_first, later) in [
        (
            closed,
            (HealthStatus::NotReady, HealthReason::FeedStale),
            (HealthStatus::NotReady, HealthReason::FeedStale),
        ),
        (
            StalePolicy::FailOpen,
            (HealthStatus::Degraded, HealthReason::FeedLate),
            (HealthStatus::Degraded, HealthReason::FeedLate),
        ),
    ] {
        let revocations = Revocations::new(policy, world.clock.clone());
        let health = Health::new().with_revocations(revocations.clone());
        says(&health.check().await, at_first.0, &[at_first.1]);
        let mut follower = Follower::new(world.memory.clone(), revocations);
        follower.load().await.unwrap();
        says(&health.check().await, HealthStatus::Ready, &[]);
        world.advance(11);
        let late = [HealthReason::FeedLate];
        says(&health.check().await, HealthStatus::Degraded, &late);
        world.advance(30);
        says(&health.check().await, later.0, &[later.1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_or_does_not_answer_degrades() {
    let world = World::new();
    let health = Health::new().with_sessions(world.sessions.clone());
    says(&health.check().await, HealthStatus::Ready, &[]);
    for fault in [Fault::Down, Fault::Slow] {
        world.store.inject(None, fault, 1);
        let reasons = [HealthReason::StoreUnavailable];
        says(&health.check().await, HealthStatus::Degraded, &reasons);
    }
    says(&health.check().await, HealthStatus::Ready, &[]);
    assert_eq!(world.store.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn keys_degrade_when_they_cannot_be_fetched_or_were_not_read_for_long() {
    let world = World::new();
    let publisher = Publisher::new();
    let keys = publisher.keys(&world.clock, world.told.clone());
    let schedule = KeySchedule::for_lifetime(Duration::from_secs(600));
    let rotation = KeyRotation::builder(Shelf::default(), schedule)
        .with_clock(world.clock.clone())
        .start()
        .await
        .unwrap();
    let health = Health::new()
        .with_issuer_keys(keys.clone())
        .with_rotation(rotation.health());
    let unusable = [HealthReason::IssuerKeysUnusable];
    says(&health.check().await, HealthStatus::Degraded, &unusable);
    keys.load().await.unwrap();
    says(&health.check().await, HealthStatus::Ready, &[]);
    publisher.down.store(true, Ordering::SeqCst);
    world.advance(86_400);
    let both = [HealthReason::IssuerKeysUnusable, HealthReason::OwnKeysStale];
    says(&health.check().await, HealthStatus::Degraded, &both);

    // Fetched again, then the next fetch fails: the current keys are still usable.
    publisher.down.store(false, Ordering::SeqCst);
    fetched(&keys, 2).await;
    let health = Health::new().with_issuer_keys(keys.clone());
    says(&health.check().await, HealthStatus::Ready, &[]);
    publisher.down.store(true, Ordering::SeqCst);
    world.advance(600);
    fetched(&keys, 3).await;
    let failing = [HealthReason::IssuerFetchFailed];
    says(&health.check().await, HealthStatus::Degraded, &failing);
}
