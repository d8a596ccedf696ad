//! Keys of other issuers, fetched over HTTPS: JWKS documents (RFC 7517), found through OpenID
//! Connect Discovery or RFC 8414 metadata, or named by hand.
//!
//! The rules of the cache are [`auth_core::remote`]'s. This crate fetches:
//!
//! 1. Only `https` is fetched. `http` is allowed for loopback addresses that you configure, and for
//!    others by [an option](RemoteIssuer::with_insecure_http). Metadata may lead only to public
//!    addresses and to the hosts that you configure, whatever the spelling of an address and whatever
//!    a name resolves to at the time of the connection; to this machine only if the issuer is on it,
//!    and into private networks only [if allowed](RemoteIssuer::with_private_networks).
//! 2. Redirects are not followed, and no status but 200 is a document (or 304 to a conditional request).
//! 3. At most 64 KiB of a response are read, and of a key set as much as configured. Time limits are
//!    3 seconds for the connection and 5 for the response.
//! 4. Metadata are looked for in the three places of OpenID Connect Discovery and RFC 8414; a 4xx
//!    leads on to the next. They must name exactly the issuer that was asked for (OpenID Connect
//!    Discovery §4.3, RFC 8414 §3.3).
//! 5. Only a proxy configured here is used. Environment variables are not read, because they could
//!    redirect the traffic.
//! 6. Responses are never decompressed, whatever features of `reqwest` the app enables.
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
//! // Fails if the issuer cannot be reached. Without this line, the first token causes the fetch.
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
