//! Real signatures: ES256 (RFC 7518 §3.4).

use auth_core::ConfigError;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64_simd::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Failure;

/// A key and its id.
pub struct Signer {
    id: String,
    key: EcdsaKeyPair,
}

impl Signer {
    /// Generates a key.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            id: random_word()?,
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
        })
    }

    /// The public half (RFC 7517).
    pub fn public_jwk(&self) -> Value {
        // An uncompressed point: 4, x, y.
        let point = self.key.public_key().as_ref();
        let coordinate = |from: usize| {
            let bytes = point.get(from..from + 32).unwrap_or_default();
            URL_SAFE_NO_PAD.encode_to_string(bytes)
        };
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
            "x": coordinate(1), "y": coordinate(33),
        })
    }

    /// Signs a token (RFC 7519, RFC 7515 §7.1).
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, Failure> {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.id });
        let part = |json: String| URL_SAFE_NO_PAD.encode_to_string(json);
        let claims = part(serde_json::to_string(claims)?);
        let text = format!("{}.{claims}", part(header.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes())?;
        let signature = URL_SAFE_NO_PAD.encode_to_string(signature);
        Ok(format!("{text}.{signature}"))
    }
}

/// The token with the payload of another one.
pub fn with_payload_of(token: &str, other: &str) -> Result<String, Failure> {
    let parts = |token: &str| -> Option<[String; 3]> {
        let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        parts.try_into().ok()
    };
    match (parts(token), parts(other)) {
        (Some([header, _, signature]), Some([_, payload, _])) => {
            Ok(format!("{header}.{payload}.{signature}"))
        }
        _ => Err("a token has three parts".into()),
    }
}

/// 128 random bits as text.
pub fn random_word() -> Result<String, ConfigError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| ConfigError::new("random", "there is none"))?;
    Ok(URL_SAFE_NO_PAD.encode_to_string(bytes))
}
