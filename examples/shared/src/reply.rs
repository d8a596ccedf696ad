//! A response independent of the framework.

use auth_core::Authenticated;
use auth_core::adapter::Refusal;
use auth_core::session::{LoginError, Unavailable};

use crate::Profile;

/// Status, header fields and body. Each app converts it to its framework's response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header fields, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Creates a response with a body of the given media type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![
                ("content-type", content_type.to_owned()),
                ("cache-control", "no-store".to_owned()),
                ("x-content-type-options", "nosniff".to_owned()),
            ],
            body: body.into(),
        }
    }

    /// Creates a response with a JSON body.
    #[must_use]
    pub fn json(value: &serde_json::Value) -> Self {
        Self::new(200, "application/json", value.to_string())
    }

    /// Creates a response with the identity of the caller as JSON.
    #[must_use]
    pub fn identity(user: &Authenticated<Profile>) -> Self {
        Self::json(&serde_json::json!({
            "subject": user.subject(),
            "name": user.name,
            "scope": user.scope().iter().collect::<Vec<_>>(),
            "session": user.session_id(),
            "carrier": format!("{:?}", user.carrier()).to_lowercase(),
            "issued_at": user.issued_at().map(|at| at.as_secs()),
            "expires_at": user.expires_at().as_secs(),
        }))
    }

    /// Creates an error as problem JSON (RFC 9457).
    #[must_use]
    pub fn problem(status: u16, title: &str) -> Self {
        let body = serde_json::json!({ "type": "about:blank", "title": title, "status": status });
        Self::new(status, "application/problem+json", body.to_string())
    }

    /// Redirects to another page by GET (303).
    #[must_use]
    pub fn see_other(location: &str) -> Self {
        let reply = Self::new(303, "text/plain; charset=utf-8", "");
        reply.with_header("location", location)
    }

    /// Turns a success into a redirect to another page for a form; keeps its cookies.
    #[must_use]
    pub fn then_show(self, location: &str) -> Self {
        if !(200..300).contains(&self.status) {
            return self;
        }
        let cookies = self
            .headers
            .into_iter()
            .filter(|(name, _)| *name == "set-cookie");
        let mut reply = Self::see_other(location);
        reply.headers.extend(cookies);
        reply
    }

    /// Adds a header field to the existing ones.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Converts the library's response unchanged.
impl From<auth_core::adapter::Response> for Reply {
    fn from(answer: auth_core::adapter::Response) -> Self {
        let headers = answer.headers().iter();
        Self {
            status: answer.status(),
            headers: headers
                .map(|line| (line.name(), line.value().to_owned()))
                .collect(),
            body: answer.into_body(),
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        refusal.into_parts().1.into()
    }
}

impl From<LoginError> for Reply {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Unavailable(error) => error.into(),
            _ => Self::problem(400, "not a valid user name"),
        }
    }
}

impl From<Unavailable> for Reply {
    fn from(_: Unavailable) -> Self {
        Self::problem(503, "try again in a moment").with_header("retry-after", "1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_shown_a_page_only_when_it_succeeded() {
        let done = Reply::new(204, "text/plain", "").with_header("set-cookie", "a=1");
        let shown = done.then_show("/");
        assert_eq!(shown.status, 303);
        assert!(shown.headers.contains(&("set-cookie", "a=1".to_owned())));
        assert!(shown.headers.contains(&("location", "/".to_owned())));
        assert_eq!(Reply::problem(503, "").then_show("/").status, 503);
    }
}
