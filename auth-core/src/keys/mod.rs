//! Keys that sign and verify tokens.
//!
//! 1. A key has one id and one algorithm. The header of a token selects among configured keys and is
//!    compared with the algorithm of the key; it never chooses an algorithm (RFC 8725 §3.1).
//! 2. Key material is parsed and checked once, when the key is built. Kind and curve must fit the
//!    algorithm. RSA keys have 2048 to 8192 bits. HMAC secrets are at least as long as the hash,
//!    and are not public keys. Points are on their curve. Private and public half belong together.
//! 3. Errors name the fault and its remedy, and never contain key material. `Debug` of a key shows
//!    its id and algorithm.
//! 4. Buffers with private material are zeroized on drop; aws-lc zeroizes its own.
//! 5. Cryptography is aws-lc-rs behind two small traits, [`VerifySignature`] and [`SignToken`].
//!    Nothing is registered process-wide.

pub(crate) mod algorithm;
pub(crate) mod backend;
pub(crate) mod der;
pub(crate) mod fault;
pub(crate) mod hmac;
pub(crate) mod import;
pub(crate) mod imported;
pub(crate) mod jwk;
pub(crate) mod jwks_entry;
pub(crate) mod key;
pub(crate) mod local;
pub(crate) mod pem;
pub(crate) mod public;
pub(crate) mod refresh;
pub mod remote;
pub(crate) mod ring;
pub(crate) mod rotation;
pub(crate) mod source;

pub use self::algorithm::Algorithm;
pub use self::backend::{SignError, SignToken, SignatureError, VerifySignature};
pub use self::jwk::PrivateJwk;
pub use self::key::Key;
pub use self::ring::KeyRing;
pub use crate::keys::source::KeySource;

pub(crate) use self::jwks_entry::{JwkSkip, remote_jwk};
pub(crate) use self::key::Thumbprints;
pub(crate) use crate::keys::ring::CurrentRing;

#[cfg(test)]
mod tests;
