//! Identifiers of a session and of its refresh tokens: [`SessionId`] and [`Generation`].

use std::fmt;

use aws_lc_rs::digest;
use base64_simd::Out;

const SID_LABEL: &[u8] = b"auth sid";
const SID_LEN: usize = 16;
const TEXT_LEN: usize = 22;

/// The public identifier of a session (`sid`). Safe to store, to log and to put into access tokens.
///
/// It is a digest of the secret inside the session's refresh token: knowledge of it proves nothing
/// and is no credential. Its text form has 22 characters of base64url.
///
/// ```
/// use auth_core::session::SessionId;
///
/// let sid = SessionId::from_bytes([7; 16]);
/// assert_eq!(SessionId::parse(&sid.to_string()), Some(sid));
/// assert_eq!(SessionId::parse("not a session"), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; SID_LEN]);

impl SessionId {
    /// Computes `SHA-256("auth sid" ‖ secret)[..16]`.
    pub(crate) fn of_secret(secret: &[u8; 32]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(SID_LABEL);
        context.update(secret);
        let mut sid = [0; SID_LEN];
        for (to, from) in sid.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(sid)
    }

    /// Creates an identifier from the 16 bytes that a store kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SID_LEN]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the identifier, for stores that keep bytes instead of text.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SID_LEN] {
        &self.0
    }

    /// Parses the text form. Returns `None` unless it is exactly the output of [`fmt::Display`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Does not allocate: every request parses one while the revocation list has entries.
        if text.len() != TEXT_LEN {
            return None;
        }
        let codec = base64_simd::URL_SAFE_NO_PAD;
        let (mut bytes, mut written) = ([0; SID_LEN], [0; TEXT_LEN]);
        let decoded = codec.decode(text.as_bytes(), Out::from_slice(&mut bytes));
        // Trailing bits must be zero.
        let again = codec.encode(decoded.ok()?, Out::from_slice(&mut written));
        (again == text.as_bytes()).then_some(Self(bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64_simd::URL_SAFE_NO_PAD.encode_to_string(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// The number of rotations of a session's refresh token: 0 at login, plus one per rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(u32);

impl Generation {
    /// The generation of a new login.
    pub const FIRST: Self = Self(0);
    /// The highest generation. A session that reaches it has ended.
    pub const LAST: Self = Self(u32::MAX);

    /// Creates the generation with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number of the generation.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The next generation. [`Generation::LAST`] returns itself.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The previous generation. [`Generation::FIRST`] returns itself.
    pub(crate) const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sid_is_the_labelled_digest_of_the_secret() {
        let mut input = b"auth sid".to_vec();
        input.extend([9; 32]);
        let digest = digest::digest(&digest::SHA256, &input);
        assert_eq!(
            SessionId::of_secret(&[9; 32]).as_bytes(),
            &digest.as_ref()[..16]
        );
    }

    #[test]
    fn only_the_canonical_text_is_a_sid() {
        let text = SessionId::from_bytes([0xff; 16]).to_string();
        assert_eq!(text.len(), 22);
        let loose = format!("{}x", &text[..21]);
        for bad in ["", "====", &text[..21], &format!("{text}A"), &loose] {
            assert_eq!(SessionId::parse(bad), None, "{bad}");
        }
    }
}
