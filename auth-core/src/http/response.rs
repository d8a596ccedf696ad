//! [`Response`]: the complete response that an adapter sends, as plain values.

use crate::http::edits::ResponseEdits;
use crate::http::header::{CACHE_CONTROL, HeaderLine, NO_STORE, uncached};
use crate::http::site_path::is_site_path;

pub(crate) const CLEAR_SITE_DATA: &str = "clear-site-data";

/// A complete response, sent by an adapter without changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<HeaderLine>,
    body: Vec<u8>,
}

impl Response {
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

    pub(crate) fn with_body(self, body: ErrorBody) -> Self {
        self.with_content(body.content_type, body.bytes)
    }

    pub(crate) fn with_content(self, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let mut response = self.with_header("content-type", media_type);
        response.body = body.into();
        response
    }

    /// Adds cookie lines.
    pub(crate) fn with_cookies(mut self, lines: Vec<HeaderLine>) -> Self {
        if lines.is_empty() {
            return self;
        }
        self.headers.extend(lines);
        self.uncached()
    }

    /// Marks a response that sets or deletes tokens as uncacheable.
    pub(crate) fn uncached(mut self) -> Self {
        for line in uncached() {
            if self.headers.iter().all(|own| own.name != line.name) {
                self.headers.push(line);
            }
        }
        self
    }

    /// Adds the cookies of `edits` to those of the response, which is `no-store` already.
    pub(crate) fn with_edits(self, edits: ResponseEdits) -> Self {
        let own = self.headers.iter().filter(|line| line.is_appended());
        let lines = edits.finish(own.map(|line| line.value().as_bytes()), true);
        self.with_cookies(lines.into_iter().filter(HeaderLine::is_appended).collect())
    }

    /// Turns it into a redirect to a page of this site, by GET (303), and keeps its cookies. A text
    /// that is no path of this site redirects to `/`: it may come from the request.
    pub(crate) fn then_show(self, path: &str) -> Self {
        let path = if is_site_path(path) { path } else { "/" };
        let mut kept = Self::new(303).with_header("location", path).no_store();
        let (cookies, others): (Vec<_>, Vec<_>) =
            self.headers.into_iter().partition(HeaderLine::is_appended);
        let site_data = others
            .into_iter()
            .filter(|line| line.name == CLEAR_SITE_DATA);
        kept.headers.extend(site_data);
        kept.with_cookies(cookies)
    }

    /// The HTTP status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The header lines. Every name occurs once, except `set-cookie`.
    #[must_use]
    pub fn headers(&self) -> &[HeaderLine] {
        &self.headers
    }

    /// The body, with its media type, if there is one.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Removes the body and returns it.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}

/// A response body and its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    content_type: &'static str,
    bytes: Vec<u8>,
}

impl ErrorBody {
    /// Creates a body with the given media type.
    #[must_use]
    pub fn new(content_type: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            content_type,
            bytes: bytes.into(),
        }
    }
}

/// Builds a problem JSON body (RFC 9457). `detail` is a fixed text.
pub(crate) fn problem_body(status: u16, title: &str, detail: &str) -> ErrorBody {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
    });
    ErrorBody::new("application/problem+json", body.to_string())
}
