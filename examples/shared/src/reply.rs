//! A response, before a framework has it.

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
