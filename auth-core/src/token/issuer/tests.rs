use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};

use crate::base::id::SessionId;
use crate::base::scope::Scope;
use crate::keys::{Algorithm, Key, KeyRing, SignError, SignToken};
use crate::testing::ManualClock;
use crate::token::claims;
use crate::token::claims::{Dialect, REGISTERED};
use crate::token::issuer::*;
use crate::token::verify::{TimeRules, TrustedIssuers};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_700);
const SESSION: SessionId = SessionId::from_bytes([7; 16]);

fn key() -> Key {
    Key::hs256("k1", &[7; 32]).unwrap()
}

fn issuer() -> Issuer {
    Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(key())
        .unwrap()
        .with_clock(Arc::new(ManualClock::at(NOW)))
}

fn alice() -> AccessTokenRequest {
    AccessTokenRequest::for_subject("alice")
}

fn payload(token: &AccessToken) -> Vec<u8> {
    let segment = token.expose().split('.').nth(1).unwrap();
    URL_SAFE_NO_PAD.decode_to_vec(segment).unwrap()
}

fn read(token: &AccessToken) -> Value {
    serde_json::from_slice(&payload(token)).unwrap()
}

#[tokio::test]
async fn a40_every_token_has_the_claims_that_rfc_9068_requires() {
    let token = issuer().mint(&alice()).await.unwrap();
    let claims = read(&token);
    assert_eq!(claims["iss"], "https://issuer.example");
    assert_eq!(claims["aud"], "https://api.example");
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["client_id"], "first-party");
    assert_eq!(claims["iat"], 1_800_000_000);
    assert_eq!(claims["exp"], token.expires_at().as_secs());
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    assert_eq!(claims.as_object().unwrap().len(), 7, "{claims}");
    let header = token.expose().split('.').next().unwrap();
    assert_eq!(
        URL_SAFE_NO_PAD.decode_to_vec(header).unwrap(),
        br#"{"alg":"HS256","typ":"at+jwt","kid":"k1"}"#
    );
}

#[tokio::test]
async fn everything_asked_for_is_in_the_token_and_read_back() {
    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Own {
        name: String,
        tags: Vec<u8>,
    }
    let own = Own {
        name: "Alice \"é\u{1F600}".to_owned(),
        tags: vec![1, 2],
    };
    let request = alice()
        .with_session_id(SESSION)
        .with_client_id("mobile")
        .with_scope(Scope::parse("read write").unwrap())
        .with_roles(["editor"])
        .with_auth_time(NOW)
        .with_acr("2")
        .with_amr(["pwd", "otp"])
        .with_subject_version(3)
        .with_claims(&own)
        .unwrap();
    let token = issuer().mint(&request).await.unwrap();
    let (registered, read_back) = claims::parse::<Own>(&payload(&token), Dialect::Own).unwrap();
    assert_eq!(read_back, own);
    assert_eq!(registered.session(), Some(SESSION));
    assert_eq!(registered.client_id(), Some("mobile"));
    assert_eq!(registered.scope().as_str(), "read write");
    assert_eq!(registered.roles().collect::<Vec<_>>(), ["editor"]);
    assert_eq!(registered.auth_time().unwrap().as_secs(), NOW.as_secs());
    assert_eq!(registered.acr(), Some("2"));
    assert_eq!(registered.amr().collect::<Vec<_>>(), ["pwd", "otp"]);
    assert_eq!(registered.subject_version, 3);
    let names = read(&token).as_object().unwrap().len();
    assert_eq!(
        names,
        REGISTERED.len() - 2 + 2,
        "all but nbf and und, and two own"
    );
}

#[tokio::test]
async fn an_issuers_own_authenticator_accepts_its_tokens() {
    let issuer = issuer();
    let token = issuer.mint(&alice()).await.unwrap();
    let issuers = TrustedIssuers::new(issuer.own.clone(), Vec::new()).unwrap();
    let verified = issuers
        .verify::<()>(token.expose(), NOW, &TimeRules::default(), None)
        .unwrap();
    assert_eq!(verified.0.registered.subject(), Some("alice"));
    assert!(issuer.authenticator::<()>().build().is_ok());
}

#[tokio::test]
async fn own_claims_cannot_take_the_place_of_registered_ones() {
    for name in REGISTERED {
        let refused = alice().with_claims(&json!({"name": 1, *name: null}));
        assert!(
            matches!(refused, Err(MintError::Collision(found)) if found == *name),
            "{name}"
        );
    }
}

#[tokio::test]
async fn own_claims_must_be_an_object_with_distinct_names() {
    struct Twice;
    impl Serialize for Twice {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([("a", 1), ("a", 2)])
        }
    }
    assert!(matches!(
        alice().with_claims(&Twice),
        Err(MintError::ClaimsShape)
    ));
    for shape in [json!([1]), json!("x"), json!(7), json!(true)] {
        assert!(matches!(
            alice().with_claims(&shape),
            Err(MintError::ClaimsShape)
        ));
    }
    for none in [json!(null), json!({})] {
        let request = alice()
            .with_claims(&json!({"x": 1}))
            .unwrap()
            .with_claims(&none)
            .unwrap();
        let token = issuer().mint(&request).await.unwrap();
        assert_eq!(read(&token).as_object().unwrap().len(), 7);
    }
}

#[tokio::test]
async fn jitter_shortens_by_at_most_five_per_cent() {
    let issuer = issuer();
    let mut seen = HashSet::new();
    for _ in 0..200 {
        let token = issuer.mint(&alice()).await.unwrap();
        let lifetime = token.expires_in().as_secs();
        assert!((569..=600).contains(&lifetime), "{lifetime}");
        seen.insert(lifetime);
    }
    assert!(seen.len() > 5, "{seen:?}");

    let steady = issuer.with_jitter(0).unwrap();
    let token = steady.mint(&alice()).await.unwrap();
    assert_eq!(token.expires_at().as_secs(), NOW.as_secs() + 600);
}

#[tokio::test]
async fn token_ids_are_never_repeated() {
    let issuer = issuer();
    let mut seen = HashSet::new();
    for _ in 0..500 {
        let token = issuer.mint(&alice()).await.unwrap();
        assert!(seen.insert(read(&token)["jti"].to_string()));
    }
}

#[tokio::test]
async fn d09_a_token_never_outlives_its_session() {
    let issuer = issuer();
    let end = NOW.saturating_add(Duration::from_millis(5_500));
    let token = issuer.mint(&alice().with_not_after(end)).await.unwrap();
    assert!(token.expires_at() <= end);
    assert_eq!(token.expires_in(), Duration::from_secs(5));
    for ended in [
        NOW,
        Timestamp::from_secs(0),
        NOW.saturating_add(Duration::from_millis(200)),
    ] {
        let refused = issuer.mint(&alice().with_not_after(ended)).await;
        assert!(matches!(refused, Err(MintError::Ended)), "{ended:?}");
    }
}

#[tokio::test]
async fn h20_a_subject_of_white_space_is_not_issued() {
    for blank in ["", " ", "\t\n", "\u{2003}\u{a0}"] {
        let refused = issuer().mint(&AccessTokenRequest::for_subject(blank)).await;
        assert!(matches!(refused, Err(MintError::Empty("sub"))), "{blank:?}");
    }
}

#[tokio::test]
async fn what_no_verifier_accepts_is_not_issued() {
    let issuer = issuer();
    let refused = issuer.mint(&alice().with_client_id("")).await;
    assert!(matches!(refused, Err(MintError::Empty("client_id"))));
    let large = alice()
        .with_claims(&json!({"x": "y".repeat(8000)}))
        .unwrap();
    let refused = issuer.mint(&large).await.unwrap_err();
    assert!(matches!(refused, MintError::TooLong { bytes } if bytes > 8192));
    assert!(refused.to_string().contains("8192"), "{refused}");
}

#[tokio::test]
async fn a_key_service_that_fails_is_reported_as_such() {
    #[derive(Debug)]
    struct Down;
    #[async_trait]
    impl SignToken for Down {
        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
            Err(SignError::new("down"))
        }
    }
    let issuer = Issuer::for_issuer("i")
        .audience("a")
        .keys(key().with_signer(Arc::new(Down)))
        .unwrap();
    let refused = issuer.mint(&alice()).await;
    assert!(matches!(refused, Err(MintError::Sign(_))));
}

#[test]
fn a28_bad_settings_are_found_when_building() {
    let named = |issuer: &str, audience: &str| Issuer::for_issuer(issuer).audience(audience);
    assert!(named("", "a").keys(key()).is_err());
    assert!(named("i", "").keys(key()).is_err());
    let (own, _) = Key::generate("e1", Algorithm::EdDsa).unwrap();
    let public = Key::from_jwk(own.public_jwk().unwrap()).unwrap();
    assert!(named("i", "a").keys(public).is_err());
    let undecided = KeyRing::new([own, key()]).unwrap();
    assert!(named("i", "a").keys(undecided).is_err());

    for lifetime in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
        assert!(issuer().with_lifetime(lifetime).is_err(), "{lifetime:?}");
    }
    assert!(issuer().with_lifetime(Duration::from_secs(86_400)).is_ok());
    assert!(issuer().with_jitter(6).is_err());
    assert!(issuer().with_client_id("").is_err());
}

#[tokio::test]
async fn a38_a_clock_at_the_ends_of_time_is_no_panic() {
    for now in [i64::MIN, -1, 0, i64::MAX] {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(now)));
        let _ = issuer().with_clock(clock).mint(&alice()).await;
    }
}

#[tokio::test]
async fn d21_debug_shows_neither_tokens_nor_claims() {
    let request = alice()
        .with_session_id(SESSION)
        .with_roles(["marked"])
        .with_claims(&json!({"marked": "marked"}))
        .unwrap();
    let token = issuer().mint(&request).await.unwrap();
    let shown = format!("{request:?} {token:?} {:?}", issuer());
    assert!(
        !shown.contains("marked") && !shown.contains("alice"),
        "{shown}"
    );
    assert!(!shown.contains(token.expose().split('.').nth(1).unwrap()));
}
