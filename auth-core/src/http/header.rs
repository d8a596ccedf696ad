//! [`HeaderLine`]: one header line of a response.

use std::fmt;

/// One header line of a [`Response`](crate::adapter::Response), or of the edits to one. The value is visible
/// ASCII.
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

    /// The field value, in visible ASCII.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Size on the wire in bytes (HTTP/1.1: name, colon, space, value, line end).
    pub(crate) fn size(&self) -> usize {
        self.name.len() + self.value.len() + 4
    }

    /// Whether the line is appended to existing lines of the same name (`Set-Cookie`) instead of
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

/// Header lines that keep a response with tokens out of every cache. They cover caches that give
/// another field precedence (RFC 9213 §2, Edge Architecture) and HTTP/1.0 caches (RFC 6749 §5.1).
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

/// `Cache-Control: private`, for responses to requests with a cookie when the app sets none.
pub(crate) fn private() -> HeaderLine {
    HeaderLine::new(CACHE_CONTROL, "private")
}
