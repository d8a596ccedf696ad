//! Framework-free core of authentication: token verification, issuing, sessions and revocation.
//!
//! Most apps use it through [`auth-tower`](https://docs.rs/auth-tower) (axum, tower) or
//! [`auth-actix`](https://docs.rs/auth-actix), which translate requests and responses. Every
//! decision is made here, so both respond alike.
//!
//! ```
//! use auth_core::{AccessTokenRequest, Issuer, Key, Scope};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Issuer::for_issuer("https://me.example")
//!     .audience("https://api.example")
//!     .keys(Key::hs256("k1", &[7; 32])?)?;
//!
//! // The access token of a login, …
//! let alice = AccessTokenRequest::for_subject("alice").with_scope(Scope::parse("read")?);
//! let token = issuer.mint(&alice).await?;
//!
//! // … and the guard that accepts it, for a layer or middleware.
//! let auth = issuer.authenticator::<()>().build()?;
//! let readers = auth.guard().require_scope("read")?;
//! # let _ = (token, readers);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to begin
//!
//! | to | begin with |
//! |---|---|
//! | log in users of an app, with sessions, keys and revocations | [`Auth`] |
//! | accept your own tokens | [`Issuer::authenticator`], [`Guard`] |
//! | accept those of other issuers | [`Authenticator::trusting`], [`Provider`], [`remote`] |
//! | keep users signed in | [`session::Sessions`], [`SessionRoutes`] |
//! | end sessions on every node | [`revocation`] |
//! | rotate keys automatically | [`rotation`] |
//! | read the identity of a request | [`Authenticated`], [`AuthContext`] |
//! | restrict the origins of requests | [`CsrfPolicy`] |
//! | write an adapter for a framework or a cookie format | [`adapter`] |
//! | write a store | [`store`] |
//! | sign with a KMS | [`signing`] |
//! | accept tokens elsewhere in a request | [`source`] |
//!
//! # Checks of a guard, in this order
//!
//! 1. Exactly one credential: none is 401, a second one anywhere is 400.
//! 2. Form and size, before any work: 8 KiB, two dots.
//! 3. The key, by `kid` among the configured ones, and its one algorithm.
//! 4. The signature, then the claims: `iss`, `aud` and `exp` always.
//! 5. Revocation, from memory.
//! 6. The origin of the request, if a cookie carried the token.
//! 7. The requirements of the route: scopes, roles, a recent or strong login.
//!
//! A guard within another one of the same authenticator takes over the identity that the outer
//! guard has proved, and starts with step 6.
//!
//! Core does no I/O, and spawns tasks only in [`AuthBuilder::start`]. Network access comes in through
//! traits. The time comes from a [`Clock`]. There is no global state.
//!
//! # Features
//!
//! | Name | Description | Default? |
//! |---|---|---|
//! | `metrics` | counts and measures through the `metrics` facade: see [`metrics`] | no |
//! | `testing` | the module `testing`: a manual clock, tokens with any defect, failing stores, the conformance kit for stores | no |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth;
mod base;
mod endpoints;
mod guard;
mod http;
mod keys;
mod observe;
pub mod revocation;
pub mod session;
#[cfg(feature = "testing")]
pub mod testing;
mod token;

pub use endpoints::{health, oauth};
pub use keys::remote;
pub use observe::metrics;
pub use token::mapping;

pub mod rotation {
    #![doc = include_str!("docs/rotation.md")]

    pub use crate::endpoints::jwks::JwksEndpoint;
    pub use crate::keys::rotation::*;
}

/// Everything that an adapter for a framework or a cookie format needs.
///
/// An adapter implements [`RequestView`](adapter::RequestView) for the framework's request, calls
/// the [`Guard`], and sends the [`Response`](adapter::Response) or the inner response with its
/// [`ResponseEdits`](adapter::ResponseEdits).
pub mod adapter {
    pub use crate::endpoints::endpoint::Endpoint;
    pub use crate::guard::refusal::Refusal;
    pub use crate::guard::requirements::Requirements;
    pub use crate::guard::verdict::{BoxFuture, Pass, Step, Verdict};
    pub use crate::http::cookies::{CookieError, CookieTooLong, CookieTransport};
    pub use crate::http::edits::ResponseEdits;
    pub use crate::http::header::HeaderLine;
    pub use crate::http::request::{RequestView, request_authority};
    pub use crate::http::response::Response;
}

/// Signatures by other backends, such as a KMS.
pub mod signing {
    pub use crate::keys::{SignError, SignToken, SignatureError, VerifySignature};
}

/// Places of a request where a token may be presented.
pub mod source {
    pub use crate::http::source::{
        BearerHeader, Carrier, CredentialError, PresentedToken, TokenSource,
    };
    pub use crate::http::subprotocol::WebSocketProtocol;
}

/// Everything that a store needs: sessions ([`RefreshStore`](store::RefreshStore)), the feed of
/// revocations ([`RevocationFeed`](store::RevocationFeed)), and keys
/// ([`KeyPersistence`](store::KeyPersistence), [`SealedKeyStore`](store::SealedKeyStore)). A
/// [`Store`](store::Store) is all of them, for an [`Auth`].
pub mod store {
    pub use crate::auth::{OpenedStore, SealedStore, Store};
    pub use crate::base::id::Generation;
    pub use crate::keys::rotation::document::KeySet;
    pub use crate::keys::rotation::persistence::{
        KeyPersistence, LoadedKeys, PersistenceError, PersistenceErrorKind,
    };
    pub use crate::keys::rotation::sealed::{SealedKeySet, SealedKeyStore, SealedRow};
    pub use crate::observe::words::StoreErrorKind;
    pub use crate::revocation::feed::{Batch, Cursor, FeedError, RevocationFeed, Snapshot};
    pub use crate::session::store::ending::{
        Listing, RaisedSubjectVersion, RevocationMark, RevokeSession, RevokeSubject, Revoked,
    };
    pub use crate::session::store::error::StoreError;
    pub use crate::session::store::record::{SessionDetails, SessionRecord, SessionRevocation};
    pub use crate::session::store::{
        InsertOutcome, LoadedSession, NewSession, RefreshStore, RotateSession, RotatedAt,
        StoreClock,
    };
}

pub use auth::{
    Access, Auth, AuthBuilder, AuthNeedsAudience, AuthNeedsStore, AuthResponse, AuthRoutes, Login,
    LoginAttempt, OwnedUserQuery, RateLimitKey, StartError, Users,
};
pub use base::clock::{Clock, SystemClock, Timestamp};
pub use base::config::ConfigError;
pub use base::error::{AuthError, AuthErrorKind, Cause};
pub use base::scope::Scope;
pub use endpoints::routes::{SessionRoute, SessionRoutes, SiteData, Transport};
pub use guard::Guard;
pub use guard::access_end::{AccessEnd, EndReason};
pub use guard::authenticator::{Authenticator, AuthenticatorBuilder};
pub use guard::context::AuthContext;
pub use guard::refusal::Responder;
pub use guard::requirements::Requires;
pub use http::csrf::CsrfPolicy;
pub use http::response::ErrorBody;
pub use keys::{Algorithm, Key, KeyRing, KeySource, PrivateJwk};
pub use session::{UserQuery, UsersUnavailable};
pub use token::cache::CacheStatus;
pub use token::claims::{Authenticated, RegisteredClaims};
pub use token::issuer::{AccessToken, AccessTokenRequest, Issuer, MintError};
pub use token::needs::{NeedsAudience, NeedsKeys};
pub use token::provider::Provider;
pub use token::verify::{RequiredClaims, TokenType, TrustedIssuer};
