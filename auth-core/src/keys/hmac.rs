//! HMAC secrets (RFC 7518 §3.2).
//!
//! 1. At least as long as the hash; empty has a message of its own, since it is what a missing
//!    environment variable gives.
//! 2. Not a key in another form: PEM, DER, JWK or SSH text. A service that is given the public key
//!    of an asymmetric pair as its HMAC secret accepts tokens from whoever knows that public key.

use std::sync::Arc;

use aws_lc_rs::hmac;

use super::algorithm::Algorithm;
use super::fault::Fault;
use super::key::Imported;
use super::local::HmacKey;
use super::{der, pem};

/// A key from a secret that passes the rules above.
pub(super) fn import(algorithm: Algorithm, secret: &[u8]) -> Result<Imported, Fault> {
    if is_other_key(secret) {
        return Err(fault(
            "this is a PEM, DER, JWK or SSH key, not a secret; load it with from_pem, from_der or \
             from_jwk, and for HMAC use random bytes",
        ));
    }
    from_bytes(algorithm, secret)
}

/// A key from bytes that are known to be meant as a secret, e.g. those of an `oct` JWK.
pub(super) fn from_bytes(algorithm: Algorithm, secret: &[u8]) -> Result<Imported, Fault> {
    let (hash, too_short) = match algorithm {
        Algorithm::Hs256 => (hmac::HMAC_SHA256, "HS256 needs at least 32 random bytes"),
        Algorithm::Hs384 => (hmac::HMAC_SHA384, "HS384 needs at least 48 random bytes"),
        Algorithm::Hs512 => (hmac::HMAC_SHA512, "HS512 needs at least 64 random bytes"),
        _ => return Err(fault("this algorithm does not take a secret")),
    };
    if secret.is_empty() {
        return Err(fault(
            "the secret is empty; is the environment variable it comes from set?",
        ));
    }
    if secret.len() < hash.tag_len() {
        return Err(fault(too_short));
    }
    let key = Arc::new(HmacKey(hmac::Key::new(hash, secret)));
    Ok(Imported {
        verifier: key.clone(),
        signer: Some(key),
        public: None,
    })
}

const fn fault(problem: &'static str) -> Fault {
    Fault::new("HMAC secret", problem)
}

/// Whether the bytes are a key of another kind, public or private.
fn is_other_key(secret: &[u8]) -> bool {
    if der::parse(secret).is_some() {
        return true;
    }
    // Text may be in any encoding that keeps ASCII, with anything around it.
    let text = String::from_utf8_lossy(secret);
    let text = text.trim_start_matches('\u{feff}').trim();
    text.contains("-----BEGIN ")
        || text.contains("---- BEGIN ")
        || is_ssh(text)
        || is_jwk(text)
        || pem::unarmour(text).is_some_and(|bytes| der::parse(&bytes).is_some())
}

/// An OpenSSH public key line, or its base64 part alone (RFC 4253 §6.6).
fn is_ssh(text: &str) -> bool {
    const STARTS: [&str; 10] = [
        "ssh-rsa",
        "ssh-ed25519",
        "ssh-dss",
        "ecdsa-sha2-",
        "sk-ssh-",
        "sk-ecdsa-",
        "rsa-sha2-",
        "AAAAB3NzaC1",
        "AAAAC3NzaC1lZDI1NTE5",
        "AAAAE2VjZHNhLXNoYTIt",
    ];
    STARTS.iter().any(|start| text.starts_with(start))
}

/// A JWK or a set of them, private or not.
fn is_jwk(text: &str) -> bool {
    text.starts_with(['{', '[']) && (text.contains("\"kty\"") || text.contains("\"keys\""))
}
