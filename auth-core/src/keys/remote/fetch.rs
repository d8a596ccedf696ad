//! [`FetchKeys`] and its results.

use std::fmt;
use std::time::Duration;

use crate::base::error::{AuthError, Cause};
use crate::base::kind_error::{BoxError, KindError};
use crate::observe::words::FetchFault;
use async_trait::async_trait;

/// Default freshness of a set, and its bounds.
const DEFAULT_FRESHNESS: Duration = Duration::from_secs(10 * 60);
const MIN_FRESHNESS: Duration = Duration::from_secs(5 * 60);
const MAX_FRESHNESS: Duration = Duration::from_secs(24 * 60 * 60);
/// Maximum length of a stored validator, in bytes.
const MAX_ETAG_BYTES: usize = 256;

/// A fetcher for the key set of one issuer.
///
/// # Cancel safety
/// The future is dropped after 10 seconds and when the task is shut down.
#[async_trait]
pub trait FetchKeys: Send + Sync + fmt::Debug {
    /// Fetches the set. `etag` is the validator of the current set: if it is still valid, return
    /// [`FetchedKeys::unchanged`].
    ///
    /// # Errors
    /// [`FetchError`]. The current keys stay.
    ///
    /// # Security
    /// The document decides which tokens are accepted. Fetch it from the known location of the
    /// issuer, over an authenticated channel, and stop reading at the limit, 64 KiB by default.
    async fn fetch(&self, etag: Option<&str>) -> Result<FetchedKeys, FetchError>;
}

/// The result of a fetch: a document, or confirmation of the current one, and its freshness.
#[derive(Clone, Default)]
#[must_use]
pub struct FetchedKeys {
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) etag: Option<Box<str>>,
    max_age: Option<Duration>,
    age: Duration,
}

impl FetchedKeys {
    /// Creates a result with a JWKS document (RFC 7517 §5), as received.
    pub fn document(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Some(body.into()),
            ..Self::default()
        }
    }

    /// Creates a result that confirms the current set (RFC 9110 §15.4.5).
    pub fn unchanged() -> Self {
        Self::default()
    }

    /// Sets the validator, the value of `ETag` (RFC 9110 §8.8.3). Ignored if it is longer than 256
    /// bytes or not visible ASCII.
    pub fn with_etag(mut self, etag: &str) -> Self {
        let fits = !etag.is_empty()
            && etag.len() <= MAX_ETAG_BYTES
            && etag.bytes().all(|byte| byte.is_ascii_graphic());
        self.etag = fits.then(|| etag.into());
        self
    }

    /// Adds the value of a `Cache-Control` field (RFC 9111 §5.2). Call it once per field; the
    /// shortest time counts.
    pub fn with_cache_control(mut self, value: &str) -> Self {
        for directive in value.split(',').map(str::trim) {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let limit = match name.trim().to_ascii_lowercase().as_str() {
                "max-age" => seconds(argument),
                "no-cache" | "no-store" => Some(Duration::ZERO),
                _ => None,
            };
            if let Some(limit) = limit {
                self.max_age = Some(self.max_age.map_or(limit, |old| old.min(limit)));
            }
        }
        self
    }

    /// Sets the age from the `Age` field (RFC 9111 §5.1): the time in caches on the way.
    pub fn with_age(mut self, value: &str) -> Self {
        self.age = seconds(value).unwrap_or_default();
        self
    }

    pub(crate) fn freshness(&self) -> Duration {
        let fresh = self.max_age.unwrap_or(DEFAULT_FRESHNESS);
        fresh
            .saturating_sub(self.age)
            .clamp(MIN_FRESHNESS, MAX_FRESHNESS)
    }
}

/// Parses `delta-seconds` (RFC 9111 §1.2.2). A number that overflows is a very long time.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim().trim_matches('"');
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

impl fmt::Debug for FetchedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedKeys")
            .field("bytes", &self.body.as_ref().map(Vec::len))
            .field("freshness", &self.freshness())
            .finish_non_exhaustive()
    }
}

/// The error of a failed fetch. `Display` is a fixed text; the source is for operators.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct FetchError(KindError<FetchFault>);

impl FetchError {
    /// Creates an error of this kind.
    #[must_use]
    pub fn new(fault: FetchFault) -> Self {
        Self(KindError::new(fault))
    }

    /// Attaches the underlying error. It must not contain data from the server.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        Self(self.0.with_source(source))
    }

    /// The fault of the fetch.
    #[must_use]
    pub fn fault(&self) -> FetchFault {
        self.0.kind()
    }
}

impl AuthError {
    pub(crate) fn keys_unavailable(source: FetchError) -> Self {
        Self::unavailable(Cause::KeysUnavailable).with_source(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(fields: &[&str]) -> u64 {
        let fetched = FetchedKeys::document("");
        let fetched = fields
            .iter()
            .fold(fetched, |fetched, field| fetched.with_cache_control(field));
        fetched.freshness().as_secs()
    }

    #[test]
    fn freshness_stays_within_its_bounds() {
        assert_eq!(fresh(&[]), 600);
        assert_eq!(fresh(&["public"]), 600);
        assert_eq!(fresh(&["public, max-age=3600, must-revalidate"]), 3600);
        assert_eq!(fresh(&["MAX-AGE=\"3600\""]), 3600);
        assert_eq!(fresh(&["max-age=0"]), 300);
        assert_eq!(fresh(&["no-store"]), 300);
        assert_eq!(fresh(&["max-age=3600", "no-cache"]), 300);
        assert_eq!(fresh(&["max-age=99999999999999999999999"]), 86_400);
        for nonsense in [
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=1e9",
            "s-maxage=7",
        ] {
            assert_eq!(fresh(&[nonsense]), 600, "{nonsense}");
        }
        let aged = FetchedKeys::unchanged().with_cache_control("max-age=3600");
        assert_eq!(aged.clone().with_age("600").freshness().as_secs(), 3000);
        assert_eq!(aged.clone().with_age("9999").freshness().as_secs(), 300);
        assert_eq!(aged.with_age("x").freshness().as_secs(), 3600);
    }

    #[test]
    fn validators_that_could_not_be_sent_back_are_not_kept() {
        let kept = |etag: &str| FetchedKeys::unchanged().with_etag(etag).etag.is_some();
        assert!(kept("\"a\"") && kept("W/\"a\""));
        assert!(!kept("") && !kept("\"a\r\nb\"") && !kept(&"x".repeat(257)));
    }
}
