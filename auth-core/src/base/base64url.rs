//! Strict base64url decoding, as JOSE uses it (RFC 7515 §2).

use zeroize::Zeroizing;

/// Decodes base64url without padding. Only the canonical encoding is accepted: trailing bits are
/// zero.
pub(crate) fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let codec = base64_simd::URL_SAFE_NO_PAD;
    let bytes = codec.decode_to_vec(text).ok()?;
    let again = Zeroizing::new(codec.encode_to_string(&bytes));
    (*again == text).then_some(bytes)
}
