//! Verifying an access token. The order is part of the contract:
//!
//! 1. Bounds before work: at most 8 KiB and exactly two dots, before anything is decoded or
//!    allocated.
//! 2. Key and algorithm come from the configuration. The encoded header of our own tokens is
//!    constant per key, so it is compared as bytes; any other header is parsed, its `kid` selects
//!    among the configured keys, and its `alg` must be that key's. Without `kid` there must be
//!    exactly one key of that algorithm.
//! 3. The signature, before any claim is looked at.
//! 4. The claims: `exp` and every claim that the token's kind requires, with the right type;
//!    `iss` and `aud` compared exactly; `nbf` and `iat` whenever present; the total lifetime.
//!
//! A [`Cause`] is for operators. Clients see one answer for all of them.

mod header;

use std::time::Duration;

use serde::de::DeserializeOwned;

use self::header::Header;
use crate::claims::{self, RegisteredClaims, Verified};
use crate::clock::Timestamp;
use crate::error::{Cause, ConfigError};
use crate::keys::{Algorithm, Key, KeyRing, KeySource};

/// The longest token that is looked at, in bytes.
pub(crate) const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Default and bound of the leeway for clocks that disagree.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
const MAX_LEEWAY: Duration = Duration::from_secs(5 * 60);
/// Default cap on `exp - iat`.
const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How far a clock may be off, and how long a token may live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeRules {
    pub(crate) leeway: Duration,
    pub(crate) max_lifetime: Duration,
}

impl Default for TimeRules {
    fn default() -> Self {
        Self {
            leeway: DEFAULT_LEEWAY,
            max_lifetime: DEFAULT_MAX_LIFETIME,
        }
    }
}

impl TimeRules {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.leeway > MAX_LEEWAY {
            return Err(ConfigError::new(
                "leeway",
                "at most 5 minutes; mend the clocks instead",
            ));
        }
        if self.max_lifetime.is_zero() {
            return Err(ConfigError::new("max_lifetime", "must be longer than zero"));
        }
        Ok(())
    }
}

/// An issuer whose access tokens are accepted: its name, our name to it, its keys.
#[derive(Clone, Debug)]
pub(crate) struct TrustedIssuer {
    pub(crate) issuer: Box<str>,
    pub(crate) audiences: Vec<Box<str>>,
    pub(crate) keys: KeySource,
}

impl TrustedIssuer {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.issuer.is_empty() {
            return Err(ConfigError::new(
                "issuer",
                "must not be empty; it is compared with `iss`",
            ));
        }
        if self.audiences.is_empty() || self.audiences.iter().any(|name| name.is_empty()) {
            return Err(ConfigError::new(
                "audience",
                "must not be empty; it is compared with `aud`",
            ));
        }
        Ok(())
    }

    /// Runs the whole pipeline on a token.
    pub(crate) fn verify<T: DeserializeOwned>(
        &self,
        token: &str,
        now: Timestamp,
        rules: &TimeRules,
    ) -> Result<Verified<T>, Cause> {
        let parts = Parts::split(token)?;
        let ring = self.keys.guard();
        let key = select_key(&ring, parts.header)?;
        let signature = decode(parts.signature)?;
        key.verify(parts.signed.as_bytes(), &signature)
            .map_err(|_| Cause::Signature)?;
        let (registered, private) = claims::parse::<T>(&decode(parts.payload)?)?;
        self.judge(&registered, now, rules)?;
        Ok(Verified {
            registered,
            private,
        })
    }

    /// Judges claims that are known to be ours, because they come out of our own store. The epoch
    /// is the session's, which may have been taken along to a newer one.
    pub(crate) fn verify_kept<T: DeserializeOwned>(
        &self,
        payload: &str,
        epoch: u64,
        now: Timestamp,
        rules: &TimeRules,
    ) -> Result<Verified<T>, Cause> {
        let (mut registered, private) = claims::parse::<T>(payload.as_bytes())?;
        registered.epoch = epoch;
        self.judge(&registered, now, rules)?;
        Ok(Verified {
            registered,
            private,
        })
    }

    fn judge(
        &self,
        claims: &RegisteredClaims,
        now: Timestamp,
        rules: &TimeRules,
    ) -> Result<(), Cause> {
        if claims.issuer() != Some(&*self.issuer) {
            return Err(Cause::Issuer);
        }
        if !self
            .audiences
            .iter()
            .any(|name| claims.audience().any(|own| *own == **name))
        {
            return Err(Cause::Audience);
        }
        check_required(claims)?;
        check_times(claims, now, rules)
    }
}

/// RFC 9068 §2.2: what an access token must have besides `iss`, `aud` and `exp`.
fn check_required(claims: &RegisteredClaims) -> Result<(), Cause> {
    let present = |claim: Option<&str>| claim.is_some_and(|text| !text.is_empty());
    let complete = present(claims.subject())
        && present(claims.client_id())
        && present(claims.token_id())
        && claims.issued_at().is_some();
    if complete { Ok(()) } else { Err(Cause::Claims) }
}

fn check_times(claims: &RegisteredClaims, now: Timestamp, rules: &TimeRules) -> Result<(), Cause> {
    let expires_at = claims.expires_at();
    if now >= expires_at.saturating_add(rules.leeway) {
        return Err(Cause::Expired);
    }
    let latest_start = now.saturating_add(rules.leeway);
    if claims
        .not_before()
        .is_some_and(|not_before| not_before > latest_start)
    {
        return Err(Cause::NotYetValid);
    }
    let issued_at = claims.issued_at();
    if issued_at.is_some_and(|issued_at| issued_at > latest_start || issued_at > expires_at) {
        return Err(Cause::IssuedAt);
    }
    let start = issued_at.unwrap_or(latest_start);
    if expires_at.saturating_since(start) > rules.max_lifetime {
        return Err(Cause::Lifetime);
    }
    Ok(())
}

/// The segments of a compact JWS.
struct Parts<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    /// Header, dot and payload: what was signed.
    signed: &'t str,
}

impl<'t> Parts<'t> {
    fn split(token: &'t str) -> Result<Self, Cause> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Cause::Malformed);
        }
        let (header, rest) = token.split_once('.').ok_or(Cause::Malformed)?;
        let (payload, signature) = rest.split_once('.').ok_or(Cause::Malformed)?;
        if signature.contains('.') {
            return Err(Cause::Malformed);
        }
        let signed = token
            .get(..header.len() + 1 + payload.len())
            .ok_or(Cause::Malformed)?;
        Ok(Self {
            header,
            payload,
            signature,
            signed,
        })
    }
}

fn decode(segment: &str) -> Result<Vec<u8>, Cause> {
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(segment)
        .map_err(|_| Cause::Malformed)
}

fn select_key<'k>(ring: &'k KeyRing, segment: &str) -> Result<&'k Key, Cause> {
    if let Some(key) = ring.by_header_segment(segment) {
        return Ok(key);
    }
    let header = Header::parse(&decode(segment)?)?;
    let algorithm = Algorithm::parse(&header.alg).ok_or(Cause::Algorithm)?;
    let key = match &header.kid {
        Some(kid) => ring.get(kid),
        None => ring.only(algorithm),
    };
    let key = key.ok_or(Cause::UnknownKey)?;
    if key.algorithm() != algorithm {
        return Err(Cause::Algorithm);
    }
    if !header.is_access_token() {
        return Err(Cause::Type);
    }
    Ok(key)
}
