//! Signing and verifying: valid signatures pass, all others are refused.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use crate::keys::tests::fixtures::{
    VECTORS, base64url, from_base64url, jwk, rsa_private, split, vector,
};
use crate::keys::*;

/// A key that signs; RSA keys share their numbers.
fn signing_key(algorithm: Algorithm) -> Key {
    match algorithm.jwk_type() {
        ("RSA", _) => rsa_private(algorithm),
        _ => Key::generate("k", algorithm).unwrap().0,
    }
}

/// The lowest `length` bytes of a number, from hexadecimal text.
fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn the_examples_of_the_rfcs_verify() {
    let mut verified = 0;
    for case in VECTORS.iter().filter(|case| case["jws"].is_string()) {
        let algorithm = Algorithm::parse(case["alg"].as_str().unwrap()).unwrap();
        let json = jwk(&case["jwk"], &json!({"kid": "k"}));
        let key = Key::from_jwk_as(&json, algorithm).unwrap();
        let (message, signature) = split(case["jws"].as_str().unwrap());
        assert_eq!(key.verify(message.as_bytes(), &signature), Ok(()), "{case}");
        let mut other = signature.clone();
        other[7] ^= 1;
        assert!(key.verify(message.as_bytes(), &other).is_err(), "{case}");
        verified += 1;
    }
    assert_eq!(verified, 7);
}

#[tokio::test]
async fn each_algorithm_verifies_its_own_signatures_only() {
    for &algorithm in Algorithm::ALL {
        let key = signing_key(algorithm);
        let signature = key.sign(b"message").await.unwrap();
        assert_eq!(key.verify(b"message", &signature), Ok(()), "{algorithm}");
        assert!(key.verify(b"massage", &signature).is_err(), "{algorithm}");
        assert!(key.verify(b"message", b"").is_err(), "{algorithm}");
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut other = signature.clone();
            other[at] ^= 0x10;
            assert!(key.verify(b"message", &other).is_err(), "{algorithm} {at}");
        }
        let shorter = &signature[..signature.len() - 1];
        let longer = [&signature[..], &[0]].concat();
        let shifted = [&[0], &signature[..]].concat();
        for other in [shorter, &longer, &shifted] {
            assert!(key.verify(b"message", other).is_err(), "{algorithm}");
        }
    }
}

#[tokio::test]
async fn a05_another_algorithm_of_the_same_rsa_key_does_not_verify() {
    let family = Algorithm::ALL
        .iter()
        .copied()
        .filter(|algorithm| algorithm.jwk_type().0 == "RSA");
    for signing in family.clone() {
        let signature = rsa_private(signing).sign(b"message").await.unwrap();
        for verifying in family.clone().filter(|verifying| *verifying != signing) {
            let key = rsa_private(verifying);
            assert!(
                key.verify(b"message", &signature).is_err(),
                "{signing} as {verifying}"
            );
        }
    }
}

#[test]
fn a30_ecdsa_signatures_out_of_range_are_refused() {
    // The orders of the curves (SEC 2 §2.4.2, §2.5.1).
    let orders = [
        (
            Algorithm::Es256,
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        ),
        (
            Algorithm::Es384,
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
             581a0db248b0a77aecec196accc52973",
        ),
    ];
    for (algorithm, order) in orders {
        let (key, _) = Key::generate("k", algorithm).unwrap();
        let order = hex(order);
        let zero = vec![0; order.len()];
        let mut one = zero.clone();
        *one.last_mut().unwrap() = 1;
        let mut order_minus_one = order.clone();
        *order_minus_one.last_mut().unwrap() -= 1;
        let all_ones = vec![0xff; order.len()];
        let numbers = [zero, one, order_minus_one, order, all_ones];
        for r in &numbers {
            for s in &numbers {
                let signature = [&r[..], s].concat();
                assert!(key.verify(b"message", &signature).is_err());
                assert!(key.verify(b"", &signature).is_err());
            }
        }
    }
}

/// `ECDSA-Sig-Value` (RFC 3279 §2.2.3).
fn ecdsa_der(signature: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let mut contents = number[zeros..].to_vec();
        if contents[0] >= 0x80 {
            contents.insert(0, 0);
        }
        [&[2, contents.len() as u8], &contents[..]].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let body = [integer(r), integer(s)].concat();
    [&[0x30, body.len() as u8], &body[..]].concat()
}

#[tokio::test]
async fn a30_ecdsa_signatures_have_one_form() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384] {
        let (key, _) = Key::generate("k", algorithm).unwrap();
        let signature = key.sign(b"message").await.unwrap();
        let (r, s) = signature.split_at(signature.len() / 2);
        assert_eq!(key.verify(b"message", &[r, s].concat()), Ok(()));
        let over_long = [&[0], r, &[0], s].concat();
        let swapped = [s, r].concat();
        let doubled = [&signature[..], &signature].concat();
        for other in [ecdsa_der(&signature), over_long, swapped, doubled] {
            assert!(key.verify(b"message", &other).is_err(), "{algorithm}");
        }
    }
}

/// `S + L` for the order L of Ed25519's group (RFC 8032 §5.1), if it still fits.
fn plus_order(s: &[u8]) -> Vec<u8> {
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    s.iter()
        .zip(order)
        .map(|(byte, other)| {
            let sum = u16::from(*byte) + u16::from(other) + carry;
            carry = sum >> 8;
            sum as u8
        })
        .collect()
}

#[test]
fn a30_ed25519_signatures_with_s_beyond_the_order_are_refused() {
    let case = vector("rfc8037-A.4");
    let json = jwk(&case["jwk"], &json!({"kid": "k"}));
    let key = Key::from_jwk_as(&json, Algorithm::EdDsa).unwrap();
    let (message, signature) = split(case["jws"].as_str().unwrap());
    let (r, s) = signature.split_at(32);
    let same_point = [r, &plus_order(s)].concat();
    assert_eq!(key.verify(message.as_bytes(), &signature), Ok(()));
    assert!(key.verify(message.as_bytes(), &same_point).is_err());
    // The identity and zero: a signature that verifies every message under a key of order 1.
    let mut trivial = [0; 64];
    trivial[0] = 1;
    assert!(key.verify(message.as_bytes(), &trivial).is_err());
}

#[test]
fn a30_ed25519_keys_of_small_order_are_refused() {
    // y, little-endian: the eight points whose order divides 8, then 0 and 1 encoded beyond the
    // field's prime.
    let points = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for point in points {
        for sign in [0, 0x80] {
            let mut x = hex(point);
            x[31] |= sign;
            let json = json!({
                "kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA", "x": base64url(&x),
            });
            assert!(
                Key::from_jwk(&json.to_string()).is_err(),
                "{point} {sign:x}"
            );
        }
    }
}

#[tokio::test]
async fn rsa_pss_salts_are_as_long_as_the_hash() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{RSA_PSS_SHA256, RsaPssSaltLength, RsaSignatureEncoding};

    static MAXIMAL: RsaSignatureEncoding =
        RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);
    let forms = crate::keys::tests::fixtures::forms(Algorithm::Ps256);
    let key = Key::from_der("k", Algorithm::Ps256, &forms.pkcs8).unwrap();
    let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&forms.pkcs8).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&MAXIMAL, &SystemRandom::new(), b"message", &mut signature)
        .unwrap();
    assert!(key.verify(b"message", &signature).is_err());
}

#[tokio::test]
async fn a_key_without_a_private_half_does_not_sign() {
    let (key, _) = Key::generate("k", Algorithm::Es256).unwrap();
    let public = Key::from_jwk(key.public_jwk().unwrap()).unwrap();
    assert!(!public.can_sign());
    assert!(public.sign(b"message").await.is_err());
}

/// A fake key service with its own key, which can return signatures in DER.
#[derive(Debug)]
struct Service {
    key: Key,
    answers_der: bool,
}

#[async_trait]
impl SignToken for Service {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.key.sign(message).await?;
        Ok(if self.answers_der {
            ecdsa_der(&signature)
        } else {
            signature
        })
    }
}

impl VerifySignature for Service {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.key.verify(message, signature)
    }
}

fn service_key(answers_der: bool) -> Key {
    let (key, _) = Key::generate("inner", Algorithm::Es256).unwrap();
    let public = jwk(
        &serde_json::from_str(key.public_jwk().unwrap()).unwrap(),
        &json!({"kid": "service"}),
    );
    let service = Arc::new(Service { key, answers_der });
    Key::new("service", Algorithm::Es256, service.clone())
        .unwrap()
        .with_signer(service)
        .with_public_jwk(&public)
        .unwrap()
}

#[tokio::test]
async fn a_plugged_in_backend_signs_verifies_and_is_published() {
    let key = service_key(false);
    assert!(key.can_sign());
    let signature = key.sign(b"message").await.unwrap();
    assert_eq!(key.verify(b"message", &signature), Ok(()));
    assert!(key.verify(b"massage", &signature).is_err());
    let published = Key::from_jwk(key.public_jwk().unwrap()).unwrap();
    assert_eq!(published.id(), "service");
    assert_eq!(published.verify(b"message", &signature), Ok(()));
}

#[tokio::test]
async fn a_plugged_in_signature_of_the_wrong_form_is_an_error() {
    use std::error::Error;

    let error = service_key(true).sign(b"message").await.unwrap_err();
    assert!(error.source().unwrap().to_string().contains("not DER"));
}

#[tokio::test]
async fn a_private_jwk_survives_storage() {
    for &algorithm in Algorithm::ALL {
        let (key, private_jwk) = match algorithm {
            // One RSA key generation suffices for all tests.
            Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => continue,
            _ => Key::generate("k", algorithm).unwrap(),
        };
        let loaded = Key::from_jwk(private_jwk.expose()).unwrap();
        assert_eq!(loaded.public_jwk(), key.public_jwk());
        let signature = loaded.sign(b"message").await.unwrap();
        assert_eq!(key.verify(b"message", &signature), Ok(()));
        assert_eq!(key.public_jwk().is_none(), algorithm.is_symmetric());
    }
}

#[test]
fn the_header_segment_is_the_header_of_an_access_token() {
    let (key, _) = Key::generate("2030-01", Algorithm::Es256).unwrap();
    assert_eq!(
        from_base64url(key.header_segment()),
        br#"{"alg":"ES256","typ":"at+jwt","kid":"2030-01"}"#
    );
}
