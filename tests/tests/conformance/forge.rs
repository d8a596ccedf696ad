//! Tokens with any defect, signed by a second implementation (jsonwebtoken with RustCrypto), so
//! that the library does not mark its own homework.

use base64_simd::URL_SAFE_NO_PAD;
pub use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use crate::shims::{AUDIENCE, ISSUER, NOW};

/// The secret of the key `k1`.
pub const SECRET: &[u8] = b"k1: a secret that is long enough for HS512, i.e. 64 bytes of text";
/// The subject of good tokens.
pub const SUBJECT: &str = "user-1";

pub const RSA: &[u8] = include_bytes!("keys/rsa.pem");
pub const RSA_SPKI: &[u8] = include_bytes!("keys/rsa_spki.pem");
pub const RSA_PKCS1: &[u8] = include_bytes!("keys/rsa_pkcs1.pem");
pub const EC: &[u8] = include_bytes!("keys/ec.pem");
pub const EC_SPKI: &[u8] = include_bytes!("keys/ec_spki.pem");
pub const ED: &[u8] = include_bytes!("keys/ed.pem");
pub const ED_SPKI: &[u8] = include_bytes!("keys/ed_spki.pem");

/// The key called `name` in keys/jwks.json as a private JWK.
pub fn private_jwk(name: &str, kid: &str, alg: &str) -> Value {
    let keys: Value = serde_json::from_str(include_str!("keys/jwks.json")).unwrap();
    let mut jwk = keys[name].clone();
    assert!(jwk.is_object(), "{name}");
    jwk["kid"] = json!(kid);
    jwk["alg"] = json!(alg);
    jwk
}

/// Its public half.
pub fn public_jwk(name: &str, kid: &str, alg: &str) -> Value {
    let mut jwk = private_jwk(name, kid, alg);
    for private in ["d", "p", "q", "dp", "dq", "qi"] {
        jwk.as_object_mut().unwrap().remove(private);
    }
    jwk
}

pub fn oct_jwk(kid: &str, alg: &str, secret: &[u8]) -> Value {
    json!({ "kty": "oct", "kid": kid, "alg": alg, "k": b64(secret) })
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

pub fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode_to_vec(text).unwrap()
}

/// What signs a forged token.
#[derive(Clone, Copy, Debug)]
pub enum Signer<'a> {
    /// HMAC with a secret.
    Mac(Algorithm, &'a [u8]),
    /// A private key in PEM.
    Pem(Algorithm, &'a [u8]),
    /// Nothing: the signature is empty.
    Nobody,
}

/// HS256 with the key `k1`.
pub const K1: Signer<'static> = Signer::Mac(Algorithm::HS256, SECRET);

impl Signer<'_> {
    fn sign(self, message: &str) -> String {
        let (algorithm, key) = match self {
            Signer::Nobody => return String::new(),
            Signer::Mac(algorithm, secret) => (algorithm, EncodingKey::from_secret(secret)),
            Signer::Pem(algorithm, pem) => {
                use Algorithm::{ES256, EdDSA};
                let key = match algorithm {
                    ES256 => EncodingKey::from_ec_pem(pem),
                    EdDSA => EncodingKey::from_ed_pem(pem),
                    _ => EncodingKey::from_rsa_pem(pem),
                };
                (algorithm, key.unwrap())
            }
        };
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap()
    }
}

/// A compact JWS over exactly these bytes.
pub fn jws(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>, signer: Signer<'_>) -> String {
    let message = format!("{}.{}", b64(header), b64(payload));
    let signature = signer.sign(&message);
    format!("{message}.{signature}")
}

/// The header that the key `k1` writes.
pub fn header() -> Value {
    json!({ "alg": "HS256", "typ": "at+jwt", "kid": "k1" })
}

/// The claims of a good token.
pub fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": SUBJECT,
        "client_id": "c1",
        "iat": NOW,
        "exp": NOW + 600,
        "jti": "j1",
    })
}

/// [`claims`] with some replaced, or taken out by [`absent`].
pub fn claims_with(changes: Value) -> Value {
    changed(claims(), changes)
}

/// [`header`] with some members replaced, or taken out by [`absent`].
pub fn header_with(changes: Value) -> Value {
    changed(header(), changes)
}

/// Marks a member that shall be taken out; null is a value.
pub fn absent() -> Value {
    json!("\u{0}absent")
}

fn changed(mut value: Value, changes: Value) -> Value {
    let map = value.as_object_mut().unwrap();
    let Value::Object(changes) = changes else {
        panic!("an object of changes")
    };
    for (name, value) in changes {
        if value == absent() {
            map.remove(&name);
        } else {
            map.insert(name, value);
        }
    }
    value
}

/// A good token but for these claims.
pub fn token_with(changes: Value) -> String {
    jws(header().to_string(), claims_with(changes).to_string(), K1)
}

/// A good token but for these header members.
pub fn token_with_header(changes: Value) -> String {
    jws(header_with(changes).to_string(), claims().to_string(), K1)
}

/// A good token.
pub fn token() -> String {
    token_with(json!({}))
}

/// A good token of somebody.
pub fn token_of(subject: &str) -> String {
    token_with(json!({ "sub": subject }))
}

/// A token with `k1`'s header and signature around exactly this payload.
pub fn token_around(payload: impl AsRef<[u8]>) -> String {
    jws(header().to_string(), payload, K1)
}

/// A good token signed by another key.
pub fn token_signed(alg: &str, kid: &str, signer: Signer<'_>) -> String {
    let header = header_with(json!({ "alg": alg, "kid": kid }));
    jws(header.to_string(), claims().to_string(), signer)
}
