//! Boundaries: the last accepted value, and the first refused one.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use auth_core::adapter::{RequestView, Verdict};
use auth_core::revocation::Revocation;
use auth_core::session::{
    LoginError, LoginRequest, RefreshKey, SessionId, SessionPolicy, Sessions,
};
use auth_core::store::{Cursor, FeedError, RevocationFeed, StoreClock};
use auth_core::testing::{ManualClock, MemoryStore, TokenForge};
use auth_core::{AccessTokenRequest, Authenticator, Cause, Issuer, Key, MintError, Timestamp};

const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 60;
const LONGEST: i64 = 3600;

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

fn key() -> Key {
    Key::hs256("k1", &[7; 32]).unwrap()
}

fn issuer() -> Issuer {
    Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(key())
        .unwrap()
}

fn forge() -> TokenForge {
    TokenForge::new(&key(), Timestamp::from_secs(NOW))
}

fn builder(leeway: u64) -> auth_core::AuthenticatorBuilder<serde_json::Value> {
    Authenticator::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(key())
        .with_clock(Arc::new(ManualClock::at(Timestamp::from_secs(NOW))))
        .with_leeway(Duration::from_secs(leeway))
        .with_max_lifetime(Duration::from_secs(LONGEST.unsigned_abs()))
}

async fn cause(token: String) -> Option<Cause> {
    let auth = builder(LEEWAY.unsigned_abs()).build().unwrap();
    let request = Bearer(format!("Bearer {token}"));
    match auth.authenticate(&request).verdict().await {
        Verdict::Pass(_) => None,
        Verdict::Refuse(refusal) => Some(refusal.error().cause()),
    }
}

async fn at(issued: i64, expires: i64) -> Option<Cause> {
    cause(forge().claim("iat", issued).claim("exp", expires).mint()).await
}

#[tokio::test]
async fn a13_a_token_lives_until_its_second_and_the_leeway_are_over() {
    assert_eq!(at(NOW - 600, NOW - LEEWAY + 1).await, None);
    assert_eq!(at(NOW - 600, NOW - LEEWAY).await, Some(Cause::Expired));
}

#[tokio::test]
async fn a14_not_before_counts_from_its_second_less_the_leeway() {
    let from = |second: i64| cause(forge().claim("nbf", second).mint());
    assert_eq!(from(NOW + LEEWAY).await, None);
    assert_eq!(from(NOW + LEEWAY + 1).await, Some(Cause::NotYetValid));
}

#[tokio::test]
async fn a15_a_token_is_not_issued_in_the_future_nor_after_its_end() {
    assert_eq!(at(NOW + LEEWAY, NOW + 600).await, None);
    assert_eq!(at(NOW + LEEWAY + 1, NOW + 600).await, Some(Cause::IssuedAt));
    assert_eq!(at(NOW, NOW).await, None);
    assert_eq!(at(NOW + 1, NOW).await, Some(Cause::IssuedAt));
    assert_eq!(at(NOW + 30, NOW - 30).await, Some(Cause::IssuedAt));
}

#[tokio::test]
async fn the_longest_life_is_as_long_as_configured() {
    assert_eq!(at(NOW, NOW + LONGEST).await, None);
    assert_eq!(at(NOW, NOW + LONGEST + 1).await, Some(Cause::Lifetime));
}

#[test]
fn five_minutes_are_the_longest_leeway() {
    assert!(builder(300).build().is_ok());
    assert!(builder(301).build().is_err());
}

#[test]
fn an_access_token_lives_from_a_second_to_a_day() {
    let millis = Duration::from_millis;
    for (lifetime, good) in [
        (millis(999), false),
        (millis(1000), true),
        (Duration::from_secs(86_400), true),
        (Duration::from_secs(86_401), false),
    ] {
        assert_eq!(issuer().with_lifetime(lifetime).is_ok(), good);
    }
    assert!(issuer().with_jitter(5).is_ok());
    assert!(issuer().with_jitter(6).is_err());
}

/// An issued token is never longer than verifiers accept.
#[tokio::test]
async fn a25_no_token_is_made_that_is_too_long_to_be_read() {
    let mint = async |filler: usize| {
        let filler = serde_json::json!({ "filler": "x".repeat(filler) });
        let asked = AccessTokenRequest::for_subject("alice").with_claims(&filler);
        issuer().mint(&asked.unwrap()).await
    };
    let (mut good, mut bad) = (1, 8192);
    while bad - good > 1 {
        let middle = usize::midpoint(good, bad);
        match mint(middle).await {
            Ok(_) => good = middle,
            Err(_) => bad = middle,
        }
    }
    let longest = mint(good).await.unwrap().expose().len();
    assert!((8190..=8192).contains(&longest), "{longest}");
    let Err(MintError::TooLong { bytes, .. }) = mint(bad).await else {
        panic!("it has {} bytes", longest + 1);
    };
    assert!((8193..=8195).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_session_keeps_16_kib_of_data() {
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap();
    let keys = RefreshKey::ephemeral().unwrap();
    let sessions = Sessions::builder(issuer, Arc::new(MemoryStore::new()), keys);
    let sessions = sessions.without_revocations().build().unwrap();
    // The length includes two quotes.
    let text = |length: usize| "x".repeat(length - 2);
    let login = |data: String| sessions.login(LoginRequest::for_subject("ada").with_data(&data));
    assert!(login(text(16 * 1024)).await.is_ok());
    let Err(LoginError::Invalid(error)) = login(text(16 * 1024 + 1)).await else {
        panic!("it is stored");
    };
    assert_eq!(error.setting(), "session data");
}

/// A token of the maximum length, and one that is a byte longer.
#[tokio::test]
async fn a25_a_token_of_8_kib_is_read() {
    let of = |filler: usize| forge().claim("filler", "x".repeat(filler)).mint();
    let (mut filler, mut beyond) = (1, 8192);
    while beyond - filler > 1 {
        let middle = usize::midpoint(filler, beyond);
        if of(middle).len() <= 8192 {
            filler = middle;
        } else {
            beyond = middle;
        }
    }
    assert_eq!(cause(of(filler)).await, None);
    assert_eq!(cause(of(filler + 1)).await, Some(Cause::TooLong));
}

#[test]
fn a19_an_audience_has_a_name() {
    let audience = |name: &str| {
        Authenticator::<()>::for_issuer("https://issuer.example")
            .audience(name)
            .keys(key())
            .build()
    };
    assert!(audience("https://api.example").is_ok());
    assert_eq!(audience("").unwrap_err().setting(), "audience");
}

#[test]
fn a_retry_window_is_at_most_30_s() {
    let secs = Duration::from_secs;
    let built = |window: Duration| {
        let policy = SessionPolicy::default()
            .with_reuse_interval(window)
            .with_min_rotation_interval(secs(1000));
        policy.check(secs(600)).is_ok()
    };
    assert!(built(secs(30)));
    assert!(!built(secs(30) + Duration::from_millis(1)));
}

/// `Origin` and `Host`, of names and of addresses, with a port and without.
#[test]
fn c11_an_origin_is_ones_own_if_host_and_port_are() {
    struct Sent<'a>(&'a str, String);
    impl RequestView for Sent<'_> {
        fn method(&self) -> &str {
            "POST"
        }
        fn path(&self) -> &str {
            "/login"
        }
        fn target(&self) -> &str {
            self.path()
        }
        fn authority(&self) -> Option<&str> {
            Some(self.0)
        }
        fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
            if name == "origin" {
                visit(self.1.as_bytes());
            }
        }
    }
    let auth = builder(0).build().unwrap();
    let proven = |host: &str, origin: &str| auth.check_csrf(&Sent(host, origin.to_owned())).is_ok();
    for host in [
        "app.example",
        "app.example:8443",
        "[::1]",
        "[::1]:8443",
        "[fe80::]:8443",
    ] {
        assert!(proven(host, &format!("https://{host}")), "{host}");
        assert!(!proven(host, &format!("https://{host}1")), "{host}");
        assert!(!proven(host, "https://[fe80::1]:8443"), "{host}");
    }
    assert!(!proven("app.example:8443", "https://app.example"));
    assert!(!proven("[::1]:8443", "https://[::1]"));
}

fn ended(number: u8, until: i64) -> Revocation {
    Revocation::Session {
        id: SessionId::from_bytes([number; 16]),
        until: Timestamp::from_secs(until),
    }
}

/// Removed entries still count: a cursor is a position in the whole history.
#[tokio::test]
async fn d12_a_feed_in_memory_goes_on_after_what_it_has_forgotten() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    let store = MemoryStore::new().with_clock(StoreClock::driven(clock.clone()));
    assert!(store.is_empty());
    for number in 1..=3 {
        store.append(&ended(number, NOW + 10)).await.unwrap();
    }
    let old = store.snapshot().await.unwrap();
    assert_eq!(old.revocations.len(), 3);
    clock.advance(Duration::from_secs(11));
    for number in 4..=5 {
        store.append(&ended(number, NOW + 60)).await.unwrap();
    }
    let batch = store.follow(&old.cursor, Duration::ZERO).await.unwrap();
    assert_eq!(batch.revocations, [ended(4, NOW + 60), ended(5, NOW + 60)]);
    let nothing = store.follow(&batch.cursor, Duration::ZERO).await.unwrap();
    assert!(nothing.revocations.is_empty());
    assert_eq!(nothing.cursor, batch.cursor);
    // A cursor from the future or of another feed: its reader starts over.
    for lost in ["6", "1000000", "", "x"] {
        let answer = store.follow(&Cursor::new(lost), Duration::ZERO).await;
        assert!(matches!(answer, Err(FeedError::CursorLost)), "{lost}");
    }
}
