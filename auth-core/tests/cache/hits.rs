//! One rule per test: the cached results, and the events that end them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::remote::{FetchError, FetchFault, FetchKeys, FetchedKeys, RemoteKeys};
use auth_core::revocation::{Revocation, Revocations, StalePolicy};
use auth_core::session::SessionId;
use auth_core::source::{BearerHeader, TokenSource};
use auth_core::testing::TokenForge;
use auth_core::{Algorithm, Authenticator, AuthenticatorBuilder, Guard, Key, KeyRing, KeySource};

use crate::world::{Counting, Head, Private, START, Said, WholeCookie, ask, builder, clock};

const MINUTE: Duration = Duration::from_secs(60);

fn guard(builder: AuthenticatorBuilder<Private>) -> Guard<Private> {
    Guard::from(builder.build().unwrap())
}

fn passes(guard: &Guard<Private>, token: &str) -> bool {
    matches!(ask(guard, &Head::bearer(token)), Said::Yes(..))
}

#[test]
fn a_token_is_verified_once() {
    let key = Counting::new(1);
    let guard = guard(builder(key.key("k1"), &clock()));
    let token = key.forge("k1", START).claim("tenant", "acme").mint();
    let first = ask(&guard, &Head::bearer(&token));
    assert!(matches!(&first, Said::Yes(_, _, claims) if claims.tenant == "acme"));
    for _ in 0..5 {
        assert_eq!(ask(&guard, &Head::bearer(&token)), first);
    }
    assert_eq!(key.count(), 1);
}

#[test]
fn without_the_cache_it_is_verified_every_time() {
    let key = Counting::new(1);
    for builder in [
        builder(key.key("k1"), &clock()).without_cache(),
        builder(key.key("k1"), &clock()).with_cache_size(0),
    ] {
        let before = key.count();
        let auth = builder.build().unwrap();
        assert_eq!(auth.cache_status(), None);
        let token = key.forge("k1", START).mint();
        for _ in 0..3 {
            assert!(passes(&auth.guard(), &token));
        }
        assert_eq!(key.count() - before, 3);
    }
}

#[test]
fn a_cache_beyond_all_memory_is_refused() {
    let key = Counting::new(1);
    let wild = builder(key.key("k1"), &clock()).with_cache_size(usize::MAX);
    assert!(wild.build().is_err());
}

#[test]
fn expired_after_cached() {
    let (key, clock) = (Counting::new(1), clock());
    let guard = guard(builder(key.key("k1"), &clock).with_leeway(Duration::ZERO));
    let token = key.forge("k1", START).mint();
    assert!(passes(&guard, &token));
    clock.set(START.saturating_add(Duration::from_millis(599_999)));
    assert!(passes(&guard, &token));
    clock.set(START.saturating_add(10 * MINUTE));
    let refused = ask(&guard, &Head::bearer(&token));
    assert_eq!(refused, Said::No(401, "Expired".to_owned()));
    assert_eq!(key.count(), 1, "and refusing it cost no cryptography");
}

#[test]
fn a38_a_clock_that_steps_back_makes_a_cached_token_too_young_again() {
    let (key, clock) = (Counting::new(1), clock());
    let guard = guard(builder(key.key("k1"), &clock));
    let token = key.forge("k1", START).mint();
    assert!(passes(&guard, &token));
    clock.step_back(60 * MINUTE);
    assert!(!passes(&guard, &token));
    clock.set(START);
    assert!(passes(&guard, &token));
}

#[test]
fn key_removed_after_cached() {
    let (old, new) = (Counting::new(1), Counting::new(2));
    let keys = KeySource::from(KeyRing::new([old.key("old"), new.key("new")]).unwrap());
    let guard = guard(builder(keys.clone(), &clock()));
    let token = old.forge("old", START).mint();
    assert!(passes(&guard, &token));
    keys.replace(KeyRing::new([new.key("new")]).unwrap());
    assert!(!passes(&guard, &token));
    // A different key with the old id is not the old key.
    keys.replace(KeyRing::new([new.key("old")]).unwrap());
    assert!(!passes(&guard, &token));
}

#[test]
fn a_token_whose_key_stays_is_verified_again_after_the_ring_was_replaced() {
    let (old, new) = (Counting::new(1), Counting::new(2));
    let keys = KeySource::from(old.key("old"));
    let guard = guard(builder(keys.clone(), &clock()));
    let token = old.forge("old", START).mint();
    assert!(passes(&guard, &token));
    keys.replace(KeyRing::new([old.key("old"), new.key("new")]).unwrap());
    assert!(passes(&guard, &token) && passes(&guard, &token));
    assert_eq!(old.count(), 2);
}

#[test]
fn a07_a_second_key_makes_a_cached_token_without_kid_ambiguous() {
    let (one, two) = (Counting::new(1), Counting::new(2));
    let keys = KeySource::from(one.key("one"));
    let guard = guard(builder(keys.clone(), &clock()));
    let token = one.forge("one", START).without_header("kid").mint();
    assert!(passes(&guard, &token));
    keys.replace(KeyRing::new([one.key("one"), two.key("two")]).unwrap());
    assert!(!passes(&guard, &token));
}

#[test]
fn d12_session_revoked_after_cached() {
    let (key, clock) = (Counting::new(1), clock());
    let revocations = Revocations::new(StalePolicy::FailOpen, clock.clone());
    let guard = guard(builder(key.key("k1"), &clock).with_revocations(revocations.clone()));
    let sid = SessionId::from_bytes([3; 16]);
    let token = key.forge("k1", START).claim("sid", sid.to_string()).mint();
    let other = SessionId::from_bytes([4; 16]);
    let other = key
        .forge("k1", START)
        .claim("sid", other.to_string())
        .mint();
    assert!(passes(&guard, &token) && passes(&guard, &other));
    revocations.add(&Revocation::Session {
        id: sid,
        until: START.saturating_add(11 * MINUTE),
    });
    let refused = ask(&guard, &Head::bearer(&token));
    assert_eq!(refused, Said::No(401, "Revoked".to_owned()));
    assert!(passes(&guard, &other));
    assert_eq!(key.count(), 2);
}

#[test]
fn d12_epoch_raised_after_cached() {
    let (key, clock) = (Counting::new(1), clock());
    let revocations = Revocations::new(StalePolicy::FailOpen, clock.clone());
    let guard = guard(builder(key.key("k1"), &clock).with_revocations(revocations.clone()));
    let old = key.forge("k1", START).mint();
    let new = key.forge("k1", START).claim("epo", 1).mint();
    assert!(passes(&guard, &old) && passes(&guard, &new));
    revocations.add(&Revocation::Subject {
        subject: "user-1".into(),
        lowest_subject_version: 1,
        until: START.saturating_add(11 * MINUTE),
    });
    assert!(!passes(&guard, &old));
    assert!(passes(&guard, &new));
}

#[test]
fn e10_the_feed_gone_stale_after_cached() {
    let (key, clock) = (Counting::new(1), clock());
    let policy = StalePolicy::FailClosed { after: MINUTE };
    // It never had a snapshot.
    let stale = Revocations::new(policy, clock.clone());
    let guard = guard(builder(key.key("k1"), &clock).with_revocations(stale));
    let token = key.forge("k1", START).mint();
    for _ in 0..2 {
        let refused = ask(&guard, &Head::bearer(&token));
        assert_eq!(refused, Said::No(503, "FeedStale".to_owned()));
    }
    let status = guard_status(&guard);
    assert_eq!(status, (0, 0), "what did not pass is not remembered");
}

fn guard_status(guard: &Guard<Private>) -> (usize, usize) {
    let status = guard.authenticator().cache_status().unwrap();
    (status.tokens, status.bytes)
}

#[test]
fn every_routes_own_policy_is_asked_of_a_cached_token() {
    let (key, clock) = (Counting::new(1), clock());
    let open = guard(builder(key.key("k1"), &clock));
    let reader = open.clone().require_scope("read").unwrap();
    let admin = open.clone().require_scope("admin").unwrap();
    let chief = open.clone().require_role("chief");
    let recent = open.clone().require_max_age(MINUTE);
    let strong = open.clone().require_acr(["gold"]).unwrap();
    let token = key
        .forge("k1", START)
        .claim("scope", "read")
        .claim("auth_time", START.as_secs())
        .mint();
    for _ in 0..2 {
        assert!(passes(&open, &token) && passes(&reader, &token) && passes(&recent, &token));
        assert!(!passes(&admin, &token) && !passes(&chief, &token) && !passes(&strong, &token));
    }
    clock.advance(2 * MINUTE);
    assert!(passes(&open, &token) && !passes(&recent, &token));
    assert_eq!(key.count(), 1);
}

#[test]
fn c14_a_cached_token_needs_the_proof_of_its_origin_where_a_cookie_brings_it() {
    let key = Counting::new(1);
    let sources: [Arc<dyn TokenSource>; 2] = [Arc::new(BearerHeader), Arc::new(WholeCookie)];
    let guard = guard(builder(key.key("k1"), &clock()).with_sources(sources));
    let token = key.forge("k1", START).mint();
    let from_afar = Head::cookie(&token).posted("cross-site");
    for _ in 0..2 {
        assert!(passes(&guard, &token));
        assert!(matches!(ask(&guard, &from_afar), Said::No(403, _)));
        let own = ask(&guard, &Head::cookie(&token).posted("same-origin"));
        assert!(matches!(own, Said::Yes(..)));
        // A cookie does not exempt the header from its checks, nor the reverse.
        let both = Head {
            fields: [Head::bearer(&token).fields, Head::cookie(&token).fields].concat(),
            ..from_afar.clone()
        };
        assert!(matches!(ask(&guard, &both), Said::No(400, _)));
    }
    assert_eq!(key.count(), 1);
}

#[test]
fn two_authenticators_never_share() {
    let key = Counting::new(1);
    let clock = clock();
    let ours = guard(builder(key.key("k1"), &clock));
    let theirs: Arc<Authenticator<Private>> = Authenticator::for_issuer("https://issuer.example")
        .audience("https://other.example")
        .keys(key.key("k1"))
        .with_clock(clock)
        .build()
        .unwrap();
    let token = key.forge("k1", START).mint();
    assert!(passes(&ours, &token));
    let refused = ask(&theirs.guard(), &Head::bearer(&token));
    assert_eq!(refused, Said::No(401, "Audience".to_owned()));
    assert_eq!(theirs.cache_status().unwrap().tokens, 0);
}

#[test]
fn a_tampered_token_of_the_same_hash_is_verified_and_refused() {
    let key = Counting::new(1);
    let guard = guard(builder(key.key("k1"), &clock()));
    let forge = key.forge("k1", START);
    let token = forge.mint();
    assert!(passes(&guard, &token));
    // Same length and same signature: only the end of a token is hashed.
    for segment in [0, 1] {
        let forged = forge.clone().tampered(segment).mint();
        assert_eq!(forged.len(), token.len());
        assert_eq!(forged.rsplit('.').next(), token.rsplit('.').next());
        for _ in 0..2 {
            assert!(!passes(&guard, &forged));
        }
    }
    let forged = forge.clone().tampered(2).mint();
    assert!(!passes(&guard, &forged));
    assert!(!passes(&guard, &format!("{token}A")));
    assert!(!passes(&guard, &token[..token.len() - 1]));
    assert!(passes(&guard, &token));
    assert_eq!(guard_status(&guard).0, 1);
}

#[test]
fn bad_tokens_take_no_room() {
    let key = Counting::new(1);
    let guard = guard(builder(key.key("k1"), &clock()));
    for n in 0..100 {
        let forge = key.forge("k1", START).claim("jti", n);
        assert!(!passes(&guard, &forge.clone().tampered(2).mint()));
        assert!(!passes(&guard, &forge.claim("aud", "other").mint()));
    }
    assert_eq!(guard_status(&guard), (0, 0));
}

#[test]
fn bounded_under_churn() {
    let key = Counting::new(1);
    let guard = guard(builder(key.key("k1"), &clock()).with_cache_size(50));
    let regular = key.forge("k1", START).mint();
    assert!(passes(&guard, &regular));
    let mut before = key.count();
    let mut again = 0;
    for n in 0..2000 {
        let once = key.forge("k1", START).claim("jti", format!("{n}")).mint();
        assert!(passes(&guard, &once));
        let (tokens, bytes) = guard_status(&guard);
        assert!(tokens <= 50 && bytes <= 50 * 2048, "{tokens} {bytes}");
        before += 1;
        assert!(passes(&guard, &regular));
        again += key.count() - before;
        before = key.count();
    }
    assert_eq!(
        again, 0,
        "a token in use is not displaced by those used once"
    );
}

#[test]
fn a_long_token_counts_for_several() {
    let key = Counting::new(1);
    let guard = guard(builder(key.key("k1"), &clock()).with_cache_size(16));
    for n in 0..50 {
        let token = key
            .forge("k1", START)
            .claim("jti", format!("{n}"))
            .claim("tenant", "x".repeat(5000))
            .mint();
        assert!(passes(&guard, &token));
        let (tokens, bytes) = guard_status(&guard);
        assert!(bytes <= 16 * 2048, "{bytes}");
        assert!(tokens <= 3);
    }
    assert!(guard_status(&guard).0 > 0);
}

#[test]
fn g13_debug_shows_no_cached_token() {
    let key = Counting::new(1);
    let guard = guard(builder(key.key("k1"), &clock()));
    let token = key.forge("k1", START).claim("tenant", "marked").mint();
    assert!(passes(&guard, &token));
    let shown = format!("{guard:?} {:?}", guard.authenticator().cache_status());
    for part in token.split('.').skip(1).chain(["marked", "user-1"]) {
        assert!(!shown.contains(part));
    }
}

/// Publishes a configurable key set.
#[derive(Debug)]
struct Published(std::sync::Mutex<Option<String>>);

#[async_trait]
impl FetchKeys for Published {
    async fn fetch(&self, _: Option<&str>) -> Result<FetchedKeys, FetchError> {
        match &*self.0.lock().unwrap() {
            Some(jwks) => Ok(FetchedKeys::document(jwks.clone().into_bytes())),
            None => Err(FetchError::new(FetchFault::Unreachable)),
        }
    }
}

fn jwks(keys: &[&Key]) -> String {
    let keys: Vec<&str> = keys.iter().filter_map(|key| key.public_jwk()).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// Waits until the task has concluded another fetch.
async fn next_fetch(keys: &RemoteKeys, guard: &Guard<Private>, token: &str) {
    let before = keys.status().fetches;
    // A request past the due time wakes the task.
    let _ = guard.check(&Head::bearer(token));
    while keys.status().fetches == before {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
}

#[tokio::test(start_paused = true)]
async fn f03_a_remote_key_withdrawn_after_cached() {
    let (old, _) = Key::generate("old", Algorithm::Es256).unwrap();
    let (new, _) = Key::generate("new", Algorithm::Es256).unwrap();
    let published = Arc::new(Published(Some(jwks(&[&old, &new])).into()));
    let clock = clock();
    let fetcher = Arc::clone(&published) as Arc<dyn FetchKeys>;
    let (keys, task) = RemoteKeys::new(
        "https://issuer.example",
        [Algorithm::Es256],
        fetcher,
        clock.clone(),
    )
    .unwrap();
    tokio::spawn(task.run());
    keys.load().await.unwrap();
    let guard =
        guard(builder(keys.clone(), &clock).with_max_lifetime(Duration::from_secs(1 << 20)));
    let minted = |key: &Key| {
        let exp = START.as_secs() + 100_000;
        TokenForge::new(key, START).claim("exp", exp).mint()
    };
    let (by_old, by_new) = (minted(&old), minted(&new));
    assert!(passes(&guard, &by_old) && passes(&guard, &by_new));

    *published.0.lock().unwrap() = Some(jwks(&[&new]));
    clock.advance(9 * MINUTE);
    next_fetch(&keys, &guard, &by_new).await;
    assert!(passes(&guard, &by_new));
    // Its key may have returned meanwhile, so this token waits for a fetch or is refused.
    assert!(!matches!(
        guard.check(&Head::bearer(&by_old)),
        auth_core::adapter::Step::Done(auth_core::adapter::Verdict::Pass(_))
    ));

    // F04: fetches fail until the keys are too old: a cached token is no longer accepted.
    *published.0.lock().unwrap() = None;
    clock.advance(9 * MINUTE);
    next_fetch(&keys, &guard, &by_new).await;
    assert!(passes(&guard, &by_new), "stale keys are good for an hour");
    clock.advance(62 * MINUTE);
    assert!(!matches!(
        guard.check(&Head::bearer(&by_new)),
        auth_core::adapter::Step::Done(auth_core::adapter::Verdict::Pass(_))
    ));
}
