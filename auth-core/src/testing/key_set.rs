//! Published key sets, read without fetching them.

use crate::keys::remote::read_document;
use crate::keys::{Algorithm, Key};
use crate::observe::words::FetchFault;

/// The keys of a JWKS document (RFC 7517 §5) that would be used if it came from another issuer,
/// one of whose algorithms is to be among `allowed`.
///
/// # Errors
/// As for a document that was fetched: too large, too many keys, no key set.
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
