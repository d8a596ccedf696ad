//! The tasks of an `Auth`: kept running, watched, and ended.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken expectation fails the test"
)]

mod auth_kit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use auth_core::health::{HealthReason, HealthStatus};
use auth_core::testing::MemoryStore;
use auth_core::{Auth, AuthBuilder};

use crate::auth_kit::{Faults, Frail, builder};

/// Lets tasks run until `done`. Time is paused: it moves on when all tasks wait.
async fn until(done: impl AsyncFn() -> bool) {
    for _ in 0..10_000 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never happens");
}

async fn reasons(auth: &Auth) -> Vec<HealthReason> {
    auth.health().check().await.reasons().to_vec()
}

type Fault = fn(&Frail) -> &AtomicBool;
type Calls = fn(&Frail) -> &AtomicU32;

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_makes_the_node_unready_and_begins_anew() {
    let cases: [(&str, Fault, Calls); 3] = [
        (
            "feed",
            |store| &store.faults.feed_panics,
            |store| &store.faults.feed_calls,
        ),
        (
            "keys",
            |store| &store.keys.panics,
            |store| &store.keys.reads,
        ),
        (
            "purge",
            |store| &store.faults.purge_panics,
            |store| &store.faults.purge_calls,
        ),
    ];
    for (name, fault, calls) in cases {
        let store = Frail::default();
        let auth = builder(store.clone()).start().await.unwrap();
        assert_eq!(reasons(&auth).await, [], "{name}");
        Faults::set(fault(&store), true);
        until(async || reasons(&auth).await.contains(&HealthReason::TaskFailed)).await;
        let report = auth.health().check().await;
        assert_eq!(report.status(), HealthStatus::NotReady, "{name}");
        assert_eq!(report.response().status(), 503, "{name}");

        Faults::set(fault(&store), false);
        let before = calls(&store).load(Ordering::SeqCst);
        until(async || reasons(&auth).await.is_empty()).await;
        until(async || calls(&store).load(Ordering::SeqCst) > before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_panicked_misses_nothing() {
    use auth_core::adapter::Verdict;
    use auth_core::session::LoginRequest;

    let store = Frail::default();
    let auth = builder(store.clone()).start().await.unwrap();
    let other = builder(store.clone()).start().await.unwrap();
    let login = LoginRequest::for_subject("alice");
    let tokens = auth.sessions().login(login).await.unwrap();
    Faults::set(&store.faults.feed_panics, true);
    until(async || reasons(&auth).await.contains(&HealthReason::TaskFailed)).await;
    let refresh = tokens.refresh().unwrap().expose();
    other.sessions().end_by_token(refresh).await.unwrap();
    Faults::set(&store.faults.feed_panics, false);
    let request = auth_kit::Request::bearer(tokens.access().expose());
    until(async || {
        let verdict = auth.guard().check(&request).verdict().await;
        matches!(verdict, Verdict::Refuse(refusal) if refusal.response().status() == 401)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_part_keeps_the_tasks_running_and_the_last_one_ends_them() {
    type Part = fn(&Auth) -> Box<dyn std::any::Any>;
    let parts: [(&str, Part); 6] = [
        ("auth", |auth| Box::new(auth.clone())),
        ("guard", |auth| Box::new(auth.guard())),
        ("pages", |auth| Box::new(auth.pages())),
        ("sessions", |auth| Box::new(auth.sessions().clone())),
        ("issuer", |auth| Box::new(auth.issuer().clone())),
        ("health", |auth| Box::new(auth.health().clone())),
    ];
    for (name, part) in parts {
        let store = Frail::default();
        let auth = builder(store.clone()).start().await.unwrap();
        let kept = part(&auth);
        drop(auth);
        let calls = || store.faults.feed_calls.load(Ordering::SeqCst);
        let before = calls();
        until(async || calls() > before + 2).await;
        drop(kept);
        // The tasks let go of the store.
        until(async || Arc::strong_count(&store.faults) == 1).await;
        let ended = calls();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(calls(), ended, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_the_tasks() {
    let store = Frail::default();
    let auth = builder(store.clone()).start().await.unwrap();
    until(async || store.faults.feed_calls.load(Ordering::SeqCst) > 0).await;
    auth.stop().await;
    let ended = store.faults.feed_calls.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(store.faults.feed_calls.load(Ordering::SeqCst), ended);
    assert!(reasons(&auth).await.contains(&HealthReason::TaskFailed));
}

#[test]
fn a_runtime_that_ends_under_an_auth_is_reported() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let short = runtime();
    let auth = short.block_on(builder(MemoryStore::new()).start()).unwrap();
    let long = runtime();
    assert_eq!(long.block_on(reasons(&auth)), []);
    drop(short);
    assert_eq!(long.block_on(reasons(&auth)), [HealthReason::TaskFailed]);
}

#[tokio::test(start_paused = true)]
async fn without_revocations_no_feed_is_followed() {
    let store = Frail::default();
    let auth = AuthBuilder::without_revocations(builder(store.clone()));
    let auth = auth.start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(store.faults.feed_calls.load(Ordering::SeqCst), 0);
    assert_eq!(reasons(&auth).await, []);
}
