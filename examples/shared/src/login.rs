//! What a login request says: an HTML form, or the same as JSON.

use std::fmt;

use serde::Deserialize;

use crate::reply::Reply;

/// How the client wants its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In cookies that script cannot read: for browsers.
    #[default]
    Cookie,
    /// In the response's body: for command-line tools, mobile apps and services.
    Body,
}

/// A login request.
#[derive(Deserialize)]
pub struct LoginRequest {
    /// Who.
    pub username: String,
    /// The proof.
    pub password: String,
    /// How the tokens should come back.
    #[serde(default)]
    pub transport: Transport,
    /// Whether it came from an HTML form, so that the answer is a page and no JSON.
    #[serde(skip)]
    pub is_form: bool,
}

impl LoginRequest {
    /// Reads the body, by its media type.
    ///
    /// # Errors
    /// The answer to send: 415 for another media type, 400 for a body that does not fit.
    pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, Reply> {
        let media_type = content_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        let bad = |_| Reply::problem(400, "username and password are needed");
        match media_type.trim() {
            "application/json" => {
                serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
            }
            "application/x-www-form-urlencoded" => serde_urlencoded::from_bytes(body)
                .map(|request| Self {
                    is_form: true,
                    ..request
                })
                .map_err(|error| bad(error.to_string())),
            _ => Err(Reply::problem(415, "send a form or JSON")),
        }
    }
}

/// Without the password.
impl fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("username", &self.username)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_json_say_the_same() {
        let form = LoginRequest::read(
            Some("application/x-www-form-urlencoded"),
            b"username=alice&password=a%26b",
        );
        let json = LoginRequest::read(
            Some("application/json; charset=utf-8"),
            br#"{"username":"alice","password":"a&b"}"#,
        );
        let (form, json) = (form.unwrap(), json.unwrap());
        assert_eq!((form.password.as_str(), form.is_form), ("a&b", true));
        assert_eq!((json.password.as_str(), json.is_form), ("a&b", false));
        assert_eq!(json.transport, Transport::Cookie);
        assert!(!format!("{json:?}").contains("a&b"));
    }

    #[test]
    fn other_bodies_are_refused() {
        let status = |content_type, body: &[u8]| {
            LoginRequest::read(content_type, body)
                .err()
                .map(|reply| reply.status)
        };
        assert_eq!(status(None, b"{}"), Some(415));
        assert_eq!(status(Some("text/plain"), b"{}"), Some(415));
        assert_eq!(status(Some("application/json"), b"{}"), Some(400));
        assert_eq!(status(Some("application/json"), b""), Some(400));
    }
}
