//! Optional endpoints for OAuth clients and resource servers. An app mounts those that it needs
//! with its adapter's `endpoint_route`.
//!
//! | endpoint | response | callers |
//! |---|---|---|
//! | [`ProtectedResource`] (RFC 9728) | the issuers of tokens for this API, and its scopes | all |
//! | [`IssuerMetadata`] (RFC 8414) | the issuer identifier, and the URLs of its keys and endpoints | all |
//! | [`TokenRevocation`] (RFC 7009) | ends the session of a token | clients accepted by [`AuthenticateClient`] |
//! | [`Introspection`] (RFC 7662) | whether a token is active, and its claims | callers whose own token has the scope that the [`Guard`](crate::Guard) requires |
//!
//! 1. Access to revocation and introspection has no default: its check is an argument of the
//!    constructor.
//! 2. A form is parsed strictly (RFC 6749 §3.2, appendix B): its media type must be
//!    `application/x-www-form-urlencoded`, and a known parameter must not be repeated.
//! 3. Metadata may be cached for an hour; every other response has `Cache-Control: no-store`.
//! 4. An unavailable store, key set or feed is 503 with `Retry-After`, never a statement about a
//!    token.
//! 5. The table of responses defines the errors, beside the refusals.
//!
//! # Requirements of the RFCs
//!
//! | | requirement | implementation |
//! |---|---|---|
//! | RFC 9728 §2 | `resource` is present; an `https` URL without fragment | [`ProtectedResource::new`] refuses others |
//! | §2 | members without elements are left out | yes |
//! | §3.1 | the well-known path comes between host and path | [`ProtectedResource::path`](crate::adapter::Endpoint::path) |
//! | §3.2 | 200, `application/json` | yes |
//! | §5.1 | the challenge names the document in `resource_metadata` | [`with_resource_metadata`](crate::AuthenticatorBuilder::with_resource_metadata) |
//! | RFC 8414 §2 | `issuer` is an `https` URL without query and fragment | [`IssuerMetadata::new`] refuses others |
//! | §3.1 | the well-known path comes between host and path | [`IssuerMetadata::path`](crate::adapter::Endpoint::path) |
//! | §3.2 | 200, `application/json`, no empty members | yes; without an authorization endpoint, `response_types_supported` is left out too. An app that has one adds both |
//! | RFC 7009 §2 | POST, form-encoded | else 405 or 400 |
//! | §2.1 | the client is authenticated before the token is read, and must be the one that the token was issued to | [`AuthenticateClient`]; another client's token is `invalid_grant` |
//! | §2.1 | refresh tokens can be revoked | ends the session, and with it its access tokens |
//! | §2.2 | 200, also for an invalid token | yes |
//! | §2.2.1 | `unsupported_token_type` | for an access token without a session |
//! | §2.2.1 | 503: the client must assume that the token still exists | rule 4 |
//! | RFC 7662 §2.1 | the caller is authorized | [`Introspection::new`] takes a guard that requires a scope or role, and refuses others |
//! | §2.2 | `active`; no other member for an inactive token | yes |
//! | §4 | all checks of a normal use: time, signature, revocation, audience | those of the authenticator |

pub(crate) mod client;
pub(crate) mod form;
pub(crate) mod introspection;
pub(crate) mod issuer;
pub(crate) mod metadata;
pub(crate) mod resource;
pub(crate) mod revocation;

pub use self::client::{AuthenticateClient, ClientCredentials, ClientsUnavailable, PublicClient};
pub use self::introspection::Introspection;
pub use self::issuer::IssuerMetadata;
pub use self::resource::ProtectedResource;
pub use self::revocation::TokenRevocation;
