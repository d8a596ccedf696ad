//! [`JwksEndpoint`]: the public keys, for verifiers.
//!
//! 1. The document contains public keys only: never HMAC secrets or private members.
//! 2. `Cache-Control: max-age` is the time that the schedule assumes; `ETag` and `If-None-Match`
//!    (RFC 9110 §13.1.2) save the body.
//! 3. A node that has not read the shared keys for too long responds with 503, because a key might
//!    be missing from its document. Verifiers then keep their keys and retry.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;

use crate::base::config::ConfigError;
use crate::base::keep_alive::KeepAlive;
use crate::endpoints::endpoint::{Endpoint, checked_path};
use crate::endpoints::reply;
use crate::guard::refusal::RETRY_AFTER_SECS;
use crate::guard::verdict::BoxFuture;
use crate::http::header::CACHE_CONTROL;
use crate::http::request::RequestView;
use crate::http::response::Response;
use crate::keys::rotation::health::RotationHealth;
use crate::keys::rotation::task::KeyRotation;
use crate::keys::source::KeySource;
use crate::token::issuer::Issuer;

const ETAG: &str = "etag";
/// Number of digest bytes in an `ETag`, enough that no two documents share one.
const ETAG_LEN: usize = 16;

/// The JWKS endpoint, by convention at [`PATH`](Self::PATH).
///
/// The adapters have a route for it. For an issuer whose keys change only at a restart:
///
/// ```
/// use std::time::Duration;
/// use auth_core::rotation::JwksEndpoint;
/// use auth_core::{Algorithm, Issuer, Key};
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let (key, _) = Key::generate("2030-01", Algorithm::Es256)?;
/// let issuer = Issuer::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(key)?;
/// let jwks = JwksEndpoint::new(&issuer, Duration::from_secs(600));
/// # Ok(())
/// # }
/// ```
///
/// For rotating keys, use [`KeyRotation::jwks`](crate::keys::rotation::KeyRotation::jwks).
#[derive(Clone, Debug)]
pub struct JwksEndpoint {
    keys: KeySource,
    cache_control: Arc<str>,
    health: Option<RotationHealth>,
    path: Box<str>,
    _keep_alive: Option<KeepAlive>,
}

impl JwksEndpoint {
    /// Path at which the adapters serve the document, a common convention.
    pub const PATH: &'static str = "/.well-known/jwks.json";

    /// Creates the endpoint for the keys of `issuer`, cacheable for `max_age`, in whole seconds.
    /// Zero is `no-cache`.
    ///
    /// # Security
    /// A verifier may use a key for this long after it was removed from the issuer's keys.
    #[must_use]
    pub fn new(issuer: &Issuer, max_age: Duration) -> Self {
        Self::for_keys(issuer.key_source().clone(), max_age)
    }

    /// Creates the endpoint like [`new`](Self::new), for keys without an [`Issuer`] in this
    /// process.
    #[must_use]
    pub fn for_keys(keys: impl Into<KeySource>, max_age: Duration) -> Self {
        Self::of(keys.into(), max_age, None)
    }

    pub(crate) fn of(keys: KeySource, max_age: Duration, health: Option<RotationHealth>) -> Self {
        let cache_control = match max_age.as_secs() {
            0 => "no-cache".into(),
            secs => format!("public, max-age={secs}").into(),
        };
        Self {
            keys,
            cache_control,
            health,
            path: Self::PATH.into(),
            _keep_alive: None,
        }
    }

    /// Sets the path of the endpoint. Default: [`PATH`](Self::PATH).
    ///
    /// # Errors
    /// [`ConfigError`] if it is not a plain path.
    pub fn with_path(mut self, path: &str) -> Result<Self, ConfigError> {
        self.path = checked_path(path)?;
        Ok(self)
    }

    /// Keeps the tasks that rotate the keys running.
    pub(crate) fn with_keep_alive(mut self, tasks: Option<KeepAlive>) -> Self {
        self._keep_alive = tasks;
        self
    }

    /// The response to a request with any method and path: 200, 304, 405 or 503. For HEAD the
    /// adapter omits the body.
    #[must_use]
    pub fn respond(&self, request: &dyn RequestView) -> Response {
        if !matches!(request.method(), "GET" | "HEAD") {
            return reply::method_not_allowed("GET, HEAD");
        }
        if self
            .health
            .as_ref()
            .is_some_and(|health| !health.is_current())
        {
            return Response::new(503)
                .no_store()
                .with_header("retry-after", RETRY_AFTER_SECS);
        }
        let document = self.keys.load().jwks();
        let tag = entity_tag(document.as_bytes());
        let response = Response::new(if has_tag(request, &tag) { 304 } else { 200 })
            .with_header(CACHE_CONTROL, &*self.cache_control)
            .with_header(ETAG, tag);
        if response.status() == 304 {
            return response;
        }
        response.with_content("application/jwk-set+json", document)
    }
}

impl Endpoint for JwksEndpoint {
    fn path(&self) -> &str {
        &self.path
    }

    fn methods(&self) -> &'static str {
        "GET, HEAD"
    }

    fn respond(&self, request: &dyn RequestView, _: &[u8]) -> BoxFuture<Response> {
        reply::ready(Self::respond(self, request))
    }

    fn max_body_bytes(&self) -> usize {
        0
    }
}

fn entity_tag(document: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, document);
    let start = digest.as_ref().get(..ETAG_LEN).unwrap_or_default();
    format!("\"{}\"", URL_SAFE_NO_PAD.encode_to_string(start))
}

/// Whether `If-None-Match` names `tag` or is `*`. These tags contain no comma, so splitting at
/// commas finds them among any others; the comparison is weak.
fn has_tag(request: &dyn RequestView, tag: &str) -> bool {
    let mut found = false;
    request.visit_header("if-none-match", &mut |value| {
        found |= value
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .map(|listed| listed.strip_prefix(b"W/").unwrap_or(listed))
            .any(|listed| listed == tag.as_bytes() || listed == b"*");
    });
    found
}

impl KeyRotation {
    /// The endpoint that serves the public keys, with the `max-age` of the schedule.
    #[must_use]
    pub fn jwks(&self) -> JwksEndpoint {
        let max_age = self.rules.schedule.max_age();
        JwksEndpoint::of(self.source.clone(), max_age, Some(self.health.clone()))
    }
}
