//! actix-web requests as core's `RequestView`.

use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN,
};
use actix_web::http::uri::{Authority, PathAndQuery};
use auth_core::adapter::{RequestView, request_authority};

/// The head of a request as a [`RequestView`], for direct calls of core.
/// [`AuthMiddleware`](crate::AuthMiddleware) uses the same type.
///
/// The authority is the URI's if it has one (HTTP/2, RFC 9113 §8.3.1; HTTP/1 absolute form, RFC
/// 9112 §3.2.2), else the `Host` field. If both are present and differ, if `Host` is repeated, or
/// if the URI has user information, the request has no authority: another hop may have used the
/// other one. `connection_info()` is not used: it trusts `Forwarded` and `X-Forwarded-Host`, which
/// any client can send.
///
/// ```
/// use actix_web::test::TestRequest;
/// use auth_actix::RequestHead;
/// use auth_core::adapter::RequestView;
///
/// let request = TestRequest::get()
///     .uri("/me?q=1")
///     .insert_header(("host", "api.example"))
///     .to_http_request();
/// let head = RequestHead::from(&request);
/// assert_eq!((head.path(), head.authority()), ("/me", Some("api.example")));
/// ```
#[derive(Clone, Copy)]
pub struct RequestHead<'r>(&'r actix_web::dev::RequestHead);

impl<'r> From<&'r HttpRequest> for RequestHead<'r> {
    fn from(request: &'r HttpRequest) -> Self {
        Self(request.head())
    }
}

impl<'r> From<&'r ServiceRequest> for RequestHead<'r> {
    fn from(request: &'r ServiceRequest) -> Self {
        Self(request.head())
    }
}

impl RequestView for RequestHead<'_> {
    fn method(&self) -> &str {
        self.0.method.as_str()
    }

    fn path(&self) -> &str {
        self.0.uri.path()
    }

    fn target(&self) -> &str {
        self.0
            .uri
            .path_and_query()
            .map_or("/", PathAndQuery::as_str)
    }

    fn authority(&self) -> Option<&str> {
        let hosts = self.0.headers.get_all(HOST).map(HeaderValue::as_bytes);
        request_authority(self.0.uri.authority().map(Authority::as_str), hosts)
    }

    fn visit_header<'v>(&'v self, name: &str, visit: &mut dyn FnMut(&'v [u8])) {
        let values = match known(name) {
            Some(known) => self.0.headers.get_all(known),
            None => self.0.headers.get_all(name),
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
            .field("method", &self.0.method)
            .field("path", &self.0.uri.path())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn authority(request: TestRequest) -> Option<String> {
        let request = request.to_srv_request();
        RequestHead::from(&request).authority().map(str::to_owned)
    }

    #[test]
    fn authority_is_the_target_s_or_the_one_host_field_s() {
        let host = |host: &'static str| TestRequest::get().insert_header(("host", host));
        assert_eq!(
            authority(host("a.example:8080")).as_deref(),
            Some("a.example:8080")
        );
        let both = host("A.example").uri("https://a.example/x");
        assert_eq!(authority(both).as_deref(), Some("a.example"));
        let target = TestRequest::with_uri("https://a.example/x");
        assert_eq!(authority(target).as_deref(), Some("a.example"));
    }

    #[test]
    fn authority_is_unknown_when_missing_repeated_conflicting_or_unreadable() {
        let host = |host: &'static str| TestRequest::get().insert_header(("host", host));
        for request in [
            TestRequest::get(),
            host("a.example").append_header(("host", "a.example")),
            host("a.example").append_header(("host", "b.example")),
            host("b.example").uri("https://a.example/x"),
            host("a.example:444").uri("https://a.example/x"),
            TestRequest::with_uri("https://user@a.example/x"),
            TestRequest::get().insert_header(("host", &b"\xff"[..])),
        ] {
            assert_eq!(authority(request), None);
        }
    }

    #[test]
    fn h21_the_target_is_as_it_was_sent() {
        for target in ["/", "/a/b?c=%2F", "//evil.test/?", "/%2e%2e/?'"] {
            let request = TestRequest::with_uri(target).to_srv_request();
            assert_eq!(RequestHead::from(&request).target(), target);
        }
        let absolute = TestRequest::with_uri("https://a.example/x?y").to_srv_request();
        assert_eq!(RequestHead::from(&absolute).target(), "/x?y");
    }

    #[test]
    fn forwarding_fields_are_not_believed() {
        let forwarded = TestRequest::get()
            .insert_header(("host", "a.example"))
            .insert_header(("x-forwarded-host", "b.example"))
            .insert_header(("forwarded", "host=c.example"));
        assert_eq!(authority(forwarded).as_deref(), Some("a.example"));
    }

    #[test]
    fn d21_debug_shows_no_header_and_no_query() {
        let request = TestRequest::with_uri("/me?token=S3CRET")
            .insert_header(("authorization", "Bearer S3CRET"))
            .to_srv_request();
        let shown = format!("{:?}", RequestHead::from(&request));
        assert!(
            shown.contains("/me") && !shown.contains("S3CRET"),
            "{shown}"
        );
    }

    #[test]
    fn b20_every_line_of_a_field_is_visited_in_order_and_raw() {
        let request = TestRequest::get()
            .append_header(("cookie", "a=1"))
            .append_header(("cookie", &b"b=\xff"[..]))
            .to_srv_request();
        let mut lines = Vec::new();
        RequestHead::from(&request).visit_header("cookie", &mut |line| lines.push(line.to_vec()));
        assert_eq!(lines, [b"a=1".to_vec(), b"b=\xff".to_vec()]);
    }
}
