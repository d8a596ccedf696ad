//! The cache under normal operation: rollovers, refreshes, floods of unknown keys.

use std::sync::Arc;
use std::time::Duration;

use auth_core::adapter::Step;
use auth_core::{Algorithm, Authenticator, Key, TrustedIssuer};
use auth_jwks::testing::{Document, FakeAnswer, FakeProvider};

use crate::world::{
    AUDIENCE, COOL_DOWN, REFRESH, T0, World, at_once, clock, keys_of, status, status_of, step,
    trusting, until,
};

/// The duration of `work`.
#[allow(clippy::disallowed_methods, reason = "this is about real time")]
fn timed(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn f01_ten_thousand_random_kids_cause_one_fetch_a_cool_down_and_delay_no_known_one() {
    const FLOOD: usize = 10_000;
    const WINDOWS: usize = 10;
    let mut world = World::loaded().await;
    // Without a cache, every request with a known key verifies a signature.
    world.auth = Authenticator::for_issuer(world.provider.issuer())
        .audience(AUDIENCE)
        .keys(world.keys.clone())
        .with_clock(Arc::clone(&world.clock) as _)
        .without_cache()
        .build()
        .unwrap();
    let good = world.token();
    let known = |_: usize| timed(|| assert_eq!(world.at_once(&good), Some(200)));
    let calm = median((0..2000).map(known).collect());

    let mut flooded = Vec::new();
    let mut waited = 0;
    for n in 0..FLOOD {
        if n % (FLOOD / WINDOWS) == 0 {
            world.advance(COOL_DOWN);
        }
        // 20,000 ids in all, each only once.
        let forged = world.forged(&format!("{n}-{:x}", n * 2_654_435_761));
        match step(&world.auth, &forged) {
            Step::Done(verdict) => assert_eq!(status_of(&verdict), 401),
            Step::Wait(verdict) => {
                waited += 1;
                // Other requests never wait for this one.
                flooded.push(known(n));
                assert_eq!(status_of(&verdict.await), 401);
            }
        }
        if n % 5 == 0 {
            flooded.push(known(n));
        }
    }
    let fetches = world.provider.requests(Document::Jwks) - 1;
    assert_eq!((fetches, waited), (WINDOWS as u64, WINDOWS));
    let flooded = median(flooded);
    let ratio = flooded.as_secs_f64() / calm.as_secs_f64();
    println!(
        "f01: known kid {calm:?} calm, {flooded:?} flooded, ratio {ratio:.2}; {fetches} fetches for {FLOOD} unknown kids"
    );
    // A wide limit, because the machine may be busy.
    assert!(ratio < 5.0, "{ratio}");
}

#[tokio::test]
async fn f01_concurrent_requests_share_one_fetch() {
    let world = World::loaded().await;
    world.advance(COOL_DOWN);
    world.provider.rotate();
    world.provider.answer(Document::Jwks, FakeAnswer::Hang);
    let token = world.token();
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let (auth, token) = (Arc::clone(&world.auth), token.clone());
            tokio::spawn(async move { status(&auth, &token).await })
        })
        .collect();
    until(|| world.provider.requests(Document::Jwks) == 2).await;
    world.provider.answer(Document::Jwks, FakeAnswer::Document);
    for request in waiting {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(world.provider.requests(Document::Jwks), 2);
}

#[tokio::test]
async fn f01_the_dropped_leader_of_a_fetch_does_not_fail_its_followers() {
    let world = World::loaded().await;
    world.advance(COOL_DOWN);
    world.provider.rotate();
    world.provider.answer(Document::Jwks, FakeAnswer::Hang);
    let token = world.token();
    let leader = {
        let (auth, token) = (Arc::clone(&world.auth), token.clone());
        tokio::spawn(async move { status(&auth, &token).await })
    };
    until(|| world.provider.requests(Document::Jwks) == 2).await;
    let Step::Wait(follower) = step(&world.auth, &token) else {
        panic!("its key cannot be there");
    };
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    world.provider.answer(Document::Jwks, FakeAnswer::Document);
    assert_eq!(status_of(&follower.await), 200);
    assert_eq!(world.provider.requests(Document::Jwks), 2);
}

#[tokio::test]
async fn f01_a_slow_issuer_delays_neither_its_known_keys_nor_other_issuers() {
    let (slow, other) = (
        FakeProvider::start().unwrap(),
        FakeProvider::start().unwrap(),
    );
    let clock = clock();
    let (slow_keys, other_keys) = (keys_of(&slow, &clock), keys_of(&other, &clock));
    let trusted = |keys: &auth_core::remote::RemoteKeys| {
        TrustedIssuer::for_issuer(keys.issuer())
            .audience(AUDIENCE)
            .keys(keys.clone())
    };
    let auth: Arc<Authenticator<()>> = Authenticator::trusting(trusted(&slow_keys))
        .with_issuer(trusted(&other_keys))
        .with_clock(Arc::clone(&clock) as _)
        .build()
        .unwrap();
    slow_keys.load().await.unwrap();
    other_keys.load().await.unwrap();
    clock.advance(Duration::from_secs(COOL_DOWN));
    let known = slow.token(T0).mint();
    slow.answer(Document::Jwks, FakeAnswer::Hang);
    slow.rotate();
    let Step::Wait(unknown) = step(&auth, &slow.token(T0).mint()) else {
        panic!("its key cannot be there");
    };
    until(|| slow.requests(Document::Jwks) == 2).await;
    assert_eq!(at_once(&auth, &known), Some(200));
    assert_eq!(at_once(&auth, &other.token(T0).mint()), Some(200));
    // The other issuer's unknown keys have no effect either.
    other.rotate();
    assert_eq!(status(&auth, &other.token(T0).mint()).await, 200);
    slow.answer(Document::Jwks, FakeAnswer::Document);
    assert_eq!(status_of(&unknown.await), 200);
}

#[tokio::test]
async fn f03_a_removed_key_is_refused_after_the_next_refresh() {
    let world = World::loaded().await;
    let old = world.provider.signing_key();
    world.provider.rotate();
    world.provider.remove_key(old.id());
    let removed = world
        .provider
        .token(T0)
        .signed_by(&old)
        .header("kid", old.id());
    assert_eq!(world.at_once(&removed.mint()), Some(200), "not known yet");
    world.advance(REFRESH);
    let removed = removed.claim("exp", T0.as_secs() + 3600).mint();
    assert_eq!(world.at_once(&removed), Some(200));
    until(|| world.ended() == 2).await;
    assert_eq!(world.at_once(&removed), Some(401));
    assert_eq!(world.at_once(&world.token()), Some(200));
    // All keys are removed.
    world.provider.remove_key(world.provider.signing_key().id());
    world.advance(REFRESH);
    world.refresh().await;
    assert_eq!(world.at_once(&world.token()), Some(503), "nobody can say");
}

#[tokio::test]
async fn f09_a_rollover_refuses_no_valid_token() {
    // The issuer publishes a key before it signs: no request waits.
    let world = World::loaded().await;
    let old = world.provider.signing_key();
    let next = world.provider.add_key();
    world.advance(REFRESH);
    world.refresh().await;
    world.provider.sign_with(&next);
    for key in [&old, &next] {
        let forge = world.provider.token(world.now()).signed_by(key);
        let token = forge.header("kid", key.id()).mint();
        assert_eq!(world.at_once(&token), Some(200));
    }
    // The issuer signs with a new key at once: its first token waits for one fetch.
    world.advance(COOL_DOWN);
    for rollover in 3..6 {
        world.provider.rotate();
        assert_eq!(world.status(&world.token()).await, 200);
        assert_eq!(world.at_once(&world.token()), Some(200));
        assert_eq!(world.provider.requests(Document::Jwks), rollover);
        world.advance(COOL_DOWN);
    }
}

#[tokio::test]
async fn f09_tokens_without_kid_survive_the_change_of_the_only_key() {
    let world = World::loaded().await;
    let nameless = || {
        let forge = world.provider.token(world.now());
        forge.without_header("kid").mint()
    };
    assert_eq!(world.at_once(&nameless()), Some(200));
    let old = world.provider.signing_key();
    world.provider.rotate();
    world.provider.remove_key(old.id());
    assert_eq!(
        world.at_once(&nameless()),
        Some(401),
        "within the cool-down"
    );
    world.advance(COOL_DOWN);
    assert_eq!(world.status(&nameless()).await, 200);
    // A forgery costs at most one fetch per cool-down, like an unknown kid.
    let forged = || {
        let forge = world.provider.token(world.now()).without_header("kid");
        forge.signature_raw([7; 64]).mint()
    };
    for _ in 0..100 {
        assert_eq!(world.at_once(&forged()), Some(401));
    }
    world.advance(COOL_DOWN);
    for _ in 0..100 {
        assert_eq!(world.status(&forged()).await, 401);
        assert_eq!(world.at_once(&nameless()), Some(200));
    }
    assert_eq!(world.provider.requests(Document::Jwks), 3);
    // With two keys the choice is ambiguous, and a fetch would not help.
    world.provider.add_key();
    world.advance(REFRESH);
    world.refresh().await;
    world.advance(COOL_DOWN);
    assert_eq!(world.at_once(&nameless()), Some(401));
    assert_eq!(world.provider.requests(Document::Jwks), 4);
}

#[tokio::test]
async fn a_set_that_has_not_changed_is_not_sent_again() {
    let world = World::loaded().await;
    let document = world.provider.bytes_sent();
    world.advance(REFRESH);
    world.refresh().await;
    let unchanged = world.provider.bytes_sent() - document;
    assert!(unchanged < document / 2, "{unchanged} of {document} bytes");
    assert_eq!(world.keys.status().last_fault, None);
    assert_eq!(world.keys.status().keys, 1);
    // A confirmed set is as fresh as a new one.
    world.advance(REFRESH);
    world.refresh().await;
    assert_eq!(world.provider.requests(Document::Jwks), 3);
    // A changed set is sent in full.
    world.provider.add_key();
    world.advance(REFRESH);
    world.refresh().await;
    assert_eq!(world.keys.status().keys, 2);
    // A set without a validator is sent in full too.
    world.provider.set_etags(false);
    for _ in 0..2 {
        let before = world.provider.bytes_sent();
        world.advance(REFRESH);
        world.refresh().await;
        assert!(world.provider.bytes_sent() - before > document);
    }
}

#[tokio::test]
async fn freshness_comes_from_the_answer_within_five_minutes_and_a_day() {
    for (cache_control, fresh) in [
        (None, 600),
        (Some("public, max-age=3600"), 3600),
        (Some("max-age=1"), 300),
        (Some("no-store"), 300),
        (Some("max-age=999999999"), 86_400),
        (Some("private"), 600),
    ] {
        let world = World::new();
        world.provider.set_cache_control(cache_control);
        world.keys.load().await.unwrap();
        world.advance(fresh / 5 * 4 - 1);
        let token = world.token();
        assert_eq!(world.at_once(&token), Some(200));
        // Gives every woken task its turn.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.keys.status().fetches, 1, "{cache_control:?}");
        world.advance(1);
        world.refresh().await;
        assert_eq!(
            world.provider.requests(Document::Jwks),
            2,
            "{cache_control:?}"
        );
    }
}

#[tokio::test]
async fn what_the_issuer_could_not_have_signed_causes_no_fetch() {
    let world = World::new();
    let forge = world.provider.token(T0);
    let stranger = forge.clone().claim("iss", "https://other.example").mint();
    let algorithm = forge.clone().header("alg", "RS256").mint();
    let symmetric = forge.clone().header("alg", "HS256").mac(b"1").mint();
    let typ = forge.clone().header("typ", "JWT").mint();
    let critical = forge.clone().header("crit", ["b64"]).mint();
    for token in [&stranger, &algorithm, &symmetric, &typ, &critical] {
        assert_eq!(world.at_once(token), Some(401), "{token}");
    }
    world.keys.load().await.unwrap();
    world.advance(COOL_DOWN);
    for kid in ["", "\r\n", "a b", &"k".repeat(6000), "\u{0}"] {
        assert_eq!(world.at_once(&world.forged(kid)), Some(401), "{kid:?}");
    }
    assert_eq!(world.provider.all_requests(), 1);
}

#[tokio::test]
async fn a_key_of_one_issuer_never_verifies_a_token_that_names_another() {
    // Both issuers have a key `1`.
    let (one, two) = (
        FakeProvider::start().unwrap(),
        FakeProvider::start().unwrap(),
    );
    let clock = clock();
    let local = Key::hs256("1", &[7; 32]).unwrap();
    let mut builder = Authenticator::for_issuer("https://me.example")
        .audience(AUDIENCE)
        .keys(local.clone())
        .with_clock(Arc::clone(&clock) as _);
    for provider in [&one, &two] {
        let trusted = TrustedIssuer::for_issuer(provider.issuer())
            .audience(AUDIENCE)
            .keys(keys_of(provider, &clock));
        builder = builder.with_issuer(trusted);
    }
    let auth: Arc<Authenticator<()>> = builder.build().unwrap();
    for provider in [&one, &two] {
        assert_eq!(status(&auth, &provider.token(T0).mint()).await, 200);
    }
    for (signer, named) in [(&one, two.issuer()), (&two, one.issuer())] {
        let token = signer.token(T0).claim("iss", named).mint();
        assert_eq!(status(&auth, &token).await, 401);
        let ours = signer.token(T0).claim("iss", "https://me.example").mint();
        assert_eq!(at_once(&auth, &ours), Some(401));
        let theirs = signer.token(T0).header("alg", "HS256").signed_by(&local);
        assert_eq!(status(&auth, &theirs.mint()).await, 401);
    }
    // An issuer that is not configured.
    let before = (one.all_requests(), two.all_requests());
    for name in ["https://evil.example", "", "https://me.example/"] {
        let token = one.token(T0).claim("iss", name).mint();
        assert_eq!(at_once(&auth, &token), Some(401));
    }
    assert_eq!((one.all_requests(), two.all_requests()), before);
}

#[tokio::test]
async fn keys_of_another_issuer_are_refused_when_building() {
    let world = World::new();
    let built = Authenticator::<()>::for_issuer("https://other.example")
        .audience(AUDIENCE)
        .keys(world.keys.clone())
        .build();
    assert!(built.is_err());
}

#[tokio::test]
async fn rsa_keys_without_alg_serve_the_one_algorithm_that_is_named() {
    let provider = FakeProvider::start_at("/tenant/v2.0", Algorithm::Rs256).unwrap();
    let entry = provider.signing_key().public_jwk().unwrap().to_owned();
    provider.remove_key("1");
    provider.publish(&entry.replace(r#""alg":"RS256","#, ""));
    let clock = clock();
    let start = |algorithms: &[Algorithm]| {
        auth_jwks::RemoteIssuer::discover(provider.issuer())
            .algorithms(algorithms.iter().copied())
            .with_clock(Arc::clone(&clock) as _)
            .start()
            .unwrap()
    };
    let keys = start(&[Algorithm::Rs256]);
    let auth = trusting(&keys, &clock);
    assert_eq!(status(&auth, &provider.token(T0).mint()).await, 200);
    let pss = provider.token(T0).header("alg", "PS256").mint();
    assert_eq!(at_once(&auth, &pss), Some(401));
    let ambiguous = start(&[Algorithm::Rs256, Algorithm::Rs512]);
    assert!(ambiguous.load().await.is_err());
    assert_eq!(ambiguous.status().skipped, 1);
}
