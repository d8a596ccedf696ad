//! Fetching: one or two requests, each bounded in time and bytes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::ConfigError;
use auth_core::remote::{FetchError, FetchFault, FetchKeys, FetchedKeys};
use reqwest::header::{ACCEPT, AGE, CACHE_CONTROL, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use crate::address;

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// For one request from its begin to the last byte of its answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 64 * 1024;

/// Where an issuer's keys are.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// Here.
    Jwks(Url),
    /// Where the metadata of this issuer say.
    Issuer(Url),
}

/// Fetches one issuer's keys with a client of its own.
#[derive(Debug)]
pub(crate) struct HttpFetcher {
    client: Client,
    issuer: Box<str>,
    location: Location,
    /// What the metadata said last.
    found: Mutex<Option<Url>>,
    /// The validator of the last document, and the address that gave it.
    given: Mutex<Option<(Box<str>, Url)>>,
}

impl HttpFetcher {
    pub(crate) fn new(
        issuer: &str,
        location: Location,
        proxy: Option<&str>,
    ) -> Result<Self, ConfigError> {
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
            // Fetches are minutes apart: a kept connection would only be found dead.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("auth-jwks/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = proxy {
            let proxy = reqwest::Proxy::all(proxy)
                .map_err(|_| ConfigError::new("proxy", "this is not the address of a proxy"))?;
            client = client.proxy(proxy);
        }
        let client = client
            .build()
            .map_err(|error| ConfigError::new("TLS", error.to_string()))?;
        Ok(Self {
            client,
            issuer: issuer.into(),
            location,
            found: Mutex::new(None),
            given: Mutex::new(None),
        })
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Option<Url>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A validator belongs to the address that gave it (RFC 9110 §8.8): another one could take it
    /// for its own, and keys that were replaced would stay.
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

    /// Asks for the metadata where they may be. That they are not there is said in many ways (401,
    /// 403, 404, 405, 410), so any 4xx leads on; trouble does not.
    async fn discover(&self, issuer: &Url) -> Result<Url, FetchError> {
        for url in address::metadata(issuer) {
            let response = self.get(url, None).await?;
            if response.status().is_client_error() {
                continue;
            }
            let body = read(accept(response)?).await?;
            return jwks_address(&self.issuer, address::is_loopback(issuer), &body);
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
            // They may have moved.
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
        let body = read(response).await?;
        self.note_given(&headers, url);
        Ok(with_headers(FetchedKeys::document(body), &headers))
    }
}

/// The members of OpenID Connect Discovery §3 and RFC 8414 §2 that matter here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Where the metadata of `issuer` say that its keys are. From the network they must not point into
/// this machine.
pub(crate) fn jwks_address(issuer: &str, local: bool, metadata: &[u8]) -> Result<Url, FetchError> {
    let malformed = |_| FetchError::new(FetchFault::Malformed);
    // Also where nobody looks: skipped members may be what no strict reader takes. And an object:
    // of a list, serde would take the elements for the members.
    let members = serde_json::from_slice::<serde_json::Value>(metadata).map_err(malformed)?;
    if !members.is_object() {
        return Err(FetchError::new(FetchFault::Malformed));
    }
    let metadata: Metadata = serde_json::from_slice(metadata).map_err(malformed)?;
    if metadata.issuer != issuer {
        return Err(FetchError::new(FetchFault::Issuer));
    }
    let address = address::parse(&metadata.jwks_uri, local)?;
    if !local && address::is_loopback(&address) {
        return Err(FetchError::new(FetchFault::Url));
    }
    Ok(address)
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

/// Reads the body, and stops where it gets too long.
async fn read(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let too_large = || FetchError::new(FetchFault::TooLarge);
    if response
        .content_length()
        .is_some_and(|length| length > MAX_BYTES as u64)
    {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len().saturating_add(chunk.len()) > MAX_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn with_headers(mut fetched: FetchedKeys, headers: &HeaderMap) -> FetchedKeys {
    for value in headers.get_all(CACHE_CONTROL) {
        // What is not text says nothing.
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

/// The address is left out of the error: metadata may have named it.
fn broken(error: reqwest::Error) -> FetchError {
    let fault = if error.is_timeout() {
        FetchFault::TimedOut
    } else {
        FetchFault::Unreachable
    };
    FetchError::new(fault).with_source(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_strict_json_even_where_nobody_looks() {
        let read = |more: &[u8]| {
            let head = br#"{"issuer":"https://i","jwks_uri":"https://i/k","x":"#;
            let metadata = [head.as_slice(), more, b"}"].concat();
            jwks_address("https://i", false, &metadata).map_err(|error| error.fault())
        };
        assert!(read(b"[1]").is_ok());
        for lax in [b"\"\xff\"".as_slice(), br#""\ud800""#, b"1e400"] {
            assert_eq!(read(lax).unwrap_err(), FetchFault::Malformed);
        }
    }

    #[test]
    fn metadata_are_an_object() {
        let list = br#"["https://i","https://i/k"]"#;
        let error = jwks_address("https://i", false, list).unwrap_err();
        assert_eq!(error.fault(), FetchFault::Malformed);
    }

    #[test]
    fn f10_metadata_from_the_network_do_not_lead_to_this_machine() {
        for host in ["localhost", "127.0.0.1:8443", "[::1]"] {
            let metadata = format!(r#"{{"issuer":"https://i","jwks_uri":"https://{host}/k"}}"#);
            let read = |local| jwks_address("https://i", local, metadata.as_bytes());
            assert_eq!(read(false).unwrap_err().fault(), FetchFault::Url, "{host}");
            assert!(read(true).is_ok(), "{host}");
        }
    }
}
