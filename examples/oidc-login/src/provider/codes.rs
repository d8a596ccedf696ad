//! The codes that stand for a grant between the two halves of the flow.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use auth_core::{Clock, ConfigError, SystemClock};
use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::signer::random_word;

const LIVES_FOR: i64 = 60;

/// What a user has granted.
#[derive(Clone)]
pub struct Grant {
    /// Who they are.
    pub subject: &'static str,
    /// What they are called.
    pub name: &'static str,
    /// For the ID token.
    pub nonce: Option<String>,
    /// What the verifier must be a preimage of.
    pub challenge: String,
    /// When they proved who they are, in seconds since 1970.
    pub auth_time: i64,
    /// Whether the app wants to know that.
    pub dated: bool,
}

/// Grants that have not been redeemed yet.
#[derive(Default)]
pub struct Codes(Mutex<HashMap<String, Grant>>);

impl Codes {
    /// A new code.
    pub fn issue(&self, grant: Grant) -> Result<String, ConfigError> {
        let code = random_word()?;
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = grant.auth_time - LIVES_FOR;
        codes.retain(|_, other| other.auth_time > oldest);
        codes.insert(code.clone(), grant);
        Ok(code)
    }

    /// The grant, once: to whoever has the verifier, within a minute.
    pub fn redeem(&self, code: &str, verifier: &str) -> Option<Grant> {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = codes.remove(code)?;
        let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode_to_string(digest);
        let proven = challenge.as_bytes().ct_eq(grant.challenge.as_bytes());
        let fresh = SystemClock.now().as_secs() < grant.auth_time + LIVES_FOR;
        (fresh && bool::from(proven)).then_some(grant)
    }
}
