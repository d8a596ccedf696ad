//! Access tokens for tests, with any defect.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::keys::Key;

/// Builder of access tokens for tests, valid or with any defect.
///
/// It starts with a token that an authenticator for `https://issuer.example` and
/// `https://api.example` accepts. Its `sub` is `user-1`, its `client_id` `c1` and its `jti` `j1`,
/// and it is valid for 10 minutes from `now`. Each method makes one change, without a check.
///
/// ```
/// use auth_core::testing::TokenForge;
/// use auth_core::{Key, Timestamp};
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let key = Key::hs256("k1", &[7; 32])?;
/// let now = Timestamp::from_secs(1_800_000_000);
/// let forge = TokenForge::new(&key, now);
///
/// let good = forge.mint();
/// let admin = forge.clone().claim("roles", ["admin"]).mint();
/// let for_ever = forge.clone().without_claim("exp").mint();
/// let two_subjects = forge.clone().member("sub", r#""admin""#).mint();
/// let none = forge.clone().header("alg", "none").unsigned().mint();
/// let altered = forge.clone().tampered(1).mint();
/// # for token in [&good, &admin, &for_ever, &two_subjects, &none, &altered] {
/// #     assert_eq!(token.split('.').count(), 3);
/// # }
/// # assert_ne!(good, altered);
/// # Ok(())
/// # }
/// ```
///
/// A public key's text used as an HMAC secret:
///
/// ```
/// # use auth_core::testing::TokenForge;
/// # use auth_core::{Algorithm, Key, Timestamp};
/// # let (key, _) = Key::generate("k1", Algorithm::Rs256).unwrap();
/// # let now = Timestamp::from_secs(1_800_000_000);
/// let public = key.public_jwk().unwrap_or_default();
/// let confused = TokenForge::new(&key, now).header("alg", "HS256").mac(public.as_bytes()).mint();
/// # assert!(confused.split('.').nth(2).is_some_and(|signature| signature.len() == 43));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenForge {
    header: JsonText,
    payload: JsonText,
    signature: Signature,
    tampered: Vec<usize>,
    more: Vec<String>,
}

/// The text of a JSON object, or any other text in its place.
#[derive(Clone, Debug)]
enum JsonText {
    /// Names and the JSON text of their values.
    Members(Vec<(String, String)>),
    Raw(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Signature {
    By(Key),
    Mac(hmac::Algorithm, Vec<u8>),
    Raw(Vec<u8>),
}

impl TokenForge {
    /// Starts with a token that is valid at `now` and signed by `key`.
    pub fn new(key: &Key, now: Timestamp) -> Self {
        let mut forge = Self {
            header: JsonText::Members(Vec::new()),
            payload: JsonText::Members(Vec::new()),
            signature: Signature::By(key.clone()),
            tampered: Vec::new(),
            more: Vec::new(),
        };
        forge.header.set("alg", key.algorithm().as_str());
        forge.header.set("typ", "at+jwt");
        forge.header.set("kid", key.id());
        forge
            .claim("iss", "https://issuer.example")
            .claim("aud", "https://api.example")
            .claim("sub", "user-1")
            .claim("client_id", "c1")
            .claim("iat", now.as_secs())
            .claim("exp", now.as_secs().saturating_add(600))
            .claim("jti", "j1")
    }

    /// Sets a claim, replacing any of the same name.
    pub fn claim(mut self, name: &str, value: impl Serialize) -> Self {
        self.payload.set(name, value);
        self
    }

    /// Removes a claim.
    pub fn without_claim(mut self, name: &str) -> Self {
        self.payload.remove(name);
        self
    }

    /// Appends `"name":value` to the payload as text, even if the name is already present. `name`
    /// may contain escapes, and `value` need not be JSON.
    pub fn member(mut self, name: &str, value: &str) -> Self {
        self.payload.append(name, value);
        self
    }

    /// Sets the bytes of the payload, ignoring all claims.
    pub fn payload_raw(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = JsonText::Raw(payload.into());
        self
    }

    /// Sets a header parameter, replacing any of the same name. The signing key stays.
    pub fn header(mut self, name: &str, value: impl Serialize) -> Self {
        self.header.set(name, value);
        self
    }

    /// Removes a header parameter.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Sets the bytes of the header, ignoring all parameters.
    pub fn header_raw(mut self, header: impl Into<Vec<u8>>) -> Self {
        self.header = JsonText::Raw(header.into());
        self
    }

    /// Signs with another key. The header stays.
    pub fn signed_by(mut self, key: &Key) -> Self {
        self.signature = Signature::By(key.clone());
        self
    }

    /// Signs with HMAC-SHA256 under any secret, even an empty one or the text of a public key. The
    /// header stays.
    pub fn mac(mut self, secret: &[u8]) -> Self {
        self.signature = Signature::Mac(hmac::HMAC_SHA256, secret.to_vec());
        self
    }

    /// Signs with HMAC-SHA384, like [`mac`](Self::mac).
    pub fn mac384(mut self, secret: &[u8]) -> Self {
        self.signature = Signature::Mac(hmac::HMAC_SHA384, secret.to_vec());
        self
    }

    /// Signs with HMAC-SHA512, like [`mac`](Self::mac).
    pub fn mac512(mut self, secret: &[u8]) -> Self {
        self.signature = Signature::Mac(hmac::HMAC_SHA512, secret.to_vec());
        self
    }

    /// Sets the bytes of the signature.
    pub fn signature_raw(mut self, signature: impl Into<Vec<u8>>) -> Self {
        self.signature = Signature::Raw(signature.into());
        self
    }

    /// Makes the signature empty.
    pub fn unsigned(self) -> Self {
        self.signature_raw([])
    }

    /// Flips one bit of the decoded segment 0, 1 or 2 after signing.
    pub fn tampered(mut self, segment: usize) -> Self {
        self.tampered.push(segment);
        self
    }

    /// Appends another segment unchanged, for example to make four or five.
    pub fn segment(mut self, text: &str) -> Self {
        self.more.push(text.to_owned());
        self
    }

    /// Signs and returns the token.
    ///
    /// # Panics
    /// If the key cannot sign, or does not sign immediately, like a remote key.
    #[must_use]
    pub fn mint(&self) -> String {
        let header = self.header.bytes();
        let payload = self.payload.bytes();
        let signed = [&header, &payload].map(|bytes| URL_SAFE_NO_PAD.encode_to_string(bytes));
        let signature = self.signature.of(signed.join(".").as_bytes());
        let mut segments = [header, payload, signature];
        for &at in &self.tampered {
            if let Some(last) = segments.get_mut(at).and_then(|segment| segment.last_mut()) {
                *last ^= 1;
            }
        }
        let mut token = segments
            .map(|bytes| URL_SAFE_NO_PAD.encode_to_string(&bytes))
            .join(".");
        for more in &self.more {
            token.push('.');
            token.push_str(more);
        }
        token
    }
}

impl JsonText {
    fn set(&mut self, name: &str, value: impl Serialize) {
        let value = json(&value);
        let Self::Members(members) = self else {
            return;
        };
        match members.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = value,
            None => members.push((name.to_owned(), value)),
        }
    }

    fn append(&mut self, name: &str, value: &str) {
        if let Self::Members(members) = self {
            members.push((name.to_owned(), value.to_owned()));
        }
    }

    fn remove(&mut self, name: &str) {
        if let Self::Members(members) = self {
            members.retain(|(own, _)| own != name);
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes.clone(),
            Self::Members(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(",")).into_bytes()
            }
        }
    }
}

#[allow(
    clippy::panic,
    reason = "a test wants to know at once, and there is no request to answer"
)]
fn json(value: &impl Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(json) => json,
        Err(error) => panic!("the value cannot be serialized as JSON: {error}"),
    }
}

impl Signature {
    #[allow(
        clippy::panic,
        reason = "a test wants to know at once, and there is no request to answer"
    )]
    fn of(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Raw(signature) => signature.clone(),
            Self::Mac(algorithm, secret) => {
                let key = hmac::Key::new(*algorithm, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Self::By(key) => {
                let signing = pin!(key.sign(message));
                match signing.poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Ok(signature)) => signature,
                    Poll::Ready(Err(error)) => panic!("{}: {error}", key.id()),
                    Poll::Pending => panic!("{} does not sign at once", key.id()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Cause;
    use crate::token::verify::{TimeRules, TrustedIssuer, TrustedIssuers, Unverified};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn key() -> Key {
        Key::hs256("k1", &[7; 32]).unwrap()
    }

    fn forge() -> TokenForge {
        TokenForge::new(&key(), NOW)
    }

    fn judge(forge: &TokenForge) -> Result<(), Cause> {
        let trusted = TrustedIssuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(key());
        let issuers = TrustedIssuers::new(trusted, Vec::new()).unwrap();
        let times = TimeRules::default();
        match issuers.verify::<serde_json::Value>(&forge.mint(), NOW, &times, None) {
            Ok(_) => Ok(()),
            Err(Unverified::Refused(error)) => Err(error.cause()),
            Err(failure) => panic!("{failure:?}"),
        }
    }

    #[test]
    fn what_it_begins_with_is_accepted() {
        assert_eq!(judge(&forge()), Ok(()));
        assert_eq!(judge(&forge().claim("admin", true)), Ok(()));
        assert_eq!(
            forge().mint().split('.').next(),
            Some(key().header_segment())
        );
    }

    #[test]
    fn a01_none_unsigned_and_foreign_algorithms_are_refused() {
        for name in ["none", "None", "NONE", "nOnE", "", "HS1", "hs256", "ES256"] {
            for forge in [forge(), forge().unsigned()] {
                let refused = judge(&forge.header("alg", name));
                assert_eq!(refused, Err(Cause::Algorithm), "{name}");
            }
        }
        assert_eq!(judge(&forge().unsigned()), Err(Cause::Signature));
        assert_eq!(judge(&forge().mac(b"")), Err(Cause::Signature));
        let other = Key::hs256("k1", &[8; 32]).unwrap();
        assert_eq!(judge(&forge().signed_by(&other)), Err(Cause::Signature));
    }

    #[test]
    fn a05_another_algorithm_of_the_family_is_refused_though_rightly_signed() {
        assert_eq!(judge(&forge().mac(&[7; 32])), Ok(()));
        let refused = judge(&forge().header("alg", "HS384").mac384(&[7; 32]));
        assert_eq!(refused, Err(Cause::Algorithm));
        let refused = judge(&forge().header("alg", "HS512").mac512(&[7; 32]));
        assert_eq!(refused, Err(Cause::Algorithm));
    }

    #[test]
    fn a24_altered_and_extended_tokens_are_refused() {
        for segment in 0..3 {
            assert!(judge(&forge().tampered(segment)).is_err(), "{segment}");
        }
        assert_eq!(judge(&forge().segment("")), Err(Cause::Malformed));
        let five = forge().segment("YQ").segment("YQ");
        assert_eq!(judge(&five), Err(Cause::Malformed));
    }

    #[test]
    fn a40_each_required_claim_is_missed() {
        for (name, cause) in [
            ("iss", Cause::Issuer),
            ("aud", Cause::MissingAudience),
            ("sub", Cause::MissingSubject),
            ("client_id", Cause::MissingClientId),
            ("iat", Cause::MissingIssuedAt),
            ("exp", Cause::MissingExpiry),
            ("jti", Cause::MissingTokenId),
        ] {
            assert_eq!(judge(&forge().without_claim(name)), Err(cause), "{name}");
        }
    }

    #[test]
    fn a21_a_second_member_is_refused() {
        for name in ["sub", r"s\u0075b", "exp", r"\u0065xp"] {
            let value = if name.ends_with('b') {
                "\"x\""
            } else {
                "1900000000"
            };
            let refused = judge(&forge().member(name, value));
            assert_eq!(refused, Err(Cause::Malformed), "{name}");
        }
    }

    #[test]
    fn a23_raw_payloads_are_taken_as_they_are() {
        let refused = judge(&forge().payload_raw(b"\xff\xfe{\0}\0".as_slice()));
        assert_eq!(refused, Err(Cause::Malformed));
        assert!(judge(&forge().header_raw(r#"{"alg":"HS256"}"#)).is_err());
    }
}
