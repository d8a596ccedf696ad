//! A response, before a framework has it.

use auth_core::{AccessToken, Authenticated, CookieError, MintError, Refusal};

use crate::Profile;

/// Status, header fields and body; each app turns it into its framework's response.
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
    /// A body of the given media type.
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

    /// A JSON body.
    #[must_use]
    pub fn json(value: &serde_json::Value) -> Self {
        Self::new(200, "application/json", value.to_string())
    }

    /// What the apps say about whoever asks.
    #[must_use]
    pub fn identity(user: &Authenticated<Profile>) -> Self {
        Self::json(&serde_json::json!({
            "subject": user.subject(),
            "name": user.name,
            "scope": user.scope().iter().collect::<Vec<_>>(),
            "carrier": format!("{:?}", user.carrier()).to_lowercase(),
            "issued_at": user.issued_at().map(|at| at.as_secs()),
            "expires_at": user.expires_at().as_secs(),
        }))
    }

    /// An access token in a body (RFC 6749 §5.1), for clients without cookies.
    #[must_use]
    pub fn token(token: &AccessToken) -> Self {
        Self::json(&serde_json::json!({
            "access_token": token.expose(),
            "token_type": "Bearer",
            "expires_in": token.expires_in().as_secs(),
        }))
    }

    /// What went wrong, as problem JSON (RFC 9457).
    #[must_use]
    pub fn problem(status: u16, title: &str) -> Self {
        let body = serde_json::json!({ "type": "about:blank", "title": title, "status": status });
        Self::new(status, "application/problem+json", body.to_string())
    }

    /// Shows another page next, by GET.
    #[must_use]
    pub fn see_other(location: &str) -> Self {
        let reply = Self::new(303, "text/plain; charset=utf-8", "");
        reply.with_header("location", location)
    }

    /// Nothing to say.
    #[must_use]
    pub fn no_content() -> Self {
        let headers = vec![("cache-control", "no-store".to_owned())];
        Self {
            status: 204,
            headers,
            body: Vec::new(),
        }
    }

    /// Adds a header field, beside those that are there.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What the library refuses: its own answer, as it is.
impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let (_, answer) = refusal.into_parts();
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

impl From<MintError> for Reply {
    fn from(error: MintError) -> Self {
        broken(&error)
    }
}

impl From<CookieError> for Reply {
    fn from(error: CookieError) -> Self {
        broken(&error)
    }
}

/// The reason is for the log, not for the client.
fn broken(error: &(dyn std::error::Error + 'static)) -> Reply {
    tracing::error!(error, "signing in failed");
    Reply::problem(500, "something went wrong here")
}
