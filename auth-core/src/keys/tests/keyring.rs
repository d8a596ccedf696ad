//! Rings and sources.

use std::sync::Arc;

use crate::keys::*;

fn key(kid: &str, algorithm: Algorithm) -> Key {
    Key::generate(kid, algorithm).unwrap().0
}

fn public(key: &Key) -> Key {
    Key::from_jwk(key.public_jwk().unwrap()).unwrap()
}

#[test]
fn a06_key_ids_are_visible_ascii() {
    let secret = [7; 32];
    let longest = "x".repeat(256);
    for kid in ["a", "2030-01", "urn:key/1+2=", "~", &longest] {
        assert_eq!(Key::hs256(kid, &secret).unwrap().id(), kid);
    }
    let too_long = "x".repeat(257);
    for kid in [
        "", " ", "a b", "a\"b", "a\\b", "a\r\nb", "a\0", "ä", "\u{7f}", &too_long,
    ] {
        assert!(Key::hs256(kid, &secret).is_err(), "{kid:?}");
        assert!(Key::generate(kid, Algorithm::Hs256).is_err(), "{kid:?}");
    }
}

#[test]
fn a33_two_keys_with_one_id_are_refused() {
    let keys = || [key("a", Algorithm::Es256), key("a", Algorithm::EdDsa)];
    assert!(KeyRing::new(keys()).is_err());
    let [first, second] = keys();
    assert!(KeyRing::new([first.clone(), key("b", Algorithm::EdDsa), second]).is_err());
    assert!(KeyRing::new([first.clone(), first]).is_err());
}

#[test]
fn a_ring_holds_1_to_64_keys() {
    assert!(KeyRing::new([]).is_err());
    let keys = |count| (0..count).map(|at| Key::hs256(format!("{at}"), &[7; 32]).unwrap());
    assert_eq!(KeyRing::new(keys(64)).unwrap().iter().count(), 64);
    assert!(KeyRing::new(keys(65)).is_err());
    // The iterator is infinite: it must not be read to its end.
    assert!(KeyRing::new(std::iter::repeat(keys(1).next().unwrap())).is_err());
}

#[test]
fn a07_without_a_kid_the_only_key_of_the_algorithm_is_meant() {
    let ring = KeyRing::new([
        key("a", Algorithm::Es256),
        key("b", Algorithm::Es384),
        key("c", Algorithm::Es384),
    ])
    .unwrap();
    assert_eq!(ring.only(Algorithm::Es256).map(Key::id), Some("a"));
    assert!(ring.only(Algorithm::Es384).is_none());
    assert!(ring.only(Algorithm::EdDsa).is_none());
}

#[test]
fn keys_are_found_by_id_and_by_header() {
    let keys = [key("a", Algorithm::Es256), key("b", Algorithm::EdDsa)];
    let segment = keys[1].header_segment().to_owned();
    let ring = KeyRing::new(keys).unwrap();
    assert_eq!(ring.get("b").map(Key::id), Some("b"));
    assert!(ring.get("B").is_none());
    assert!(ring.get("").is_none());
    assert_eq!(ring.by_header_segment(&segment).map(Key::id), Some("b"));
    assert!(ring.by_header_segment("").is_none());
    assert!(ring.by_header_segment(&segment[1..]).is_none());
}

#[test]
fn the_signing_key_is_named_or_the_only_one() {
    let (a, b) = (key("a", Algorithm::Es256), key("b", Algorithm::EdDsa));
    let verifying = KeyRing::new([public(&a), public(&b)]).unwrap();
    assert!(verifying.signing_key().is_none());
    assert!(verifying.with_signing_key("a").is_err());

    let one = KeyRing::new([public(&a), b.clone()]).unwrap();
    assert_eq!(one.signing_key().map(Key::id), Some("b"));
    assert!(one.with_signing_key("a").is_err());

    let both = KeyRing::new([a, b]).unwrap();
    assert!(both.signing_key().is_none());
    assert!(both.clone().with_signing_key("c").is_err());
    let both = both.with_signing_key("a").unwrap();
    assert_eq!(both.signing_key().map(Key::id), Some("a"));
}

#[test]
fn f11_a_published_set_holds_public_members_only() {
    let algorithms = [
        Algorithm::Hs256,
        Algorithm::Rs256,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];
    let keys = algorithms.map(|algorithm| key(algorithm.as_str(), algorithm));
    let set: serde_json::Value = serde_json::from_str(&KeyRing::new(keys).unwrap().jwks()).unwrap();
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 4);
    for key in keys {
        let mut names: Vec<&str> = key
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        let expected: &[&str] = match key["kty"].as_str().unwrap() {
            "RSA" => &["alg", "e", "kid", "kty", "n", "use"],
            "EC" => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            _ => &["alg", "crv", "kid", "kty", "use", "x"],
        };
        assert_eq!(names, expected);
        assert_eq!(key["use"], "sig");
        assert_eq!(key["alg"], key["kid"]);
    }
    let secret = KeyRing::new([self::key("s", Algorithm::Hs256)]).unwrap();
    assert_eq!(secret.jwks(), r#"{"keys":[]}"#);
}

#[test]
fn f03_a_replaced_ring_is_gone_for_every_clone() {
    let keys = KeySource::from(key("a", Algorithm::Es256));
    let other = keys.clone();
    let begun: Arc<KeyRing> = other.load();
    assert_eq!(begun.signing_key().map(Key::id), Some("a"));
    keys.replace(KeyRing::new([key("b", Algorithm::Es256)]).unwrap());
    assert!(other.load().get("a").is_none());
    assert!(other.load().get("b").is_some());
    assert!(begun.get("a").is_some());
}
