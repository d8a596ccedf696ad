//! An unreachable issuer: before the first set, after it, and during a fetch.

use std::time::Duration;

use auth_core::adapter::Step;
use auth_core::remote::FetchFault;
use auth_jwks::testing::{Document, FakeAnswer};

use crate::world::{COOL_DOWN, World, status_of, step, until};

/// Ten minutes of freshness, plus an hour.
const MAX_STALE: u64 = 600 + 3600;

#[tokio::test]
async fn f04_known_keys_work_until_they_are_too_old_and_then_it_is_503_never_401() {
    let world = World::loaded().await;
    world.provider.answer(Document::Jwks, FakeAnswer::HangUp);
    let mut age = 0;
    while age < MAX_STALE + 600 {
        let known = world.at_once(&world.token());
        if age < MAX_STALE {
            assert_eq!(known, Some(200), "after {age} s");
        } else {
            assert_eq!(world.status(&world.token()).await, 503, "after {age} s");
        }
        // Lets the fetch end that the request has woken.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        until(|| world.ended() == world.keys.status().fetches).await;
        world.advance(10);
        age += 10;
    }
    let fetches = world.keys.status().fetches;
    // Attempts continue, but never within the cool-down.
    let most = 1 + age / COOL_DOWN;
    assert!((most / 2..=most).contains(&fetches), "{fetches} of {most}");
    assert_eq!(
        world.keys.status().last_fault,
        Some(FetchFault::Unreachable)
    );
    assert!(!world.keys.status().usable);
    println!("f04: {fetches} fetches in {age} s without the issuer");

    // After the outage, every token is accepted within one cool-down.
    world.provider.answer(Document::Jwks, FakeAnswer::Document);
    world.advance(COOL_DOWN);
    assert_eq!(world.status(&world.token()).await, 200);
    assert_eq!(world.at_once(&world.token()), Some(200));
    assert_eq!(world.keys.status().fetches, fetches + 1);
}

#[tokio::test]
async fn f04_an_unknown_key_is_503_while_nobody_can_say_whether_it_exists() {
    let world = World::loaded().await;
    world
        .provider
        .answer(Document::Jwks, FakeAnswer::Status(500));
    // The last fetch succeeded, so the key counts as unknown.
    assert_eq!(world.at_once(&world.forged("new")), Some(401));
    world.advance(COOL_DOWN);
    assert_eq!(world.status(&world.forged("new")).await, 503);
    assert_eq!(world.at_once(&world.forged("other")), Some(503));
    assert_eq!(world.at_once(&world.token()), Some(200), "known keys");
    // A wrong signature under a known key is still refused.
    assert_eq!(world.at_once(&world.forged("1")), Some(401));
    assert_eq!(world.provider.requests(Document::Jwks), 2);

    world.provider.answer(Document::Jwks, FakeAnswer::Document);
    world.advance(COOL_DOWN);
    assert_eq!(world.status(&world.forged("new")).await, 401);
    let key = world.provider.rotate();
    world.advance(COOL_DOWN);
    assert_eq!(world.status(&world.token()).await, 200, "{}", key.id());
    assert_eq!(world.at_once(&world.forged("new")), Some(401), "remembered");
}

#[tokio::test]
async fn f08_a_start_without_the_issuer_is_503_until_it_comes() {
    let world = World::new();
    world.provider.answer(Document::Jwks, FakeAnswer::HangUp);
    // A service that loads keys at start gets an error.
    let error = world.keys.load().await.unwrap_err();
    assert_eq!(error.fault(), FetchFault::Unreachable);
    // A service that serves without keys responds with 503.
    for _ in 0..100 {
        assert_eq!(world.status(&world.token()).await, 503);
        assert_eq!(world.status(&world.forged("x")).await, 503);
    }
    assert_eq!(world.provider.requests(Document::Jwks), 1);
    world.provider.answer(Document::Jwks, FakeAnswer::Document);
    world.advance(COOL_DOWN);
    assert_eq!(world.status(&world.token()).await, 200);
    assert_eq!(
        world.keys.load().await.map_err(|error| error.fault()),
        Ok(())
    );
}

#[tokio::test]
async fn f08_lazily_the_first_token_fetches() {
    let world = World::new();
    assert_eq!(world.provider.all_requests(), 0);
    assert!(!world.keys.status().usable);
    assert_eq!(world.at_once("not-a-token"), Some(401));
    assert_eq!(world.provider.all_requests(), 0);
    assert_eq!(world.status(&world.token()).await, 200);
    assert_eq!(world.provider.requests(Document::Jwks), 1);
    assert!(world.keys.status().usable);
}

#[tokio::test]
async fn a_shutdown_ends_the_fetch_and_answers_who_waits() {
    let world = World::loaded().await;
    world.advance(COOL_DOWN);
    world.provider.rotate();
    world.provider.answer(Document::Jwks, FakeAnswer::Hang);
    let Step::Wait(waiting) = step(&world.auth, &world.token()) else {
        panic!("its key cannot be there");
    };
    let waiting = tokio::spawn(waiting);
    until(|| world.provider.requests(Document::Jwks) == 2).await;
    world.keys.shutdown();
    let answered = tokio::time::timeout(Duration::from_secs(2), waiting).await;
    assert_eq!(status_of(&answered.unwrap().unwrap()), 503);
    assert_eq!(world.at_once(&world.token()), Some(503));
    let stopped = world.keys.load().await;
    assert!(stopped.is_ok(), "the keys at hand are still good");
    // No more fetches: known keys stay usable until they are too old.
    let old = world.provider.token(world.now());
    let old = old.header("kid", "1");
    world.provider.answer(Document::Jwks, FakeAnswer::Document);
    world.advance(MAX_STALE);
    assert_eq!(world.at_once(&old.mint()), Some(503));
    let error = world.keys.load().await.unwrap_err();
    assert_eq!(error.fault(), FetchFault::Stopped);
    assert_eq!(world.provider.requests(Document::Jwks), 2);
}

#[tokio::test]
async fn the_last_handle_ends_the_task() {
    let world = World::loaded().await;
    let World {
        provider,
        clock,
        keys,
        auth,
    } = world;
    provider.answer(Document::Jwks, FakeAnswer::Hang);
    clock.advance(Duration::from_secs(COOL_DOWN));
    let forged = provider.token(clock_now(&clock)).header("kid", "x").mint();
    let Step::Wait(waiting) = step(&auth, &forged) else {
        panic!("its key cannot be there");
    };
    until(|| provider.requests(Document::Jwks) == 2).await;
    drop((waiting, auth, keys));
    // The client has closed the connection, so later bytes are not sent.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = provider.bytes_sent();
    provider.answer(Document::Jwks, FakeAnswer::Document);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(provider.bytes_sent(), before);
}

fn clock_now(clock: &auth_core::testing::ManualClock) -> auth_core::Timestamp {
    auth_core::Clock::now(clock)
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_end_the_refreshes() {
    let world = World::loaded().await;
    let token = world.provider.token(world.now());
    world.clock.step_back(Duration::from_secs(86_400));
    let token = token.claim("iat", world.now().as_secs());
    let token = token.claim("exp", world.now().as_secs() + 600).mint();
    assert_eq!(world.at_once(&token), Some(200));
    world.provider.rotate();
    assert_eq!(world.status(&world.token()).await, 200);
}
