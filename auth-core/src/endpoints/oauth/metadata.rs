//! The common parts of both metadata documents: URLs, members, and responses.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::base::config::ConfigError;
use crate::endpoints::reply;
use crate::http::header::CACHE_CONTROL;
use crate::http::origin::Origin;
use crate::http::request::RequestView;
use crate::http::response::Response;

/// Caching for an hour: metadata change with deployments only.
const CACHED: &str = "public, max-age=3600";

/// An `https` URL without user information, query and fragment, whose path needs no escaping; plain
/// `http` on loopback hosts, for development.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url<'u> {
    pub(crate) origin: &'u str,
    pub(crate) path: &'u str,
}

impl<'u> Url<'u> {
    pub(crate) fn parse(setting: &'static str, text: &'u str) -> Result<Self, ConfigError> {
        let problem = |problem: &str| Err(ConfigError::new(setting, problem));
        let host = text.find("://").map_or(0, |at| at + 3);
        let path = text.get(host..).and_then(|rest| rest.find('/'));
        let (origin, path) = text.split_at(path.map_or(text.len(), |at| host + at));
        let lower = origin.to_ascii_lowercase();
        if !Origin::parse(&lower).is_some_and(|origin| origin.is_secure()) {
            return problem(
                "must be an https URL without user information (http is allowed for loopback hosts \
                 only)",
            );
        }
        let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if !path.bytes().all(in_path) || path.contains("//") {
            return problem("must have a plain path, without query and fragment");
        }
        Ok(Self { origin, path })
    }

    /// The well-known path (RFC 8414 §3.1, RFC 9728 §3.1): the well-known part comes between host
    /// and path. A `/` at the end of the URL is dropped.
    pub(crate) fn well_known(&self, name: &str) -> String {
        let path = self.path.strip_suffix('/').unwrap_or(self.path);
        format!("/.well-known/{name}{path}")
    }
}

/// The members of a document, sorted by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetadataMembers(Map<String, Value>);

impl MetadataMembers {
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Adds strings to a list.
    pub(crate) fn extend<I>(&mut self, name: &str, texts: I)
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut texts = texts.into_iter().map(|text| Value::String(text.into()));
        // An empty list is left out.
        let Some(first) = texts.next() else { return };
        let list = self
            .0
            .entry(name)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(first);
            list.extend(texts);
        }
    }

    /// Adds a member of the app, which must not be set already.
    pub(crate) fn add(&mut self, name: &str, value: impl Serialize) -> Result<(), ConfigError> {
        if self.0.contains_key(name) {
            return Err(ConfigError::new("member", "is set already"));
        }
        let value = serde_json::to_value(value)
            .map_err(|_| ConfigError::new("member", "cannot be serialized as JSON"))?;
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    /// The response to GET and HEAD. For HEAD the adapter omits the body.
    pub(crate) fn respond(&self, request: &dyn RequestView) -> Response {
        if !matches!(request.method(), "GET" | "HEAD") {
            return reply::method_not_allowed("GET, HEAD");
        }
        let text = Value::Object(self.0.clone()).to_string();
        Response::new(200)
            .with_header(CACHE_CONTROL, CACHED)
            .with_content("application/json", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_with_a_plain_path_and_nothing_else() {
        for (url, well_known) in [
            ("https://api.example", "/.well-known/x"),
            ("https://api.example/", "/.well-known/x"),
            ("https://api.example:8443/v1/a", "/.well-known/x/v1/a"),
            ("http://localhost:3000/v1/", "/.well-known/x/v1"),
            ("http://[::1]:3000", "/.well-known/x"),
        ] {
            let parsed = Url::parse("url", url).unwrap();
            assert_eq!(parsed.well_known("x"), well_known, "{url}");
        }
        for url in [
            "",
            "api.example",
            "http://api.example",
            "http://localhost.evil.example",
            "ftp://api.example",
            "https://",
            "https://:443",
            "https://user@api.example",
            "https://api.example?x",
            "https://api.example/#x",
            "https://api.example/{x}",
            "https://api.example//x",
            "https://api.example/a b",
            "https://caf\u{e9}.example",
            "https://api.example\"",
        ] {
            assert!(Url::parse("url", url).is_err(), "{url}");
        }
    }
}
