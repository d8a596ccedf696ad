//! The body of a refresh or logout request: JSON, or the form of an OAuth client (RFC 6749 §6).

use serde::Deserialize;
use serde::de::Error;

use crate::endpoints::oauth::form::{BadForm, Form};
use crate::endpoints::oauth_error::OAuthError;
use crate::http::request::RequestView;

/// Maximum body length in bytes. A refresh token has 75; the rest is for unknown members.
pub(crate) const MAX_BODY_BYTES: usize = 4096;

/// The parsed body: `{"refresh_token": "…"}`, or `grant_type=refresh_token&refresh_token=…`. Other
/// members are skipped; an empty body has no token.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct RefreshBody {
    #[serde(default)]
    pub(crate) refresh_token: Option<String>,
}

impl RefreshBody {
    /// Parses the body. The media type only tells a form from JSON. The protection of the route is
    /// the carrier of the token and the CSRF rule, not a header that a form can imitate.
    pub(crate) fn read(request: &dyn RequestView, body: &[u8]) -> Result<Self, OAuthError> {
        // Some clients label JSON as a form.
        if !body.trim_ascii_start().starts_with(b"{")
            && let Ok(form) = Form::read(request, body)
        {
            return Self::of_form(form);
        }
        Self::parse(body).map_err(|_| OAuthError::InvalidRequest)
    }

    fn of_form(mut form: Form) -> Result<Self, OAuthError> {
        let unread = |_: BadForm| OAuthError::InvalidRequest;
        let grant_type = form.take("grant_type").map_err(unread)?;
        if grant_type.is_some_and(|grant_type| *grant_type != "refresh_token") {
            return Err(OAuthError::UnsupportedGrantType);
        }
        let token = form.take("refresh_token").map_err(unread)?;
        Ok(Self {
            refresh_token: token.map(|token| token.to_string()),
        })
    }

    fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        // Serde would take the elements of an array as the members.
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

    struct Head(&'static str);

    impl RequestView for Head {
        fn method(&self) -> &str {
            "POST"
        }
        fn path(&self) -> &str {
            "/"
        }
        fn target(&self) -> &str {
            "/"
        }
        fn authority(&self) -> Option<&str> {
            None
        }
        fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
            if name == "content-type" {
                visit(self.0.as_bytes());
            }
        }
    }

    #[test]
    fn i12_a_form_is_read_as_oauth_clients_write_it() {
        let form = "application/x-www-form-urlencoded;charset=UTF-8";
        let read = |media: &'static str, body: &str| {
            RefreshBody::read(&Head(media), body.as_bytes()).map(|body| body.refresh_token)
        };
        let token = |text: &str| Ok(Some(text.to_owned()));
        for good in [
            "grant_type=refresh_token&refresh_token=a%2Bb&client_id=app",
            "client_id=app&refresh_token=a%2Bb&scope=a+b",
        ] {
            assert_eq!(read(form, good), token("a+b"), "{good}");
        }
        assert_eq!(read(form, r#"{"refresh_token":"t"}"#), token("t"));
        assert_eq!(
            read("application/json", r#"{"refresh_token":"t"}"#),
            token("t")
        );
        assert_eq!(read(form, ""), Ok(None));
        assert_eq!(read(form, "grant_type=refresh_token"), Ok(None));
        for other in ["authorization_code", "REFRESH_TOKEN"] {
            let body = format!("grant_type={other}&refresh_token=a");
            assert_eq!(read(form, &body), Err(OAuthError::UnsupportedGrantType));
        }
        for (media, bad) in [
            (form, "refresh_token=a&refresh_token=b"),
            (form, "refresh_token"),
            (form, "refresh_token=%"),
            ("application/json", "refresh_token=a"),
            ("text/plain", "refresh_token=a"),
        ] {
            assert_eq!(read(media, bad), Err(OAuthError::InvalidRequest), "{bad}");
        }
    }
}
