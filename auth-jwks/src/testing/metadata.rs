//! Metadata, read without fetching them.

use auth_core::remote::{FetchError, FetchFault};
use reqwest::Url;

use crate::address::Reach;
use crate::fetch;

/// Where the keys of `issuer` would be fetched from, if its metadata (OpenID Connect Discovery §3,
/// RFC 8414 §2) were these.
///
/// # Errors
/// As for metadata that were fetched: malformed, another issuer's, an address that may not be
/// fetched.
///
/// ```
/// use auth_jwks::testing::read_metadata;
///
/// let metadata = br#"{"issuer":"https://id.example","jwks_uri":"https://id.example/keys"}"#;
/// assert_eq!(read_metadata("https://id.example", metadata)?, "https://id.example/keys");
/// assert!(read_metadata("https://other.example", metadata).is_err());
/// # Ok::<(), auth_core::remote::FetchError>(())
/// ```
pub fn read_metadata(issuer: &str, metadata: &[u8]) -> Result<String, FetchError> {
    let url = Url::parse(issuer).map_err(|_| FetchError::new(FetchFault::Url))?;
    fetch::jwks_address(issuer, &Reach::from(&url), metadata).map(String::from)
}
