//! Reading metadata without a fetch.

use auth_core::remote::{FetchError, FetchFault};
use reqwest::Url;

use crate::address::Reach;
use crate::fetch;

/// The URL of the key set of `issuer` in its metadata (OpenID Connect Discovery §3, RFC 8414 §2).
///
/// # Errors
/// As for fetched metadata: malformed, of another issuer, or with an address that is not allowed.
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
