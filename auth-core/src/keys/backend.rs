//! The two traits behind which the cryptography sits.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

/// Verifies signatures of one key under one algorithm.
///
/// Implement it to plug in another cryptographic backend or hardware; the keys that this crate
/// builds verify through aws-lc-rs.
///
/// # Security
/// An implementation must refuse everything but a valid signature of its one algorithm in JWS
/// form (RFC 7518 §3): the fixed-length `r || s` for ECDSA, the full tag for HMAC, compared in
/// constant time. It must neither panic nor print key material in its `Debug`.
///
/// ```
/// use auth_core::{SignatureError, VerifySignature};
///
/// /// Accepts nothing: a key that was taken out of service.
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
    /// Whether `signature` is this key's signature of `message`.
    ///
    /// # Errors
    /// [`SignatureError`] if it is not, whatever the reason.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError>;
}

impl<V: VerifySignature + ?Sized> VerifySignature for Arc<V> {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        (**self).verify(message, signature)
    }
}

/// Signs with one key under one algorithm; asynchronous, so that the key may live in a key
/// management service or a hardware module.
///
/// The signature has the form that [`VerifySignature`] describes. Services often answer ECDSA
/// signatures in DER; convert them to `r || s`. The caller verifies what comes back before using
/// it, so a wrong form shows as a [`SignError`], never as a bad token.
///
/// # Cancel safety
/// The future may be dropped at any point; the signature is then lost, which must do no harm.
///
/// ```
/// use async_trait::async_trait;
/// use auth_core::{SignError, SignToken};
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
    /// The signature of `message`.
    ///
    /// # Errors
    /// [`SignError`] if the key cannot be used now.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

#[async_trait]
impl<S: SignToken + ?Sized> SignToken for Arc<S> {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        (**self).sign(message).await
    }
}

/// The signature does not verify. Deliberately without detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
#[allow(
    clippy::exhaustive_structs,
    reason = "implementers construct it; it has no detail to grow"
)]
pub struct SignatureError;

/// A signature could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SignError {
    source: Box<dyn Error + Send + Sync>,
}

impl SignError {
    /// An error with what caused it.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: source.into(),
        }
    }
}
