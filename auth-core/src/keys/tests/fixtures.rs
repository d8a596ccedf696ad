//! Keys in every form, generated or taken from the RFCs.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, PublicKeyX509Der};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::Value;

use crate::keys::der::DerDocument;
use crate::keys::local::ec_signing;
use crate::keys::{der, *};

/// The examples of the RFCs.
pub(super) static VECTORS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let file: Value =
        serde_json::from_str(include_str!("../../../tests/data/rfc-vectors.json")).unwrap();
    file["cases"].as_array().unwrap().clone()
});

/// A self-signed certificate for a P-256 key.
pub(super) const CERTIFICATE: &str = include_str!("../../../tests/data/certificate.pem");

/// Returns an example by its id.
pub(super) fn vector(id: &str) -> &'static Value {
    VECTORS.iter().find(|case| case["id"] == id).unwrap()
}

/// A JWK with further members, or with other values for those it has.
pub(super) fn jwk(base: &Value, members: &Value) -> String {
    let mut jwk = base.clone();
    for (name, value) in members.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk.to_string()
}

/// The private RSA key of RFC 7520 §3.4, 2048 bits.
pub(super) fn rsa_private(algorithm: Algorithm) -> Key {
    let base = &vector("rfc7520-3.4")["jwk"];
    let json = jwk(base, &serde_json::json!({"kid": "rsa"}));
    Key::from_jwk_as(&json, algorithm).unwrap()
}

/// The forms of one key pair.
pub(super) struct Forms {
    pub(super) pkcs8: Vec<u8>,
    pub(super) spki: Vec<u8>,
    /// PKCS#1 for RSA, SEC 1 for EC.
    pub(super) private: Option<(&'static str, Vec<u8>)>,
    /// PKCS#1 for RSA.
    pub(super) public: Option<(&'static str, Vec<u8>)>,
}

static RSA: LazyLock<aws_lc_rs::rsa::KeyPair> =
    LazyLock::new(|| aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap());

/// A new key pair for `algorithm` (for RSA, the same one throughout).
pub(super) fn forms(algorithm: Algorithm) -> Forms {
    match algorithm {
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().unwrap();
            Forms {
                pkcs8: pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
                spki: spki(pair.public_key()),
                private: None,
                public: None,
            }
        }
        Algorithm::Es256 | Algorithm::Es384 => {
            let pair = EcdsaKeyPair::generate(ec_signing(algorithm).unwrap()).unwrap();
            let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
            Forms {
                pkcs8: pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
                spki: spki(pair.public_key()),
                private: Some(("EC PRIVATE KEY", sec1.as_ref().to_vec())),
                public: None,
            }
        }
        _ => rsa_forms(),
    }
}

fn rsa_forms() -> Forms {
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = RSA.as_der().unwrap();
    let Some(DerDocument::PrivateInfo { key, .. }) = der::parse(pkcs8.as_ref()) else {
        panic!("not PKCS#8");
    };
    Forms {
        pkcs8: pkcs8.as_ref().to_vec(),
        spki: spki(RSA.public_key()),
        private: Some(("RSA PRIVATE KEY", key.to_vec())),
        public: Some(("RSA PUBLIC KEY", RSA.public_key().as_ref().to_vec())),
    }
}

fn spki<K: AsDer<PublicKeyX509Der<'static>>>(key: &K) -> Vec<u8> {
    key.as_der().unwrap().as_ref().to_vec()
}

/// PEM text with lines of 64 characters.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let body = base64_simd::STANDARD.encode_to_string(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

pub(super) fn from_base64url(text: &str) -> Vec<u8> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).unwrap()
}

/// The message and the signature of a compact JWS.
pub(super) fn split(jws: &str) -> (&str, Vec<u8>) {
    let (message, signature) = jws.rsplit_once('.').unwrap();
    (message, from_base64url(signature))
}
