//! Why a token was not issued.

use std::error::Error;

use crate::keys::SignError;
use crate::token::verify::MAX_TOKEN_BYTES;

/// An access token could not be issued. Never the client's fault: the answer is a 5xx.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The app's own claims could not be written as JSON.
    #[error("the app's claims cannot be written as strict JSON")]
    Claims(#[source] Box<dyn Error + Send + Sync>),
    /// The app's own claims are not an object with distinct names.
    #[error("the app's claims must be a struct or map with distinct names")]
    ClaimsShape,
    /// The app's own claims contain a registered one. Set it by the request's own method, or
    /// rename the field.
    #[error("the app's claims contain the registered claim `{0}`")]
    Collision(&'static str),
    /// A claim that verifiers require is empty.
    #[error("the claim `{0}` must not be empty")]
    Empty(&'static str),
    /// The session has ended: a token would be dead on arrival.
    #[error("the session has ended")]
    Ended,
    /// The current key ring has no key chosen to sign.
    #[error("no key is chosen to sign")]
    NoSigningKey,
    /// The operating system gave no random bytes.
    #[error("no randomness")]
    Random,
    /// The key could not sign, e.g. because a key service does not answer.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The token is longer than verifiers accept. Put less into it.
    #[error("the token has {bytes} bytes, verifiers accept {most}: put less into it", most = MAX_TOKEN_BYTES)]
    #[non_exhaustive]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
}
