//! Framework-free core of authentication: token verification, issuing, sessions and revocation.
//!
//! Adapters translate a framework's request into a [`RequestView`] and a core [`Answer`] back into
//! a response; every decision is made here.

mod answer;
mod authenticator;
mod cache;
mod claims;
mod clock;
mod context;
mod cookies;
mod csrf;
mod error;
mod guard;
mod issuer;
mod keys;
pub mod mapping;
mod provider;
pub mod remote;
mod request;
mod requirements;
pub mod revocation;
pub mod rotation;
mod routes;
mod scope;
pub mod session;
mod silent;
mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod verdict;
mod verify;

pub use answer::{Answer, Body as ResponseBody, HeaderLine, Refusal, Responder};
pub use authenticator::{Authenticator, AuthenticatorBuilder, ForAudience, ForIssuer};
pub use cache::CacheStatus;
pub use claims::{Authenticated, RegisteredClaims};
pub use clock::{Clock, SystemClock, Timestamp};
pub use context::AuthContext;
pub use cookies::{CookieError, CookieTooLong, CookieTransport};
pub use csrf::CsrfPolicy;
pub use error::{AuthError, AuthErrorKind, Cause, ConfigError};
pub use guard::Guard;
pub use issuer::{
    AccessToken, AccessTokenRequest, Issuer, IssuerWithoutAudience, IssuerWithoutKeys, MintError,
};
pub use keys::{
    Algorithm, Key, KeyRing, KeySource, PrivateJwk, SignError, SignToken, SignatureError,
    VerifySignature,
};
pub use provider::Provider;
pub use request::{RequestView, agreed_authority};
pub use requirements::{Requirements, Requires};
pub use routes::{SessionRoute, SessionRoutes, Transport};
pub use scope::Scope;
pub use source::{BearerHeader, Carrier, CredentialError, PresentedToken, TokenSource};
pub use verdict::{BoxFuture, Pass, ResponseEdits, Step, Verdict};
pub use verify::{
    RequiredClaims, ScopeForm, TokenType, TrustedIssuer, TrustedIssuerWithoutAudience,
    TrustedIssuerWithoutKeys,
};
