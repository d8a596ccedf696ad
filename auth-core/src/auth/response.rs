//! [`AuthResponse`]: the response to a login or a logout.

use crate::base::id::SessionId;
use crate::http::response::Response;

/// The response to a finished login, with the tokens, or to a logout.
#[derive(Clone, Debug)]
#[must_use = "send it"]
pub struct AuthResponse {
    response: Response,
    session: Option<SessionId>,
    /// Whether a browser tab displays the response.
    shows: bool,
}

impl AuthResponse {
    pub(super) fn new(response: Response, session: Option<SessionId>, shows: bool) -> Self {
        Self {
            response,
            session,
            shows,
        }
    }

    /// Redirects a browser navigation to a page of this site, with the cookies (303). The response
    /// to a script, and to a client without cookies, does not change.
    ///
    /// `path` must be a path of this site. Any other text redirects to `/`.
    pub fn then_show(mut self, path: &str) -> Self {
        if self.shows {
            self.response = self.response.then_show(path);
        }
        self
    }

    /// The new session, after a login.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// The response to send.
    #[must_use]
    pub fn into_response(self) -> Response {
        self.response
    }
}
