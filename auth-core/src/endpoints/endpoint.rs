//! [`Endpoint`]: a path with complete responses.

use std::fmt;

use crate::base::config::ConfigError;
use crate::endpoints::reply;
use crate::guard::verdict::BoxFuture;
use crate::http::request::RequestView;
use crate::http::response::Response;

/// Default maximum length of a body that an [`Endpoint`] reads, in bytes: a token of maximum
/// length, escaped, and client credentials.
const MAX_BODY_BYTES: usize = 32 * 1024;

/// A path with complete responses: a session route, the public keys, health, an [OAuth
/// endpoint](crate::oauth).
///
/// Adapters register its path for every method, read the body up to
/// [`max_body_bytes`](Self::max_body_bytes), and send the response.
pub trait Endpoint: Send + Sync + fmt::Debug + 'static {
    /// The path of the endpoint. `{name}` stands for one segment.
    fn path(&self) -> &str;

    /// The methods of the endpoint, as in `Allow`. The response to any other is 405.
    fn methods(&self) -> &'static str;

    /// The response to a request for the path, with any method.
    fn respond(&self, request: &dyn RequestView, body: &[u8]) -> BoxFuture<Response>;

    /// The maximum length of a body, in bytes. Default: 32 KiB.
    fn max_body_bytes(&self) -> usize {
        MAX_BODY_BYTES
    }

    /// The response to a body over the limit.
    fn too_large(&self) -> Response {
        reply::too_large()
    }
}

/// Checks the plain path of an endpoint.
pub(crate) fn checked_path(path: &str) -> Result<Box<str>, ConfigError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    if path.starts_with('/') && !path.contains("//") && path.bytes().all(plain) {
        Ok(path.into())
    } else {
        Err(ConfigError::new(
            "path",
            format!("{path:?} is not a path such as /oauth/revoke"),
        ))
    }
}

impl dyn Endpoint {
    /// Whether a request for `path` is one for this endpoint, for adapters to servers without
    /// routing.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        let matches = self.path().split('/').all(|wanted| {
            segments.next().is_some_and(|segment| {
                let any = wanted.starts_with('{') && !segment.is_empty();
                any || segment == wanted
            })
        });
        matches && segments.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct At(&'static str);

    impl Endpoint for At {
        fn path(&self) -> &str {
            self.0
        }
        fn methods(&self) -> &'static str {
            "GET"
        }
        fn respond(&self, _: &dyn RequestView, _: &[u8]) -> BoxFuture<Response> {
            reply::ready(reply::done())
        }
    }

    #[test]
    fn a_path_matches_segment_by_segment() {
        let matches = |pattern, path| (&At(pattern) as &dyn Endpoint).matches(path);
        assert!(matches("/auth/refresh", "/auth/refresh"));
        assert!(!matches("/auth/refresh", "/auth/refresh/"));
        assert!(!matches("/auth/refresh", "/auth"));
        assert!(matches("/auth/sessions/{sid}", "/auth/sessions/abc"));
        for other in ["/auth/sessions", "/auth/sessions/", "/auth/sessions/a/b"] {
            assert!(!matches("/auth/sessions/{sid}", other), "{other}");
        }
    }
}
