//! HMAC secrets (RFC 7518 §3.2).
//!
//! 1. A secret is at least as long as the hash. An empty one has its own message: it usually comes
//!    from an environment variable that is not set.
//! 2. A secret is not a key in another form: PEM, DER, JWK or SSH text. A service that uses the public
//!    key of an asymmetric pair as its HMAC secret accepts tokens from every holder of that key.

use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::keys::algorithm::Algorithm;
use crate::keys::fault::KeyFault;
use crate::keys::imported::Imported;
use crate::keys::local::HmacKey;
use crate::keys::public::WRONG_KIND;
use crate::keys::{der, pem};

/// Creates a key from a secret that satisfies the rules above.
pub(super) fn import(algorithm: Algorithm, secret: &[u8]) -> Result<Imported, KeyFault> {
    let (hash, too_short) = match algorithm {
        Algorithm::Hs256 => (
            hmac::HMAC_SHA256,
            "HS256 needs at least 32 random bytes, for example from `openssl rand -hex 32`",
        ),
        Algorithm::Hs384 => (
            hmac::HMAC_SHA384,
            "HS384 needs at least 48 random bytes, for example from `openssl rand -hex 48`",
        ),
        Algorithm::Hs512 => (
            hmac::HMAC_SHA512,
            "HS512 needs at least 64 random bytes, for example from `openssl rand -hex 64`",
        ),
        _ => return Err(WRONG_KIND),
    };
    if secret.is_empty() {
        return Err(fault(
            "the secret is empty; set the environment variable that holds it",
        ));
    }
    if is_other_key(secret) {
        return Err(fault(
            "this is a PEM, DER, JWK or SSH key, not a secret; load it with from_pem, from_der or \
             from_jwk, and for HMAC use random bytes",
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

const fn fault(problem: &'static str) -> KeyFault {
    KeyFault::new("HMAC secret", problem)
}

/// Whether the bytes are a key of another kind, public or private. Reads the bytes in place: a
/// converted text would be a copy of the secret.
fn is_other_key(secret: &[u8]) -> bool {
    const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
    let text = secret.strip_prefix(BYTE_ORDER_MARK).unwrap_or(secret);
    let text = text.trim_ascii();
    der::parse(secret).is_some()
        || contains(text, b"-----BEGIN ")
        || contains(text, b"---- BEGIN ")
        || is_ssh(text)
        || is_jwk(text)
        || pem::unarmour(text).is_some_and(|bytes| der::parse(&bytes).is_some())
}

/// An OpenSSH public key line, or its base64 part alone (RFC 4253 §6.6).
fn is_ssh(text: &[u8]) -> bool {
    const STARTS: [&str; 9] = [
        "ssh-rsa ",
        "ssh-ed25519 ",
        "ssh-dss ",
        "ecdsa-sha2-",
        "sk-ssh-",
        "sk-ecdsa-",
        "AAAAB3NzaC1",
        "AAAAC3NzaC1lZDI1NTE5",
        "AAAAE2VjZHNhLXNoYTIt",
    ];
    STARTS
        .iter()
        .any(|start| text.starts_with(start.as_bytes()))
}

/// A JWK or a set of them, private or not.
fn is_jwk(text: &[u8]) -> bool {
    matches!(text, [b'{' | b'[', ..]) && (contains(text, b"\"kty\"") || contains(text, b"\"keys\""))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
