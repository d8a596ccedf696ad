//! One fetch: one or two requests, each with limits on time and size.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::ConfigError;
use auth_core::remote::{FetchError, FetchFault, FetchKeys, FetchedKeys};
use reqwest::header::{ACCEPT, AGE, CACHE_CONTROL, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use crate::address::{self, Reach};
use crate::resolve::{OutOfReach, Resolver};

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Time limit of a request, from its start to the last byte of the response.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// Maximum size of a response, unless the key set may be larger.
const MAX_BYTES: usize = 64 * 1024;

/// The location of an issuer's keys.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// The key set at this URL.
    Jwks(Url),
    /// The key set in the metadata of this issuer.
    Issuer(Url),
}

/// The fetcher of one issuer's keys, with its own HTTP client.
#[derive(Debug)]
pub(crate) struct HttpFetcher {
    client: Client,
    issuer: Box<str>,
    location: Location,
    /// The addresses to which metadata may lead.
    reach: Reach,
    /// Maximum size of the key set, in bytes.
    max_bytes: usize,
    /// The key set's URL from the last metadata.
    found: Mutex<Option<Url>>,
    /// The validator of the last document, and the address that sent it.
    given: Mutex<Option<(Box<str>, Url)>>,
}

impl HttpFetcher {
    pub(crate) fn new(
        issuer: &str,
        location: Location,
        reach: Reach,
        proxy: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let mut resolvable = reach.clone();
        let mut client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REQUEST_LIMIT)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            // Fetches are minutes apart: an idle connection would be closed by then.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("auth-jwks/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = proxy {
            let unfit = |_| ConfigError::new("proxy", "must be the URL of a proxy");
            if let Some(host) = address::proxy_host(proxy) {
                resolvable = resolvable.with_host(&host);
            }
            client = client.proxy(reqwest::Proxy::all(proxy).map_err(unfit)?);
        }
        let client = client
            .dns_resolver(Resolver::new(resolvable))
            .build()
            .map_err(|error| ConfigError::new("TLS", error.to_string()))?;
        Ok(Self {
            client,
            issuer: issuer.into(),
            location,
            reach,
            max_bytes: MAX_BYTES,
            found: Mutex::new(None),
            given: Mutex::new(None),
        })
    }

    pub(crate) fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Option<Url>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A validator belongs to the address that sent it (RFC 9110 §8.8). Another address could match it
    /// by accident, and replaced keys would stay in use.
    fn has_given(&self, etag: &str, address: &Url) -> bool {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given
            .as_ref()
            .is_some_and(|(own, from)| **own == *etag && from == address)
    }

    fn note_given(&self, headers: &HeaderMap, address: Url) {
        let etag = text(headers, ETAG).map(Box::from);
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        *given = etag.map(|etag| (etag, address));
    }

    async fn jwks_address(&self) -> Result<Url, FetchError> {
        let issuer = match &self.location {
            Location::Jwks(url) => return Ok(url.clone()),
            Location::Issuer(issuer) => issuer,
        };
        let found = self.found().clone();
        if let Some(url) = found {
            return Ok(url);
        }
        let url = self.discover(issuer).await?;
        *self.found() = Some(url.clone());
        Ok(url)
    }

    /// Requests the metadata at their possible locations. Servers report missing metadata in many ways
    /// (401, 403, 404, 405, 410), so any 4xx leads to the next location; other errors do not.
    async fn discover(&self, issuer: &Url) -> Result<Url, FetchError> {
        for url in address::metadata(issuer) {
            let response = self.get(url, None).await?;
            if response.status().is_client_error() {
                continue;
            }
            let body = read(accept(response)?, MAX_BYTES).await?;
            return jwks_address(&self.issuer, &self.reach, &body);
        }
        Err(FetchError::new(FetchFault::Status))
    }

    async fn get(&self, url: Url, etag: Option<&str>) -> Result<Response, FetchError> {
        let mut request = self
            .client
            .get(url)
            .header(ACCEPT, "application/json, application/jwk-set+json");
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        request.send().await.map_err(broken)
    }
}

#[async_trait]
impl FetchKeys for HttpFetcher {
    async fn fetch(&self, etag: Option<&str>) -> Result<FetchedKeys, FetchError> {
        let url = self.jwks_address().await?;
        let fetched = self.fetch_from(url, etag).await;
        if fetched.is_err() {
            // The location may have changed.
            *self.found() = None;
        }
        fetched
    }
}

impl HttpFetcher {
    async fn fetch_from(&self, url: Url, etag: Option<&str>) -> Result<FetchedKeys, FetchError> {
        let etag = etag.filter(|etag| self.has_given(etag, &url));
        let response = self.get(url.clone(), etag).await?;
        if etag.is_some() && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(with_headers(FetchedKeys::unchanged(), response.headers()));
        }
        let response = accept(response)?;
        let headers = response.headers().clone();
        let body = read(response, self.max_bytes).await?;
        self.note_given(&headers, url);
        Ok(with_headers(FetchedKeys::document(body), &headers))
    }
}

/// The relevant members of OpenID Connect Discovery §3 and RFC 8414 §2.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// The URL of the keys in the metadata of `issuer`, if it is allowed.
pub(crate) fn jwks_address(
    issuer: &str,
    reach: &Reach,
    metadata: &[u8],
) -> Result<Url, FetchError> {
    let malformed = |_| FetchError::new(FetchFault::Malformed);
    // Parsed as a whole first: skipped members must be strict JSON too, and serde would accept an
    // array in place of an object.
    let members = serde_json::from_slice::<serde_json::Value>(metadata).map_err(malformed)?;
    if !members.is_object() {
        return Err(FetchError::new(FetchFault::Malformed));
    }
    let metadata: Metadata = serde_json::from_slice(metadata).map_err(malformed)?;
    if metadata.issuer != issuer {
        return Err(FetchError::new(FetchFault::Issuer));
    }
    reach.follow(&metadata.jwks_uri)
}

fn accept(response: Response) -> Result<Response, FetchError> {
    let status = response.status();
    if status == StatusCode::OK {
        Ok(response)
    } else if status.is_redirection() {
        Err(FetchError::new(FetchFault::Redirected))
    } else {
        Err(FetchError::new(FetchFault::Status))
    }
}

/// Reads the body up to the maximum size.
async fn read(mut response: Response, most: usize) -> Result<Vec<u8>, FetchError> {
    let too_large = || FetchError::new(FetchFault::TooLarge);
    if response
        .content_length()
        .is_some_and(|length| length > most as u64)
    {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len().saturating_add(chunk.len()) > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn with_headers(mut fetched: FetchedKeys, headers: &HeaderMap) -> FetchedKeys {
    for value in headers.get_all(CACHE_CONTROL) {
        // A value that is not text is ignored.
        fetched = fetched.with_cache_control(value.to_str().unwrap_or_default());
    }
    if let Some(age) = text(headers, AGE) {
        fetched = fetched.with_age(age);
    }
    if let Some(etag) = text(headers, ETAG) {
        fetched = fetched.with_etag(etag);
    }
    fetched
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The error omits the address, which may be from metadata.
fn broken(error: reqwest::Error) -> FetchError {
    let fault = if OutOfReach::is_behind(&error) {
        FetchFault::Url
    } else if error.is_timeout() {
        FetchFault::TimedOut
    } else {
        FetchFault::Unreachable
    };
    FetchError::new(fault).with_source(error.without_url())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn metadata_are_strict_json_even_where_nobody_looks() {
        let read = |more: &[u8]| {
            let head = br#"{"issuer":"https://i","jwks_uri":"https://i/k","x":"#;
            let metadata = [head.as_slice(), more, b"}"].concat();
            jwks_address("https://i", &Reach::default(), &metadata).map_err(|error| error.fault())
        };
        assert!(read(b"[1]").is_ok());
        for lax in [b"\"\xff\"".as_slice(), br#""\ud800""#, b"1e400"] {
            assert_eq!(read(lax).unwrap_err(), FetchFault::Malformed);
        }
    }

    #[test]
    fn metadata_are_an_object() {
        let list = br#"["https://i","https://i/k"]"#;
        let error = jwks_address("https://i", &Reach::default(), list).unwrap_err();
        assert_eq!(error.fault(), FetchFault::Malformed);
    }

    /// Fetches keys from `jwks`, the URL in the metadata of `issuer`. Returns the error, and
    /// whether a connection was made.
    async fn lead(issuer: &str, proxy: Option<&str>, server: TcpListener) -> (FetchFault, bool) {
        let connections = Arc::new(AtomicUsize::new(0));
        let port = server.local_addr().unwrap().port();
        let issuer = address::parse(issuer, address::Plain::Loopback).unwrap();
        let reach = Reach::from(&issuer);
        let location = Location::Issuer(issuer.clone());
        let fetcher = HttpFetcher::new(issuer.as_str(), location, reach, proxy).unwrap();
        // `localhost` resolves on every machine.
        let jwks = format!("https://localhost:{port}/jwks");
        *fetcher.found() = Some(Url::parse(&jwks).unwrap());
        let seen = Arc::clone(&connections);
        let hang_up = tokio::spawn(async move {
            while server.accept().await.is_ok() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        let fetched = fetcher.fetch(None).await;
        hang_up.abort();
        let connected = connections.load(Ordering::SeqCst) != 0;
        (fetched.unwrap_err().fault(), connected)
    }

    #[tokio::test]
    async fn h13_a_name_that_resolves_to_this_machine_is_not_connected_to() {
        let server = || TcpListener::bind("127.0.0.1:0");
        let outside = lead("https://id.example", None, server().await.unwrap()).await;
        assert_eq!(outside, (FetchFault::Url, false));
        let local = lead("http://127.0.0.1:1", None, server().await.unwrap()).await;
        assert_eq!(local, (FetchFault::Unreachable, true));
    }

    #[tokio::test]
    async fn h13_a_proxy_may_be_on_this_machine_and_says_itself_where_it_leads() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://localhost:{}", server.local_addr().unwrap().port());
        let asked = lead("https://id.example", Some(&proxy), server).await;
        assert_eq!(asked, (FetchFault::Unreachable, true));
    }
}
