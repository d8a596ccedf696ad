//! The traits for cryptographic backends.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

/// A verifier for the signatures of one key under one algorithm.
///
/// Implement it for another cryptographic backend or for hardware; the keys that this crate builds
/// verify with aws-lc-rs.
///
/// # Security
/// An implementation must refuse everything but a valid signature of its one algorithm in JWS form
/// (RFC 7518 §3). This is the fixed-length `r || s` for ECDSA, and the full tag for HMAC, compared
/// in constant time. It must neither panic nor print key material in its `Debug`.
///
/// ```
/// use auth_core::signing::{SignatureError, VerifySignature};
///
/// /// A retired key, which refuses every signature.
/// #[derive(Debug)]
/// struct Retired;
///
/// impl VerifySignature for Retired {
///     fn verify(&self, _message: &[u8], _signature: &[u8]) -> Result<(), SignatureError> {
///         Err(SignatureError)
///     }
/// }
/// ```
pub trait VerifySignature: Send + Sync + fmt::Debug {
    /// Verifies `signature` of `message`.
    ///
    /// # Errors
    /// [`SignatureError`] if it is not valid, for any reason.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError>;
}

impl<V: VerifySignature + ?Sized> VerifySignature for Arc<V> {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        (**self).verify(message, signature)
    }
}

/// A signer with one key under one algorithm. It is asynchronous, so that the key may be in a key
/// management service or a hardware module.
///
/// The signature has the form that [`VerifySignature`] describes. Services often return ECDSA
/// signatures in DER; convert them to `r || s`. The caller verifies each signature before using it,
/// so a wrong form results in a [`SignError`], never in an invalid token.
///
/// # Cancel safety
/// The future may be dropped at any point. The signature is then lost, without side effects.
///
/// ```
/// use async_trait::async_trait;
/// use auth_core::signing::{SignError, SignToken};
///
/// #[derive(Debug)]
/// struct RemoteKey;
///
/// #[async_trait]
/// impl SignToken for RemoteKey {
///     async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
///         // Ask the service to sign `message` here.
///         # let _ = message;
///         Err(SignError::new("the key service does not answer"))
///     }
/// }
/// ```
#[async_trait]
pub trait SignToken: Send + Sync + fmt::Debug {
    /// Signs `message`.
    ///
    /// # Errors
    /// [`SignError`] if the key is not available.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

#[async_trait]
impl<S: SignToken + ?Sized> SignToken for Arc<S> {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        (**self).sign(message).await
    }
}

/// The error for a signature that does not verify. Deliberately without detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
#[allow(
    clippy::exhaustive_structs,
    reason = "implementers construct it; it has no detail to grow"
)]
pub struct SignatureError;

/// The error for a signature that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SignError {
    source: Box<dyn Error + Send + Sync>,
}

impl SignError {
    /// Creates an error with its source.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: source.into(),
        }
    }
}
