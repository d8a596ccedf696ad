//! Keys: what tokens are signed and verified with.
//!
//! 1. A key has one id and one algorithm. What a token's header says selects among configured
//!    keys and is compared with the key's algorithm; it never chooses an algorithm
//!    (RFC 8725 §3.1).
//! 2. Key material is parsed and checked once, when the key is built: kind and curve must fit the
//!    algorithm, RSA keys have 2048 to 8192 bits, HMAC secrets are at least as long as the hash,
//!    public keys are not secrets, points lie on their curve, private and public half belong
//!    together.
//! 3. Errors say what is wrong and what to do, and never hold key material. `Debug` of a key shows
//!    its id and algorithm.
//! 4. Buffers that held private material are overwritten when dropped; what aws-lc keeps, it
//!    overwrites itself.
//! 5. The cryptography is aws-lc-rs behind two small traits, [`VerifySignature`] and
//!    [`SignToken`]. Nothing is registered process-wide.

mod algorithm;
mod backend;
mod der;
mod fault;
mod hmac;
mod import;
mod jwk;
mod key;
mod local;
mod pem;
mod public;
mod remote;
mod ring;

pub use algorithm::Algorithm;
pub use backend::{SignError, SignToken, SignatureError, VerifySignature};
pub use jwk::PrivateJwk;
pub use key::Key;
pub use ring::{KeyRing, KeySource};

pub(crate) use key::is_key_id;
pub(crate) use remote::{JwkSkip, remote_jwk};
pub(crate) use ring::CurrentRing;

#[cfg(test)]
mod tests;
