//! [`HeaderLine`]: a header of a response.

use std::fmt;

/// One header line of an [`Response`](crate::Response) or of the edits to a response. The value is visible ASCII.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderLine {
    pub(crate) name: &'static str,
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

/// The lines that keep an answer with tokens out of every cache: also out of those that obey
/// another field first (RFC 9213 §2, Edge Architecture), and those of HTTP/1.0 (RFC 6749 §5.1).
pub(crate) fn uncached() -> impl Iterator<Item = HeaderLine> {
    [
        (CACHE_CONTROL, NO_STORE),
        ("cdn-cache-control", NO_STORE),
        ("surrogate-control", NO_STORE),
        ("pragma", "no-cache"),
    ]
    .into_iter()
    .map(|(name, value)| HeaderLine::new(name, value))
}

/// What an answer to a request with a cookie says if the app says nothing: it is for one person.
pub(crate) fn private() -> HeaderLine {
    HeaderLine::new(CACHE_CONTROL, "private")
}
