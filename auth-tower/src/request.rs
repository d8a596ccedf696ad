//! [`http`] requests as core's `RequestView`.

use auth_core::adapter::{RequestView, request_authority};
use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN,
};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method, Request, Uri};

/// The head of a request as a [`RequestView`], for direct calls of core.
/// [`AuthLayer`](crate::AuthLayer) uses the same type.
///
/// The authority is the URI's if it has one (HTTP/2, RFC 9113 §8.3.1; HTTP/1 absolute form, RFC
/// 9112 §3.2.2), else the `Host` field. If both are present and differ, if `Host` is repeated, or
/// if the URI has user information, the request has no authority: another hop may have used the
/// other one.
///
/// ```
/// use auth_core::adapter::RequestView;
/// use auth_tower::RequestHead;
/// use http::Request;
///
/// let request = Request::get("/me?q=1").header("host", "api.example").body(()).unwrap();
/// let head = RequestHead::from(&request);
/// assert_eq!((head.path(), head.authority()), ("/me", Some("api.example")));
/// ```
#[derive(Clone, Copy)]
pub struct RequestHead<'r> {
    method: &'r Method,
    uri: &'r Uri,
    headers: &'r HeaderMap,
    #[cfg(feature = "axum")]
    extensions: &'r http::Extensions,
}

impl<'r, B> From<&'r Request<B>> for RequestHead<'r> {
    fn from(request: &'r Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            #[cfg(feature = "axum")]
            extensions: request.extensions(),
        }
    }
}

impl<'r> From<&'r Parts> for RequestHead<'r> {
    fn from(parts: &'r Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            #[cfg(feature = "axum")]
            extensions: &parts.extensions,
        }
    }
}

impl RequestHead<'_> {
    /// axum keeps the original URI if a nested router strips a prefix.
    fn original_uri(&self) -> &Uri {
        #[cfg(feature = "axum")]
        if let Some(axum::extract::OriginalUri(uri)) = self.extensions.get() {
            return uri;
        }
        self.uri
    }
}

impl RequestView for RequestHead<'_> {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn path(&self) -> &str {
        self.uri.path()
    }

    fn target(&self) -> &str {
        self.original_uri()
            .path_and_query()
            .map_or("/", PathAndQuery::as_str)
    }

    fn authority(&self) -> Option<&str> {
        let hosts = self.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
        request_authority(self.uri.authority().map(Authority::as_str), hosts)
    }

    fn visit_header<'v>(&'v self, name: &str, visit: &mut dyn FnMut(&'v [u8])) {
        let values = match known(name) {
            Some(known) => self.headers.get_all(known),
            None => self.headers.get_all(name),
        };
        for value in values {
            visit(value.as_bytes());
        }
    }
}

/// The header names that core reads on the usual path, which need no parsing.
fn known(name: &str) -> Option<&'static HeaderName> {
    match name {
        "authorization" => Some(&AUTHORIZATION),
        "cookie" => Some(&COOKIE),
        "origin" => Some(&ORIGIN),
        "access-control-request-method" => Some(&ACCESS_CONTROL_REQUEST_METHOD),
        _ => None,
    }
}

/// Prints only method and path: a header field or the query may hold a credential.
impl std::fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(uri: &str, hosts: &[&str]) -> Option<String> {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let request = request.body(()).unwrap();
        RequestHead::from(&request).authority().map(str::to_owned)
    }

    #[test]
    fn the_authority_is_believed_only_where_every_hop_agrees() {
        let at = |text: &str| Some(text.to_owned());
        assert_eq!(
            authority("/", &["api.example:8443"]),
            at("api.example:8443")
        );
        assert_eq!(authority("https://api.example/", &[]), at("api.example"));
        assert_eq!(
            authority("https://api.example/", &["API.example"]),
            at("api.example")
        );
        assert_eq!(authority("https://api.example/", &["evil.example"]), None);
        assert_eq!(
            authority("https://api.example/", &["api.example:444"]),
            None
        );
        assert_eq!(authority("https://user@api.example/", &[]), None);
        assert_eq!(authority("/", &["a.example", "a.example"]), None);
        assert_eq!(
            authority("https://a.example/", &["a.example", "a.example"]),
            None
        );
        assert_eq!(authority("/", &["caf\u{e9}"]), None);
        assert_eq!(authority("/", &[]), None);
    }

    #[test]
    fn h21_the_target_is_as_it_was_sent() {
        for target in ["/", "/a/b?c=%2F", "//evil.test/?", "/%2e%2e/?'"] {
            let request = Request::get(target).body(()).unwrap();
            assert_eq!(RequestHead::from(&request).target(), target);
        }
        let absolute = Request::get("https://a.example/x?y").body(()).unwrap();
        assert_eq!(RequestHead::from(&absolute).target(), "/x?y");
    }

    #[test]
    fn forwarding_fields_do_not_name_the_authority() {
        let request = Request::get("/")
            .header("x-forwarded-host", "evil.example")
            .header("forwarded", "host=evil.example")
            .body(())
            .unwrap();
        assert_eq!(RequestHead::from(&request).authority(), None);
    }

    #[test]
    fn b20_every_line_of_a_field_is_visited_in_order() {
        for name in [
            "cookie",
            "authorization",
            "origin",
            "sec-fetch-site",
            "x-own",
        ] {
            let request = Request::get("/")
                .header(name, "a")
                .header(name, "b")
                .body(())
                .unwrap();
            let mut seen = Vec::new();
            RequestHead::from(&request).visit_header(name, &mut |value| seen.push(value.to_vec()));
            assert_eq!(seen, [b"a", b"b"], "{name}");
        }
    }

    #[test]
    fn d21_debug_shows_no_header_and_no_query() {
        let request = Request::get("/me?token=S3CRET")
            .header("authorization", "Bearer S3CRET")
            .body(())
            .unwrap();
        let shown = format!("{:?}", RequestHead::from(&request));
        assert!(
            shown.contains("/me") && !shown.contains("S3CRET"),
            "{shown}"
        );
    }
}
