//! [`LoginAnswer`]: the response to a finished login.

use crate::base::id::SessionId;
use crate::http::answer::Response;

/// The response to a finished login, with the tokens.
#[derive(Clone, Debug)]
#[must_use = "send it"]
pub struct LoginAnswer {
    response: Response,
    session: SessionId,
    /// Whether a browser shows the response in a tab.
    shows: bool,
}

impl LoginAnswer {
    pub(super) fn new(response: Response, session: SessionId, shows: bool) -> Self {
        Self {
            response,
            session,
            shows,
        }
    }

    /// Leads a browser that navigates to a page of this site, with its cookies: 303. A script, and
    /// a client without cookies, gets the tokens as without it.
    ///
    /// `path` must be a path of this site; another text leads to `/`.
    pub fn then_show(mut self, path: &str) -> Self {
        if self.shows {
            self.response = self.response.then_show(path);
        }
        self
    }

    /// The new session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The response to send.
    #[must_use]
    pub fn into_response(self) -> Response {
        self.response
    }
}
