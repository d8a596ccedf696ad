//! Keys of other issuers, fetched over HTTPS: JWKS documents (RFC 7517) at a configured URL, or
//! found through OpenID Connect Discovery or RFC 8414 metadata.
//!
//! [`auth_core::remote`] has the rules of the cache. This crate fetches:
//!
//! 1. Only `https` is fetched. `http` is allowed for configured loopback addresses, and for others
//!    by [an option](RemoteIssuer::with_insecure_http).
//! 2. Metadata may lead only to public addresses and to configured hosts, to this machine only if
//!    the issuer is on it, and into private networks only [if
//!    allowed](RemoteIssuer::with_private_networks). The check applies to every spelling of an
//!    address, and to the address of the connection.
//! 3. Redirects are not followed, and no status but 200 is a document (or 304 to a conditional
//!    request).
//! 4. At most 64 KiB of a response are read, and of a key set as much as configured. Time limits
//!    are 3 seconds for the connection and 5 for the response.
//! 5. Metadata are requested at the three locations of OpenID Connect Discovery and RFC 8414; a 4xx
//!    leads to the next. They must name exactly the configured issuer (OpenID Connect Discovery
//!    §4.3, RFC 8414 §3.3).
//! 6. Only a proxy configured here is used. Environment variables are not read, because they could
//!    redirect the traffic.
//! 7. Responses are never decompressed, regardless of the features of `reqwest` that the app
//!    enables.
//!
//! Feature `testing` adds the module `testing`, an identity provider for tests.
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
