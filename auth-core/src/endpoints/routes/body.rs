//! The one body that the routes read.

use serde::Deserialize;
use serde::de::Error;

/// A refresh token has 75 bytes; the rest is room for members of others' making.
pub(crate) const MAX_BODY_BYTES: usize = 4096;

/// `{"refresh_token": "…"}`. Other members are skipped; no body at all says nothing.
#[derive(Default, Deserialize)]
pub(crate) struct RefreshBody {
    #[serde(default)]
    pub(crate) refresh_token: Option<String>,
}

impl RefreshBody {
    /// The media type is not looked at: what protects this route is where the token comes from,
    /// and the proof of the site, not a header that a form can imitate.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        // Of an array, serde would take the elements for the members.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(serde_json::Error::custom("no object"));
        }
        serde_json::from_slice(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_nothing_or_an_object() {
        assert!(RefreshBody::parse(b"").unwrap().refresh_token.is_none());
        assert!(RefreshBody::parse(b"{}").unwrap().refresh_token.is_none());
        assert!(
            RefreshBody::parse(br#"{"refresh_token":null}"#)
                .unwrap()
                .refresh_token
                .is_none()
        );
        let body = RefreshBody::parse(br#"{"x":1,"refresh_token":"t"}"#).unwrap();
        assert_eq!(body.refresh_token.as_deref(), Some("t"));
        for bad in [
            &b"[]x"[..],
            b"[]",
            br#"["t"]"#,
            b"null",
            br#"{"refresh_token":1}"#,
            br#"{"refresh_token":"a","refresh_token":"b"}"#,
            b"refresh_token=a",
        ] {
            assert!(RefreshBody::parse(bad).is_err(), "{bad:?}");
        }
    }
}
