//! [`MintError`]: the error for an access token that was not issued.

use std::error::Error;

use crate::keys::SignError;
use crate::token::verify::MAX_TOKEN_BYTES;

/// The error for an access token that could not be issued. Never the client's fault: the response
/// is a 5xx.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The app's own claims do not serialize to JSON.
    #[error("the app's claims cannot be serialized as strict JSON")]
    Claims(#[source] Box<dyn Error + Send + Sync>),
    /// The app's own claims are not an object with distinct names.
    #[error("the app's claims must be a struct or map with distinct names")]
    ClaimsShape,
    /// The app's own claims contain a registered claim. Set it with the method of the request, or
    /// rename the field.
    #[error("the app's claims contain the registered claim `{0}`")]
    Collision(&'static str),
    /// A claim that verifiers require is empty.
    #[error("the claim `{0}` must not be empty")]
    Empty(&'static str),
    /// The session has ended: the token would already be expired.
    #[error("the session has ended")]
    Ended,
    /// The current key ring has no signing key.
    #[error("the key ring has no signing key")]
    NoSigningKey,
    /// The operating system returned no random bytes.
    #[error("the operating system returned no random bytes")]
    Random,
    /// The key could not sign, e.g. because a key service does not respond.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The token exceeds the maximum length of verifiers. Use fewer claims.
    #[error("the token has {bytes} bytes, verifiers accept {most}: use fewer claims", most = MAX_TOKEN_BYTES)]
    #[non_exhaustive]
    TooLong {
        /// Length of the token, in bytes.
        bytes: usize,
    },
}
