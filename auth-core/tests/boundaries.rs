//! The last value that is good, and the first that is not.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use auth_core::session::LoginRequest;
use auth_core::testing::{ManualClock, TokenForge};
use auth_core::{
    AccessTokenRequest, Authenticator, Cause, Issuer, Key, MintError, RequestView, Timestamp,
    Verdict,
};

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
        _ => unreachable!(),
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

/// What the issuer makes is no longer than what verifiers read.
#[tokio::test]
async fn a25_no_token_is_made_that_is_too_long_to_be_read() {
    let mint = async |filler: usize| {
        let filler = serde_json::json!({ "filler": "x".repeat(filler) });
        let asked = AccessTokenRequest::for_subject("alice").claims(&filler);
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

#[test]
fn a_session_keeps_16_kib_of_data() {
    // Two quotes are part of it.
    let text = |length: usize| "x".repeat(length - 2);
    let login = || LoginRequest::for_subject("ada");
    assert!(login().with_data(&text(16 * 1024)).is_ok());
    assert!(login().with_data(&text(16 * 1024 + 1)).is_err());
}

/// As long as a token may be, and a byte longer.
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
    assert_eq!(cause(of(filler + 1)).await, Some(Cause::Malformed));
}
