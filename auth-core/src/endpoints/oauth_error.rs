//! OAuth error responses (RFC 6749 §5.2), the second half of the table of refusals.

use crate::http::response::Response;

/// The error of a request to a token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OAuthError {
    /// No token, two tokens, or an unreadable request.
    InvalidRequest,
    /// An unknown client.
    InvalidClient,
    /// An invalid token, or one of another client.
    InvalidGrant,
    /// A grant type other than that of the refresh token.
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
        let response = Response::new(status).no_store();
        response.with_content("application/json", body)
    }

    /// The response names the scheme if the client used the header (RFC 6749 §5.2).
    pub(crate) fn invalid_client(tried_header: bool) -> Response {
        let response = Self::InvalidClient.response();
        if tried_header {
            response.with_header("www-authenticate", "Basic realm=\"oauth\"")
        } else {
            response
        }
    }
}
