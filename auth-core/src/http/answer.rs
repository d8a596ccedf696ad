//! What an adapter sends: plain values that know nothing of the table.

use std::fmt;

use crate::guard::verdict::ResponseEdits;

/// A response that an adapter sends as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    headers: Vec<HeaderLine>,
    body: Vec<u8>,
}

/// One header line of an [`Answer`] or of the edits to a response. The value is visible ASCII.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderLine {
    name: &'static str,
    value: String,
}

impl HeaderLine {
    pub(crate) fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self {
            name,
            value: value.into(),
        }
    }

    /// The field name, in lower case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The field value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What it takes on the wire, in bytes (HTTP/1.1: name, colon, space, value, line end).
    pub(crate) fn size(&self) -> usize {
        self.name.len() + self.value.len() + 4
    }

    /// Whether the line is added beside lines of the same name (`Set-Cookie`) instead of
    /// replacing them.
    #[must_use]
    pub fn is_appended(&self) -> bool {
        self.name == SET_COOKIE
    }
}

impl fmt::Debug for HeaderLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.is_appended() {
            "[redacted]"
        } else {
            self.value.as_str()
        };
        f.debug_struct("HeaderLine")
            .field("name", &self.name)
            .field("value", &value)
            .finish()
    }
}

pub(crate) const SET_COOKIE: &str = "set-cookie";
pub(crate) const CACHE_CONTROL: &str = "cache-control";
pub(crate) const NO_STORE: &str = "no-store";

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn no_store(self) -> Self {
        self.with_header(CACHE_CONTROL, NO_STORE)
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push(HeaderLine::new(name, value));
        self
    }

    pub(crate) fn with_body(mut self, body: Body) -> Self {
        self.headers
            .push(HeaderLine::new("content-type", body.content_type));
        self.body = body.bytes;
        self
    }

    pub(crate) fn with_lines(mut self, lines: Vec<HeaderLine>) -> Self {
        self.headers.extend(lines);
        self
    }

    /// Adds the cookies of the edits that stand beside its own; it is `no-store` anyway.
    pub(crate) fn with_edits(self, edits: ResponseEdits) -> Self {
        let own = self.headers.iter().filter(|line| line.is_appended());
        let lines = edits.finish(own.map(|line| line.value().as_bytes()));
        self.with_lines(lines.into_iter().filter(HeaderLine::is_appended).collect())
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The header lines. Every name occurs once, but for `set-cookie`.
    #[must_use]
    pub fn headers(&self) -> &[HeaderLine] {
        &self.headers
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Takes the body out.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}

/// A body and its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    content_type: &'static str,
    bytes: Vec<u8>,
}

impl Body {
    /// A body of the given media type.
    #[must_use]
    pub fn new(content_type: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            content_type,
            bytes: bytes.into(),
        }
    }
}
