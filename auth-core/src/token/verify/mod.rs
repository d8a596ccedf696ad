//! Verification of an access token. The order of the steps is part of the contract:
//!
//! 1. Length and form: at most 8 KiB, or the limit of the issuer, and exactly two dots, before
//!    anything is decoded or allocated.
//! 2. With several issuers, the unverified `iss` selects one; an unknown one ends here.
//! 3. Key and algorithm come from the configuration. The encoded header of this crate's own tokens
//!    is constant per key, so it is compared as bytes. Any other header is parsed: its `kid`
//!    selects among the issuer's keys, and its `alg` must be that key's. Without `kid` the
//!    thumbprint of a certificate may select; else there must be exactly one key of that algorithm.
//! 4. The signature, before any claim is trusted.
//! 5. The claims: `exp` and every claim that the token's kind requires, with the right type;
//!    `iss` and `aud` compared exactly; `nbf` and `iat` whenever present; the total lifetime.
//!
//! A token of an issuer that publishes its keys may wait, once, for a missing key, if header and
//! `iss` are such that the issuer could have signed it. Without `kid` this includes a token that
//! the only key of its algorithm did not sign.
//!
//! A [`Cause`] is for operators. Clients get the same response for all of them.

pub(crate) mod checks;
pub(crate) mod header;
pub(crate) mod issuers;
pub(crate) mod peek;
pub(crate) mod trusted;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64_simd::AsOut;
use serde::de::DeserializeOwned;

use self::header::Header;
use crate::base::clock::Timestamp;
use crate::base::config::ConfigError;
use crate::base::error::{AuthError, Cause};
use crate::keys::remote::{FetchEnded, KeySearch, KeyWait};
use crate::keys::{Algorithm, Key, KeyRing};
use crate::token::claims;
use crate::token::claims::{Dialect, RegisteredClaims, Verified};

pub(crate) use self::issuers::TrustedIssuers;
pub use self::trusted::{RequiredClaims, TokenType, TrustedIssuer};

/// Maximum length of an issued token, and the default maximum of an accepted one, in bytes.
pub(crate) const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Default leeway for clock differences.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(5 * 60);
/// Default limit of `exp - iat`.
const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Leeway for clock differences, and maximum lifetime of a token.
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
                format!(
                    "{} s is more than the {} s for which revocations are listed after the last \
                     access token has expired: synchronize the clocks, and lower `.with_leeway(…)`",
                    self.leeway.as_secs_f64(),
                    MAX_LEEWAY.as_secs()
                ),
            ));
        }
        if self.max_lifetime.is_zero() {
            return Err(ConfigError::new("max_lifetime", "must be longer than zero"));
        }
        Ok(())
    }
}

/// The reason why a token is not accepted, or not accepted yet.
#[derive(Debug)]
pub(crate) enum Unverified {
    /// The token is invalid, or the keys of its issuer are unavailable.
    Refused(AuthError),
    /// The key is missing, and a running fetch may return it.
    NeedsKey(KeyWait),
    /// The token is opaque: its claims are in the session store.
    NeedsClaims,
}

impl From<AuthError> for Unverified {
    fn from(error: AuthError) -> Self {
        Self::Refused(error)
    }
}

impl From<Cause> for Unverified {
    fn from(cause: Cause) -> Self {
        Self::Refused(AuthError::invalid_token(cause))
    }
}

/// The error after a wait: no token waits twice.
impl From<Unverified> for AuthError {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Refused(error) => error,
            Unverified::NeedsKey(_) | Unverified::NeedsClaims => {
                Self::unavailable(Cause::KeysUnavailable)
            }
        }
    }
}

/// The issuer, and the revision of its keys, under which a token was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VerifiedUnder {
    pub(crate) issuer: usize,
    pub(crate) revision: u64,
}

impl TrustedIssuers {
    /// Runs all steps on a token. With `fetched` it has waited for its key, and does not wait again.
    pub(crate) fn verify<T: DeserializeOwned>(
        &self,
        token: &str,
        now: Timestamp,
        times: &TimeRules,
        fetched: Option<FetchEnded>,
    ) -> Result<(Arc<Verified<T>>, VerifiedUnder), Unverified> {
        let parts = JwsParts::split(token, self.longest_token())?;
        let (number, issuer) = self.choose(parts.payload)?;
        issuer.check_length(token)?;
        // Read before the keys: see `CurrentRing`.
        let revision = issuer.keys.current().revision();
        let verified = issuer.verify(&parts, now, times, fetched)?;
        let verified_under = VerifiedUnder {
            issuer: number,
            revision,
        };
        Ok((verified, verified_under))
    }

    /// Whether the issuer still uses the keys under which a token was accepted, and may use them at
    /// `now`.
    pub(crate) fn is_current(&self, verified_under: VerifiedUnder, now: Timestamp) -> bool {
        self.get(verified_under.issuer).is_some_and(|issuer| {
            let keys = &issuer.keys;
            keys.current().revision() == verified_under.revision
                && keys.remote().is_none_or(|remote| remote.is_usable(now))
        })
    }

    /// Checks claims that come from the app's own store. The subject version is that of the
    /// session, which may have been carried over to a newer one.
    pub(crate) fn verify_kept<T: DeserializeOwned>(
        &self,
        payload: &str,
        subject_version: u64,
        now: Timestamp,
        times: &TimeRules,
    ) -> Result<Arc<Verified<T>>, Cause> {
        let (mut registered, private) = claims::parse::<T>(payload.as_bytes(), Dialect::Own)?;
        registered.subject_version = subject_version;
        let issuer = registered.issuer().and_then(|name| self.named(name));
        let issuer = issuer.ok_or(Cause::Issuer)?;
        issuer.judge(payload.as_bytes(), &mut registered, now, times)?;
        Ok(Verified::shared(registered, private))
    }
}

impl TrustedIssuer {
    fn verify<T: DeserializeOwned>(
        &self,
        parts: &JwsParts<'_>,
        now: Timestamp,
        times: &TimeRules,
        fetched: Option<FetchEnded>,
    ) -> Result<Arc<Verified<T>>, Unverified> {
        let mut room = [0; USUAL_BYTES];
        let payload = self.check_signature(parts, &mut room, now, fetched)?;
        let (mut registered, private) = claims::parse::<T>(&payload, self.dialect())?;
        self.judge(&payload, &mut registered, now, times)?;
        Ok(Verified::shared(registered, private))
    }

    /// Steps 3 and 4: returns the payload after its signature is verified.
    fn check_signature<'r>(
        &self,
        parts: &JwsParts<'_>,
        room: &'r mut [u8],
        now: Timestamp,
        fetched: Option<FetchEnded>,
    ) -> Result<Cow<'r, [u8]>, Unverified> {
        let usable = self
            .keys
            .remote()
            .is_none_or(|remote| remote.is_usable(now));
        let ring = self.keys.current().load();
        let missing = |wanted, cause| {
            let seen = SearchedRing {
                ring: &ring,
                usable,
            };
            Err(self.missing(&wanted, cause, parts, seen, fetched))
        };
        let (key, named) = match self.select_key(&ring, parts.header)? {
            // The choice would depend on their order, also after a fetch.
            Selected::Several(_) if usable => return Err(Cause::UnknownKey.into()),
            Selected::Several(wanted) => return missing(wanted, Cause::UnknownKey),
            Selected::Missing(wanted) => return missing(wanted, Cause::UnknownKey),
            Selected::Named(key) => (key, true),
            Selected::Only(key) => (key, false),
        };
        if !usable {
            return missing(Wanted::of(key), Cause::UnknownKey);
        }
        let signature = decode_into(room, parts.signature)?;
        if key.verify(parts.signed.as_bytes(), &signature).is_err() {
            // The token does not name the only key: another key may have replaced it.
            return if named {
                Err(Cause::Signature.into())
            } else {
                missing(Wanted::any(key.algorithm()), Cause::Signature)
            };
        }
        Ok(decode_into(room, parts.payload)?)
    }

    /// Step 5, after the issuer's own form of claims has been mapped.
    fn judge(
        &self,
        payload: &[u8],
        claims: &mut RegisteredClaims,
        now: Timestamp,
        times: &TimeRules,
    ) -> Result<(), Cause> {
        self.report_unread(claims);
        self.take_named(payload, claims)?;
        self.check_names(claims)?;
        self.map(payload, claims)?;
        self.check_required(claims)?;
        check_times(claims, now, times)
    }

    fn select_key<'k>(&self, ring: &'k KeyRing, segment: &str) -> Result<Selected<'k>, Cause> {
        if self.takes_own_header()
            && let Some(key) = ring.by_header_segment(segment)
        {
            return Ok(Selected::Named(key));
        }
        let header = Header::parse(&decode(segment)?)?;
        let algorithm = Algorithm::parse(&header.alg).ok_or(Cause::Algorithm)?;
        let certified = || ring.certified(&header.certificate, algorithm);
        let selected = match &header.kid {
            Some(kid) => match ring.named(kid, algorithm) {
                Some(key) => Some(Selected::Named(key)),
                // A key has one algorithm, regardless of the token's header.
                None if ring.get(kid).is_some() => return Err(Cause::Algorithm),
                None => None,
            },
            None => certified()
                .map(Selected::Named)
                .or_else(|| ring.only(algorithm).map(Selected::Only)),
        };
        self.check_type(&header)?;
        if let Some(selected) = selected {
            return Ok(selected);
        }
        let name = header.kid.or_else(|| header.certificate.into_text());
        let several = name.is_none() && ring.has(algorithm);
        let wanted = Wanted { name, algorithm };
        Ok(if several {
            Selected::Several(wanted)
        } else {
            Selected::Missing(wanted)
        })
    }

    /// The result if the key is missing, or present but expired: `cause` if it is certain that
    /// there is none. A fetch is only started for a token that this issuer could have signed.
    fn missing(
        &self,
        wanted: &Wanted,
        cause: Cause,
        parts: &JwsParts<'_>,
        seen: SearchedRing<'_>,
        fetched: Option<FetchEnded>,
    ) -> Unverified {
        let Some(remote) = self.keys.remote() else {
            return cause.into();
        };
        if !remote.allows(wanted.algorithm) {
            return Cause::Algorithm.into();
        }
        match peek::issuer(parts.payload) {
            Ok(name) if *name == *self.issuer => {}
            Ok(_) => return Cause::Issuer.into(),
            Err(cause) => return cause.into(),
        }
        let name = wanted.name.as_deref();
        let search = match fetched {
            None => remote.find(name, seen.ring, seen.usable),
            Some(ended) => remote.find_after_fetch(name, ended),
        };
        match search {
            KeySearch::Unknown => cause.into(),
            KeySearch::Unavailable => AuthError::keys_unavailable(remote.last_error()).into(),
            KeySearch::Wait(wait) => Unverified::NeedsKey(wait),
        }
    }
}

/// The ring that was searched for a key, and whether it was usable then.
struct SearchedRing<'r> {
    ring: &'r Arc<KeyRing>,
    usable: bool,
}

/// The result of selecting a token's key.
enum Selected<'k> {
    /// The key named by `kid` or by a certificate thumbprint.
    Named(&'k Key),
    /// The only matching key, for a token that names none.
    Only(&'k Key),
    /// Several matching keys, for a token that names none.
    Several(Wanted),
    Missing(Wanted),
}

/// The reference of a header to a missing key.
struct Wanted {
    /// The `kid`, or the thumbprint of the certificate.
    name: Option<String>,
    algorithm: Algorithm,
}

impl Wanted {
    fn of(key: &Key) -> Self {
        Self {
            name: Some(key.id().to_owned()),
            algorithm: key.algorithm(),
        }
    }

    fn any(algorithm: Algorithm) -> Self {
        Self {
            name: None,
            algorithm,
        }
    }
}

/// The checks of times in step 5, repeated on every use of a token.
pub(crate) fn check_times(
    claims: &RegisteredClaims,
    now: Timestamp,
    rules: &TimeRules,
) -> Result<(), Cause> {
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
struct JwsParts<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    /// Header, dot and payload: the signing input.
    signed: &'t str,
}

impl<'t> JwsParts<'t> {
    fn split(token: &'t str, longest: usize) -> Result<Self, Cause> {
        if token.len() > longest {
            return Err(Cause::TooLong);
        }
        let mut dots = memchr::memchr_iter(b'.', token.as_bytes());
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(Cause::Malformed);
        };
        let (signed, signature) = token.split_at_checked(second).ok_or(Cause::Malformed)?;
        let (header, payload) = signed.split_at_checked(first).ok_or(Cause::Malformed)?;
        let after_dot = |part: &'t str| part.get(1..).ok_or(Cause::Malformed);
        let (payload, signature) = (after_dot(payload)?, after_dot(signature)?);
        Ok(Self {
            header,
            payload,
            signature,
            signed,
        })
    }
}

/// Size of the stack buffer in bytes: more than the signature or the claims of most tokens.
const USUAL_BYTES: usize = 1024;

/// Decodes into `room`, or into a new allocation if the segment is longer.
fn decode_into<'r>(room: &'r mut [u8], segment: &str) -> Result<Cow<'r, [u8]>, Cause> {
    let length = base64_simd::URL_SAFE_NO_PAD.decoded_length(segment.as_bytes());
    if length.map_err(|_| Cause::Malformed)? > room.len() {
        return decode(segment).map(Cow::Owned);
    }
    match base64_simd::URL_SAFE_NO_PAD.decode(segment.as_bytes(), room.as_out()) {
        Ok(decoded) => Ok(Cow::Borrowed(decoded)),
        Err(_) => Err(Cause::Malformed),
    }
}

fn decode(segment: &str) -> Result<Vec<u8>, Cause> {
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(segment)
        .map_err(|_| Cause::Malformed)
}

#[cfg(test)]
mod corpora_tests;
