//! Authorization codes, which represent a grant between the two halves of the flow.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use auth_core::{Clock, ConfigError, SystemClock};
use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::signer::random_word;

const LIVES_FOR: i64 = 60;

/// The grant of a user.
#[derive(Clone)]
pub struct Grant {
    /// The subject.
    pub subject: &'static str,
    /// The display name.
    pub name: &'static str,
    /// The nonce for the ID token.
    pub nonce: Option<String>,
    /// The PKCE challenge, the digest of the verifier.
    pub challenge: String,
    /// The time of the login, in seconds since 1970.
    pub auth_time: i64,
    /// Whether the app requested that time.
    pub dated: bool,
}

/// Grants that have not been redeemed yet.
#[derive(Default)]
pub struct Codes(Mutex<HashMap<String, Grant>>);

impl Codes {
    /// Issues a new code for a grant.
    pub fn issue(&self, grant: Grant) -> Result<String, ConfigError> {
        let code = random_word()?;
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = grant.auth_time - LIVES_FOR;
        codes.retain(|_, other| other.auth_time > oldest);
        codes.insert(code.clone(), grant);
        Ok(code)
    }

    /// Redeems a code once, within a minute, for a client with the verifier.
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
