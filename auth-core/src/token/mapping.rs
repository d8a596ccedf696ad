//! Reading other issuers' claims as ours.
//!
//! RFC 9068 says where scope, roles and client of an access token are; many providers put them
//! elsewhere. A mapping is a function from a type of yours, into which the token's claims are
//! deserialized, to the claims that this crate understands:
//!
//! ```
//! use auth_core::mapping::MappedClaims;
//! use auth_core::{Key, TrustedIssuer};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Groups {
//!     #[serde(default)]
//!     groups: Vec<String>,
//! }
//!
//! # fn keys() -> Key { Key::hs256("k1", &[7; 32]).unwrap() }
//! let issuer = TrustedIssuer::for_issuer("https://tenant.example/")
//!     .audience("https://api.example")
//!     .keys(keys())
//!     .with_mapping(|theirs: Groups, claims: &mut MappedClaims<'_>| {
//!         claims.add_roles(theirs.groups);
//!     });
//! ```
//!
//! It runs after the signature, `iss` and `aud` have been checked, and only for the issuer that it
//! was given to. It cannot change who issued a token, for whom, about whom, or for how long. The
//! app's own claims type sees the token's claims as they are.
//!
//! For well-known providers there are [presets](crate::Provider).

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::error::Cause;
use crate::base::scope::Scope;
use crate::token::claims::RegisteredClaims;

/// The claims of a verified token that a mapping may change.
pub struct MappedClaims<'c> {
    claims: &'c mut RegisteredClaims,
}

impl MappedClaims<'_> {
    /// The claims so far.
    #[must_use]
    pub fn registered(&self) -> &RegisteredClaims {
        self.claims
    }

    /// Adds scope tokens. Those that no challenge could name (RFC 6749 §3.3) are left out.
    pub fn add_scope<I>(&mut self, tokens: I)
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut all: Vec<String> = self.claims.scope.iter().map(str::to_owned).collect();
        all.extend(tokens.into_iter().map(|token| token.as_ref().to_owned()));
        self.claims.scope = Scope::from_list(all.iter().map(String::as_str));
    }

    /// Adds roles.
    pub fn add_roles<I>(&mut self, roles: I)
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let roles = roles.into_iter().map(|role| role.into().into_boxed_str());
        self.claims.roles.extend(roles);
    }

    /// Sets the client that asked for the token, unless the token has a `client_id`.
    pub fn set_missing_client_id(&mut self, client_id: impl Into<String>) {
        self.claims
            .client_id
            .get_or_insert_with(|| client_id.into().into_boxed_str());
    }
}

impl fmt::Debug for MappedClaims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedClaims").finish_non_exhaustive()
    }
}

/// A mapping without its type.
#[derive(Clone)]
pub(crate) struct Mapping(Arc<Apply>);

impl Mapping {
    pub(crate) fn new<F, M>(map: M) -> Self
    where
        F: DeserializeOwned,
        M: Fn(F, &mut MappedClaims<'_>) + Send + Sync + 'static,
    {
        Self(Arc::new(
            move |payload: &[u8], claims: &mut RegisteredClaims| {
                // The error is dropped: it quotes the token.
                let theirs = serde_json::from_slice(payload).map_err(|_| Cause::Claims)?;
                map(theirs, &mut MappedClaims { claims });
                Ok(())
            },
        ))
    }

    pub(crate) fn apply(&self, payload: &[u8], claims: &mut RegisteredClaims) -> Result<(), Cause> {
        (self.0)(payload, claims)
    }
}

type Apply = dyn Fn(&[u8], &mut RegisteredClaims) -> Result<(), Cause> + Send + Sync;

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mapping(..)")
    }
}

/// Scopes in `scp` instead of `scope`: Microsoft Entra (space-separated), Okta (an array).
#[derive(Deserialize)]
pub struct Scp {
    scp: Option<OneOrMany>,
}

/// Adds the scopes of the `scp` claim, be it a space-separated string or an array of strings.
pub fn scp(theirs: Scp, claims: &mut MappedClaims<'_>) {
    match theirs.scp {
        Some(OneOrMany::One(text)) => claims.add_scope(text.split(' ')),
        Some(OneOrMany::Many(tokens)) => claims.add_scope(tokens),
        None => {}
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The roles that Keycloak writes into its access tokens.
#[derive(Deserialize)]
pub struct KeycloakRoles {
    realm_access: Option<RealmAccess>,
}

#[derive(Deserialize)]
struct RealmAccess {
    #[serde(default)]
    roles: Vec<String>,
}

/// Adds the realm roles of Keycloak, `realm_access.roles`.
pub fn keycloak_realm_roles(theirs: KeycloakRoles, claims: &mut MappedClaims<'_>) {
    claims.add_roles(
        theirs
            .realm_access
            .into_iter()
            .flat_map(|realm| realm.roles),
    );
}

/// The permissions that Auth0 writes into its access tokens if the API is set to.
#[derive(Deserialize)]
pub struct Auth0Permissions {
    #[serde(default)]
    permissions: Vec<String>,
}

/// Takes Auth0's `permissions` for roles: they are all that the user may do, whatever the client
/// was granted, which is in `scope`.
pub fn auth0_permissions(theirs: Auth0Permissions, claims: &mut MappedClaims<'_>) {
    claims.add_roles(theirs.permissions);
}

/// The client in `azp` (OpenID Connect Core §2): Keycloak, Entra, Auth0, Google.
#[derive(Deserialize)]
pub struct AuthorizedParty {
    azp: Option<String>,
}

/// Takes `azp` for the client of tokens without `client_id`.
pub fn authorized_party(theirs: AuthorizedParty, claims: &mut MappedClaims<'_>) {
    if let Some(azp) = theirs.azp {
        claims.set_missing_client_id(azp);
    }
}

/// Their `Debug` shows no claim.
macro_rules! opaque {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        })*
    };
}

opaque!(Scp, KeycloakRoles, Auth0Permissions, AuthorizedParty);
