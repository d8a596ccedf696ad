//! Reading published key sets without a fetch.

use crate::keys::remote::read_document;
use crate::keys::{Algorithm, Key};
use crate::observe::words::FetchFault;

/// The usable keys of another issuer's JWKS document (RFC 7517 §5), for the algorithms in `allowed`.
///
/// # Errors
/// As for a fetched document: too large, too many keys, or not a key set.
///
/// ```
/// use auth_core::Algorithm;
/// use auth_core::testing::read_key_set;
///
/// let secret = r#"{"keys":[{"kty":"oct","kid":"k1","alg":"HS256","k":"AAAA"}]}"#;
/// assert!(read_key_set(secret.as_bytes(), &[Algorithm::Es256])?.is_empty());
/// # Ok::<(), auth_core::remote::FetchFault>(())
/// ```
pub fn read_key_set(document: &[u8], allowed: &[Algorithm]) -> Result<Vec<Key>, FetchFault> {
    read_document(document, allowed)
}
