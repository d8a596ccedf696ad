//! Key sets: the case table, and broken keys among valid ones.

use std::time::Duration;

use auth_core::remote::FetchFault;
use auth_core::{Algorithm, Key};
use auth_jwks::RemoteIssuer;
use auth_jwks::testing::{Document, FakeAnswer, FakeProvider};
use serde_json::{Value, json};

use crate::world::{REFRESH, T0, clock, status, trusting, until};

/// The modulus of a new key.
fn modulus() -> String {
    let (key, _) = Key::generate("x", Algorithm::Rs256).unwrap();
    let jwk: Value = serde_json::from_str(key.public_jwk().unwrap()).unwrap();
    jwk["n"].as_str().unwrap().to_owned()
}

/// The expectation of the table for a document.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Usable(usize),
    NoneUsable,
    Refused(FetchFault),
}

fn expected(case: &Value) -> Expected {
    let text = case["expect"].as_str().unwrap();
    match text.split([' ', ';', ',']).collect::<Vec<_>>()[..] {
        ["1", "usable", ..] => Expected::Usable(1),
        ["0", "usable", ..] => Expected::NoneUsable,
        // Two keys with one id: neither is used, so no key is left.
        ["set", "rejected", ..] => Expected::NoneUsable,
        ["usable", "only", "with", ..] => Expected::Usable(1),
        ["load", "error", "by", "cap", ..] | ["load", "error", "by", "byte", ..] => {
            Expected::Refused(FetchFault::TooLarge)
        }
        ["load", "error", ..] => Expected::Refused(FetchFault::Malformed),
        _ => panic!("{case}"),
    }
}

fn answer(case: &Value, moduli: &[String; 2]) -> FakeAnswer {
    match case["doc"]["keys"].as_str() {
        Some("{100k_KEYS}") => FakeAnswer::Keys(100_000),
        Some("{BODY_10MiB}") => FakeAnswer::PaddedUnannounced(10 * 1024 * 1024),
        Some(other) => panic!("{other}"),
        None => {
            let text = case["doc"].to_string();
            let text = text.replace("{N2048}", &moduli[0]);
            let text = text.replace("{OTHER_N2048}", &moduli[1]);
            // 1024 bits are 171 characters. The last one must have no unused bits.
            let text = text.replace("{N1024}", &format!("{}A", &moduli[0][..170]));
            FakeAnswer::Text(text.replace("{X25519_X}", &moduli[0][..43]))
        }
    }
}

#[tokio::test]
async fn own_open_key_sets() {
    let table: Value = serde_json::from_str(include_str!("../corpora/jwks.json")).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert_eq!(cases.len() as u64, table["count"]);
    let moduli = [modulus(), modulus()];
    for case in cases {
        let id = case["id"].as_str().unwrap();
        // With earlier keys, which stay after a refused document.
        let provider = FakeProvider::start_at("", Algorithm::Rs256).unwrap();
        let clock = clock();
        let keys = RemoteIssuer::jwks(provider.issuer(), provider.jwks_uri())
            .algorithms([Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa])
            .with_clock(clock.clone())
            .start()
            .unwrap();
        keys.load().await.unwrap();
        let auth = trusting(&keys, &clock);
        let old = provider.token(T0).claim("exp", T0.as_secs() + 1200).mint();
        assert_eq!(status(&auth, &old).await, 200);

        provider.answer(Document::Jwks, answer(case, &moduli));
        clock.advance(Duration::from_secs(REFRESH));
        assert_eq!(status(&auth, &old).await, 200);
        until(|| keys.status().successes + keys.status().failures == 2).await;
        let status_now = keys.status();
        let now = match status_now.last_fault {
            None => Expected::Usable(status_now.keys),
            Some(FetchFault::NoUsableKey) => Expected::NoneUsable,
            Some(fault) => Expected::Refused(fault),
        };
        assert_eq!(now, expected(case), "{id}: {}", case["why"]);
        let old_keys = status(&auth, &old).await;
        match now {
            Expected::Usable(_) => assert_eq!(old_keys, 401, "{id}: replaced"),
            Expected::NoneUsable => assert_eq!(old_keys, 503, "{id}: withdrawn"),
            Expected::Refused(_) => assert_eq!(old_keys, 200, "{id}: kept"),
        }
    }
    println!("own-open/jwks.json: {} cases", cases.len());
}

#[tokio::test]
async fn a31_a32_broken_keys_among_good_ones_spoil_none_of_them() {
    let provider = FakeProvider::start().unwrap();
    let good: Value = serde_json::from_str(provider.signing_key().public_jwk().unwrap()).unwrap();
    let but = |changes: Value| {
        let mut key = good.clone();
        key["kid"] = json!("broken");
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        key.to_string()
    };
    let twin = || {
        let (key, _) = Key::generate("twin", Algorithm::Es256).unwrap();
        key.public_jwk().unwrap().to_owned()
    };
    let (_, private) = Key::generate("private", Algorithm::Es256).unwrap();
    let (secret, _) = (
        json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": "A".repeat(43)}),
        (),
    );
    let broken = [
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\"EC\"".to_owned(),
        "1e3".to_owned(),
        but(json!({"use": "enc"})),
        but(json!({"key_ops": ["sign"]})),
        but(json!({"key_ops": []})),
        but(json!({"alg": "ES384"})),
        but(json!({"alg": "none"})),
        but(json!({"crv": "P-384"})),
        but(json!({"crv": "secp256k1"})),
        but(json!({"kty": "RSA"})),
        but(json!({"kty": "AKP"})),
        but(json!({"x": good["y"]})),
        but(json!({"x": "AA"})),
        but(json!({"y": 1})),
        but(json!({"kid": 7})),
        but(json!({"kid": ""})),
        but(json!({"kid": "a\nb"})),
        but(json!({"d": "AA"})),
        private.expose().to_owned(),
        secret.to_string(),
        // A repeated member: the last one is that of a valid key.
        but(json!({})).replace("}", r#","kid":"1"}"#),
        but(json!({})).replace("}", r#","x":"AA"}"#),
        // Two keys with one id: neither is used, in any order.
        twin(),
        twin(),
    ];
    for entry in &broken {
        provider.publish(entry);
    }
    let clock = clock();
    let keys = crate::world::keys_of(&provider, &clock);
    keys.load().await.unwrap();
    let now = keys.status();
    assert_eq!((now.keys, now.skipped), (1, broken.len()));
    let auth = trusting(&keys, &clock);
    assert_eq!(status(&auth, &provider.token(T0).mint()).await, 200);
    for kid in ["broken", "private", "twin", "s"] {
        let token = provider.token(T0).header("kid", kid).mint();
        assert_eq!(status(&auth, &token).await, 401, "{kid}");
    }
    println!("{} broken keys beside a good one", broken.len());
}

#[tokio::test]
async fn a33_a_second_key_of_the_same_id_takes_the_first_one_down_with_it() {
    let provider = FakeProvider::start().unwrap();
    let clock = clock();
    let keys = crate::world::keys_of(&provider, &clock);
    let auth = trusting(&keys, &clock);
    assert_eq!(status(&auth, &provider.token(T0).mint()).await, 200);
    let (twin, _) = Key::generate("1", Algorithm::Es256).unwrap();
    let next = provider.add_key();
    provider.publish(twin.public_jwk().unwrap());
    clock.advance(Duration::from_secs(REFRESH));
    assert_eq!(status(&auth, &provider.token(T0).mint()).await, 200);
    until(|| keys.status().successes == 2).await;
    let both = [provider.token(T0), provider.token(T0).signed_by(&twin)];
    for token in both {
        assert_eq!(status(&auth, &token.mint()).await, 401);
    }
    provider.sign_with(&next);
    assert_eq!(status(&auth, &provider.token(T0).mint()).await, 200);
    assert_eq!((keys.status().keys, keys.status().skipped), (1, 2));
}
