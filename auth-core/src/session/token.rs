//! The wire format of a refresh token.
//!
//! `rt1_` + base64url( key id 1 ‖ secret 32 ‖ generation 4, big-endian ‖ mac 16 )
//!
//! 1. `secret` is random, made at login, and the same for the whole session; the session id is a
//!    digest of it. The server never stores it.
//! 2. `mac = HMAC-SHA256(refresh key, "auth refresh v1" ‖ length of the issuer name, 4 bytes
//!    big-endian ‖ issuer name ‖ the 37 raw bytes)[..16]`, compared in constant time.
//! 3. Every token without exactly this form is refused in the same way. This includes a wrong
//!    prefix, length or mac, loose trailing bits in base64url, and an unknown key id. The store is
//!    not called.
//! 4. The successor of a token can be computed again from it, so that a retry gets the same one.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::{constant_time, hmac, rand};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::base::base64url::decode_base64url;
use crate::base::id::{Generation, SessionId};
use crate::base::opaque::opaque_debug;
use crate::keys::refresh::RefreshKeys;

const PREFIX: &str = "rt1_";
const MAC_LABEL: &[u8] = b"auth refresh v1";
const SECRET_LEN: usize = 32;
const MAC_LEN: usize = 16;

/// A refresh token for the client: a credential.
///
/// `Debug` does not show it, there is no `Display`, and its memory is zeroized on drop.
#[derive(Clone)]
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// The text of the token.
    ///
    /// # Security
    /// The text is a credential: send it to its client, do not store or log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

opaque_debug!(RefreshToken);

/// The secret of a session, held only while a request needs it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct SessionSecret([u8; SECRET_LEN]);

impl SessionSecret {
    /// Generates a secret. Returns `None` if the operating system returns no random bytes.
    pub(crate) fn random() -> Option<Self> {
        let mut secret = Self([0; SECRET_LEN]);
        rand::fill(&mut secret.0).ok()?;
        Some(secret)
    }

    pub(crate) fn session(&self) -> SessionId {
        SessionId::of_secret(&self.0)
    }

    pub(crate) fn bytes(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }
}

opaque_debug!(SessionSecret);

/// A refresh token that was provably issued here.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) session: SessionId,
    pub(crate) generation: Generation,
    pub(crate) secret: SessionSecret,
}

/// The codec for the tokens of one issuer.
pub(crate) struct RefreshCodec {
    issuer: Box<str>,
    keys: ArcSwap<RefreshKeys>,
}

impl RefreshCodec {
    pub(crate) fn new(issuer: &str, keys: RefreshKeys) -> Self {
        Self {
            issuer: issuer.into(),
            keys: ArcSwap::from_pointee(keys),
        }
    }

    /// Replaces the keys. Tokens of removed keys are refused from now on.
    pub(crate) fn replace_keys(&self, keys: RefreshKeys) {
        self.keys.store(Arc::new(keys));
    }

    /// Encodes the token of one generation of a session, with the signing key.
    pub(crate) fn issue(&self, secret: &SessionSecret, generation: Generation) -> RefreshToken {
        let number = generation.get().to_be_bytes();
        RefreshToken(self.seal(PREFIX, MAC_LABEL, &[&secret.0, &number]))
    }

    /// Decodes a presented token that was issued here. Returns `None` for every kind of invalid
    /// one.
    pub(crate) fn verify(&self, text: &str) -> Option<Presented> {
        let opened = self.open(PREFIX, MAC_LABEL, SECRET_LEN + 4, text)?;
        let (secret, generation) = opened.split_at_checked(SECRET_LEN)?;
        let secret = SessionSecret(secret.try_into().ok()?);
        Some(Presented {
            session: secret.session(),
            generation: Generation::new(u32::from_be_bytes(generation.try_into().ok()?)),
            secret,
        })
    }

    /// Builds `prefix` + base64url( key id ‖ parts ‖ mac ) with the signing key.
    pub(crate) fn seal(&self, prefix: &str, label: &[u8], parts: &[&[u8]]) -> Zeroizing<String> {
        let keys = self.keys.load();
        let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
        // Allocated at full size: growing would leave copies of the secret in memory.
        let mut raw = Zeroizing::new(Vec::with_capacity(length + MAC_LEN));
        raw.push(keys.signing().id());
        for part in parts {
            raw.extend_from_slice(part);
        }
        let tag = self.mac(keys.signing().hmac(), label, &raw);
        raw.extend(tag.as_ref().iter().take(MAC_LEN));
        let mut text = Zeroizing::new(String::with_capacity(text_len(prefix, length)));
        text.push_str(prefix);
        base64_simd::URL_SAFE_NO_PAD.encode_append(raw.as_slice(), &mut *text);
        text
    }

    /// Opens a text that [`RefreshCodec::seal`] built with this prefix and label: its parts,
    /// `length` bytes in total.
    pub(crate) fn open(
        &self,
        prefix: &str,
        label: &[u8],
        length: usize,
        text: &str,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let encoded = text.strip_prefix(prefix)?;
        // Bounds before work: a body of megabytes is not decoded.
        if text.len() != text_len(prefix, 1 + length) {
            return None;
        }
        let raw = Zeroizing::new(decode_base64url(encoded)?);
        let (body, mac) = raw.split_at_checked(1 + length)?;
        let (&key_id, parts) = body.split_first()?;
        let keys = self.keys.load();
        let tag = self.mac(keys.find(key_id)?.hmac(), label, body);
        constant_time::verify_slices_are_equal(tag.as_ref().get(..MAC_LEN)?, mac).ok()?;
        Some(Zeroizing::new(parts.to_vec()))
    }

    fn mac(&self, key: &hmac::Key, label: &[u8], body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(key);
        context.update(label);
        update_prefixed(&mut context, self.issuer.as_bytes());
        context.update(body);
        context.sign()
    }
}

/// The text length of a token whose body has `length` bytes before the mac.
fn text_len(prefix: &str, length: usize) -> usize {
    prefix.len() + base64_simd::URL_SAFE_NO_PAD.encoded_length(length + MAC_LEN)
}

impl fmt::Debug for RefreshCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshCodec")
            .field("issuer", &self.issuer)
            .field("keys", &self.keys.load())
            .finish()
    }
}

/// Hashes the length of `bytes`, then `bytes`, so that no two inputs are confused.
fn update_prefixed(context: &mut aws_lc_rs::hmac::Context, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    context.update(&length.to_be_bytes());
    context.update(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::refresh::RefreshKey;

    fn key(id: u8) -> RefreshKey {
        let mut secret = *b"0123456789abcdef0123456789abcdef";
        secret[0] = id;
        RefreshKey::new(id, &secret).unwrap()
    }

    fn codec(issuer: &str, id: u8) -> RefreshCodec {
        RefreshCodec::new(issuer, RefreshKeys::new(key(id)))
    }

    #[test]
    fn d01_a_token_is_what_the_protocol_says() {
        let codec = codec("https://issuer.example", 7);
        let secret = SessionSecret([5; 32]);
        let token = codec.issue(&secret, Generation::new(258));
        let raw = base64_simd::URL_SAFE_NO_PAD
            .decode_to_vec(token.expose().strip_prefix("rt1_").unwrap())
            .unwrap();
        assert_eq!((raw.len(), token.expose().len()), (53, 75));
        assert_eq!((raw[0], &raw[1..33]), (7, &[5; 32][..]));
        assert_eq!(raw[33..37], [0, 0, 1, 2]);
        let mut message = b"auth refresh v1\x00\x00\x00\x16https://issuer.example".to_vec();
        message.extend(&raw[..37]);
        assert_eq!(
            raw[37..],
            hmac::sign(key(7).hmac(), &message).as_ref()[..16]
        );
    }

    #[test]
    fn what_was_issued_is_recognised() {
        let codec = codec("i", 1);
        let secret = SessionSecret::random().unwrap();
        let token = codec.issue(&secret, Generation::new(4));
        let presented = codec.verify(token.expose()).unwrap();
        assert_eq!(presented.session, secret.session());
        assert_eq!(presented.generation, Generation::new(4));
        assert_eq!(presented.secret.0, secret.0);
    }

    #[test]
    fn d14_tokens_of_another_issuer_or_key_are_refused() {
        let token = codec("https://a.example", 1).issue(&SessionSecret([1; 32]), Generation::FIRST);
        assert!(
            codec("https://b.example", 1)
                .verify(token.expose())
                .is_none()
        );
        assert!(
            codec("https://a.example", 2)
                .verify(token.expose())
                .is_none()
        );
    }

    #[test]
    fn rule_15_a_key_verifies_before_and_after_it_signs() {
        let node = codec("i", 1);
        let old = node.issue(&SessionSecret([1; 32]), Generation::FIRST);
        let new = codec("i", 2).issue(&SessionSecret([1; 32]), Generation::FIRST);
        assert!(node.verify(new.expose()).is_none());
        node.replace_keys(RefreshKeys::new(key(1)).with_verify_only(key(2)).unwrap());
        assert!(node.verify(new.expose()).is_some());
        node.replace_keys(RefreshKeys::new(key(2)).with_verify_only(key(1)).unwrap());
        assert!(node.verify(old.expose()).is_some());
        let successor = node.issue(&SessionSecret([1; 32]), Generation::new(1));
        assert!(codec("i", 2).verify(successor.expose()).is_some());
    }

    #[test]
    fn a35_every_bit_of_the_mac_counts() {
        let codec = codec("i", 1);
        let token = codec.issue(&SessionSecret([1; 32]), Generation::FIRST);
        let raw = decode_base64url(&token.expose()[4..]).unwrap();
        for bit in 0..8 * MAC_LEN {
            let mut forged = raw.clone();
            forged[37 + bit / 8] ^= 1 << (bit % 8);
            let text = base64_simd::URL_SAFE_NO_PAD.encode_to_string(&forged);
            assert!(codec.verify(&format!("rt1_{text}")).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn base64url_is_strict() {
        let codec = codec("i", 1);
        let token = codec.issue(&SessionSecret([1; 32]), Generation::FIRST);
        let text = token.expose();
        // 53 bytes leave 2 unused bits in the last character.
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = *text.as_bytes().last().unwrap();
        let value = alphabet.iter().position(|&c| c == last).unwrap();
        for loose in 1..4 {
            let other = alphabet[value ^ loose] as char;
            let forged = format!("{}{other}", &text[..text.len() - 1]);
            assert!(codec.verify(&forged).is_none());
        }
        for bad in [
            String::new(),
            "rt1_".into(),
            text.replace("rt1_", "RT1_"),
            text.replace("rt1_", "rt2_"),
            format!("{text}="),
            format!(" {text}"),
            format!("{text}A"),
            format!("rt1_{}", "A".repeat(1 << 20)),
        ] {
            assert!(codec.verify(&bad).is_none());
        }
    }

    #[test]
    fn d21_debug_shows_no_secret() {
        let codec = codec("i", 1);
        let token = codec.issue(&SessionSecret([1; 32]), Generation::FIRST);
        let presented = codec.verify(token.expose()).unwrap();
        let shown = format!("{token:?} {presented:?} {codec:?}");
        assert!(!shown.contains(&token.expose()[8..30]), "{shown}");
        assert!(!shown.contains("1, 1, 1"), "{shown}");
    }

    proptest! {
        #[test]
        fn every_one_character_change_is_refused(at in 0usize..75, to in "[A-Za-z0-9_-]") {
            let codec = codec("i", 1);
            let token = codec.issue(&SessionSecret([0x5a; 32]), Generation::new(77));
            let mut text = token.expose().to_owned();
            text.replace_range(at..=at, &to);
            prop_assume!(text != token.expose());
            prop_assert!(codec.verify(&text).is_none());
        }

        #[test]
        fn arbitrary_text_is_refused(text in "(rt1_)?\\PC{0,100}") {
            prop_assert!(codec("i", 1).verify(&text).is_none());
        }
    }
}
