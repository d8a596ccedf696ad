//! The second half of the table: what clients of token endpoints are told (RFC 6749 §5.2).

use crate::http::answer::{Body, Response};

/// What a client of a token endpoint did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OAuthError {
    /// No token, two tokens, or something that cannot be read.
    InvalidRequest,
    /// Not a client that the app knows.
    InvalidClient,
    /// Whatever is wrong with the token, or it is another client's.
    InvalidGrant,
    /// Another grant than that of the refresh token.
    UnsupportedGrantType,
    /// A token that cannot be revoked by itself.
    UnsupportedTokenType,
}

impl OAuthError {
    fn wire(self) -> (u16, &'static str) {
        match self {
            Self::InvalidRequest => (400, "invalid_request"),
            Self::InvalidClient => (401, "invalid_client"),
            Self::InvalidGrant => (400, "invalid_grant"),
            Self::UnsupportedGrantType => (400, "unsupported_grant_type"),
            Self::UnsupportedTokenType => (400, "unsupported_token_type"),
        }
    }

    pub(crate) fn response(self) -> Response {
        let (status, code) = self.wire();
        let body = serde_json::json!({ "error": code }).to_string();
        let answer = Response::new(status).no_store();
        answer.with_body(Body::new("application/json", body))
    }

    /// RFC 6749 §5.2: whoever tried the header is told its scheme.
    pub(crate) fn invalid_client(tried_header: bool) -> Response {
        let answer = Self::InvalidClient.response();
        if tried_header {
            answer.with_header("www-authenticate", "Basic realm=\"oauth\"")
        } else {
            answer
        }
    }
}
