//! The bare cryptography of a token, with a parsed key and a decoded signature.

use std::time::Duration;

use auth_core::Algorithm;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use ed25519_dalek::Verifier;
use hmac::Mac;

use crate::clock::CpuTime;
use crate::harness::{Run, Table};
use crate::world::{SECRET, World};

fn run(verify: impl Fn() -> bool + 'static) -> Run {
    Box::new(move |calls| -> Duration {
        let begin = CpuTime::now();
        for _ in 0..calls {
            assert!(std::hint::black_box(&verify)());
        }
        begin.elapsed()
    })
}

fn member(world: &World, name: &str) -> Vec<u8> {
    let text = world.jwk[name].as_str().unwrap_or_default();
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(text)
        .expect("our own key")
}

/// What both backends need for one token. Their figures stand for themselves.
pub fn fill(table: &mut Table, world: &World) {
    let (message, signature) = world.token.rsplit_once('.').expect("our own token");
    let message = message.as_bytes().to_vec();
    let signature = base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(signature)
        .expect("our own token");
    // So that their time stands alone, each is taken off nothing.
    let nothing = table.baseline("nothing", run(|| true));
    let [one, other] = match world.algorithm {
        Algorithm::Hs256 => hs256(message, signature),
        Algorithm::Es256 => es256(world, message, signature),
        Algorithm::EdDsa => eddsa(world, message, signature),
        _ => rs256(world, message, signature),
    };
    table.against(nothing, "raw: aws-lc-rs", one);
    table.against(nothing, "raw: RustCrypto", other);
}

fn hs256(message: Vec<u8>, signature: Vec<u8>) -> [Run; 2] {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let keyed = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    let (message_2, signature_2) = (message.clone(), signature.clone());
    [
        run(move || aws_lc_rs::hmac::verify(&key, &message, &signature).is_ok()),
        run(move || {
            let mac = keyed.clone().chain_update(&message_2);
            mac.verify_slice(&signature_2).is_ok()
        }),
    ]
}

fn es256(world: &World, message: Vec<u8>, signature: Vec<u8>) -> [Run; 2] {
    let point = [vec![4], member(world, "x"), member(world, "y")].concat();
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).expect("our own key");
    let other = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).expect("our own key");
    let (message_2, signature_2) = (message.clone(), signature.clone());
    [
        run(move || key.verify_sig(&message, &signature).is_ok()),
        run(move || {
            use p256::ecdsa::signature::Verifier;
            p256::ecdsa::Signature::from_slice(&signature_2)
                .is_ok_and(|signature| other.verify(&message_2, &signature).is_ok())
        }),
    ]
}

fn eddsa(world: &World, message: Vec<u8>, signature: Vec<u8>) -> [Run; 2] {
    let x = member(world, "x");
    let key = ParsedPublicKey::new(&ED25519, &x).expect("our own key");
    let x: [u8; 32] = x.try_into().expect("32 bytes");
    let other = ed25519_dalek::VerifyingKey::from_bytes(&x).expect("our own key");
    let (message_2, signature_2) = (message.clone(), signature.clone());
    [
        run(move || key.verify_sig(&message, &signature).is_ok()),
        run(move || {
            ed25519_dalek::Signature::from_slice(&signature_2)
                .is_ok_and(|signature| other.verify(&message_2, &signature).is_ok())
        }),
    ]
}

fn rs256(world: &World, message: Vec<u8>, signature: Vec<u8>) -> [Run; 2] {
    let (n, e) = (member(world, "n"), member(world, "e"));
    let components = aws_lc_rs::rsa::PublicKeyComponents { n: &n, e: &e };
    let key = components
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .expect("our own key");
    let (n, e) = (
        rsa::BigUint::from_bytes_be(&n),
        rsa::BigUint::from_bytes_be(&e),
    );
    let other = rsa::RsaPublicKey::new(n, e).expect("our own key");
    let other = rsa::pkcs1v15::VerifyingKey::<sha2::Sha256>::new(other);
    let (message_2, signature_2) = (message.clone(), signature.clone());
    [
        run(move || key.verify_sig(&message, &signature).is_ok()),
        run(move || {
            rsa::pkcs1v15::Signature::try_from(&signature_2[..])
                .is_ok_and(|signature| other.verify(&message_2, &signature).is_ok())
        }),
    ]
}
