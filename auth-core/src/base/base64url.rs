//! base64url as JOSE writes it (RFC 7515 §2), read strictly.

use zeroize::Zeroizing;

/// Reads base64url without padding, exactly as it would be written: trailing bits are zero.
pub(crate) fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let codec = base64_simd::URL_SAFE_NO_PAD;
    let bytes = codec.decode_to_vec(text).ok()?;
    let again = Zeroizing::new(codec.encode_to_string(&bytes));
    (*again == text).then_some(bytes)
}
