//! Keys of other issuers, fetched over HTTPS: JWKS documents (RFC 7517), found through OpenID
//! Connect Discovery or RFC 8414 metadata, or named by hand.
//!
//! The rules of the cache are [`auth_core::remote`]'s. This crate fetches:
//!
//! 1. `https` only; `http` is for loopback addresses that you name, and for others by
//!    [an option](RemoteIssuer::with_insecure_http). Metadata lead to public
//!    addresses and to the hosts that you name, whatever the spelling and whatever a name resolves
//!    to when the connection is made: to this machine only if the issuer is on it, into private
//!    networks only if they [are allowed](RemoteIssuer::allow_private_networks).
//! 2. Redirects are not followed, and no status but 200 is a document (304 if we asked for it).
//! 3. An answer is read up to 64 KiB, a key set up to what it was given. Connecting may take 3 seconds, an answer 5.
//! 4. Metadata are looked for in the three places of OpenID Connect Discovery and RFC 8414; a 4xx
//!    leads on to the next. They must name exactly the issuer that was asked for (OpenID Connect
//!    Discovery §4.3, RFC 8414 §3.3).
//! 5. Proxies are those that are configured here. Environment variables are not read: they could
//!    send the keys' traffic elsewhere.
//! 6. Nothing is decompressed, whatever features the app gives to `reqwest`.
//!
//! Feature `testing` adds the module `testing`, an identity provider for your tests.
//!
//! ```no_run
//! use auth_core::{Algorithm, Authenticator};
//! use auth_jwks::RemoteIssuer;
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = RemoteIssuer::discover("https://id.example")
//!     .algorithms([Algorithm::Rs256])
//!     .start()?;
//! // To fail at once if the issuer cannot be reached; else the first token fetches.
//! keys.load().await?;
//!
//! let auth: Arc<Authenticator<()>> = Authenticator::for_issuer("https://id.example")
//!     .audience("https://api.example")
//!     .keys(keys)
//!     .build()?;
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod fetch;
mod issuer;
mod resolve;
#[cfg(feature = "testing")]
pub mod testing;

pub use issuer::{RemoteIssuer, RemoteIssuerWithoutAlgorithms};
