//! What an answer and a token say, as a client reads them, and what an attacker makes of one.

use std::time::Duration;

use crate::fault::client::Reply;

/// How long the access token of an answer lives, as the answer says: it differs from token to token.
pub(super) fn lifetime(reply: &Reply) -> Duration {
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    Duration::from_secs(body["expires_in"].as_u64().unwrap_or(0))
}

/// The session of an access token, if it is this user's.
pub(super) fn session_of(token: &str, user: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let json = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&json).ok()?;
    let sid = claims["sid"].as_str().map(str::to_owned)?;
    (claims["sub"] == user).then_some(sid)
}

/// The token with another character somewhere.
pub(super) fn altered(token: &str, chance: u64) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let at = usize::try_from(chance).unwrap_or(0) % bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(at) {
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
    String::from_utf8(bytes).unwrap_or_default()
}
