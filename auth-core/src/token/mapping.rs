//! Mappings from other issuers' claims to registered claims.
//!
//! RFC 9068 defines the claims for scope, roles and client of an access token; many providers use
//! other claims. A mapping is a function. Its first argument is a type of the app, into which the
//! token's claims are deserialized; its second argument holds the claims that it may change:
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
//! A mapping runs after the checks of signature, `iss` and `aud`, and only for the issuer to which
//! it was added. It cannot change issuer, audience, subject or expiry. The app's own claims type
//! receives the original claims of the token.
//!
//! For well-known providers there are [presets](crate::Provider).

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::error::Cause;
use crate::base::opaque::opaque_debug;
use crate::base::scope::Scope;
use crate::token::claims::RegisteredClaims;

/// The claims of a verified token that a mapping may change.
pub struct MappedClaims<'c> {
    claims: &'c mut RegisteredClaims,
}

impl MappedClaims<'_> {
    /// The current claims, including changes of earlier mappings.
    #[must_use]
    pub fn registered(&self) -> &RegisteredClaims {
        self.claims
    }

    /// Adds scope tokens. Those that no challenge could quote (RFC 6749 §3.3) are left out.
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

    /// Sets the client of the token, unless the token has a `client_id`.
    pub fn set_missing_client_id(&mut self, client_id: impl Into<String>) {
        self.claims
            .client_id
            .get_or_insert_with(|| client_id.into().into_boxed_str());
    }
}

opaque_debug!(MappedClaims<'_>);

/// A type-erased mapping.
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

opaque_debug!(Mapping);

/// The claim `scp`, used instead of `scope` by Microsoft Entra (space-separated) and Okta (an
/// array).
#[doc(hidden)]
#[derive(Deserialize)]
pub struct Scp {
    scp: Option<ScpValue>,
}

/// Adds the scopes of the `scp` claim, a space-separated string or an array of strings.
pub fn scp(theirs: Scp, claims: &mut MappedClaims<'_>) {
    match theirs.scp {
        Some(ScpValue::One(text)) => claims.add_scope(text.split(' ')),
        Some(ScpValue::Many(tokens)) => claims.add_scope(tokens),
        None => {}
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ScpValue {
    One(String),
    Many(Vec<String>),
}

/// The roles in an access token of Keycloak.
#[doc(hidden)]
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

/// The permissions in an access token of Auth0, if the API adds them.
#[doc(hidden)]
#[derive(Deserialize)]
pub struct Auth0Permissions {
    #[serde(default)]
    permissions: Vec<String>,
}

/// Maps Auth0's `permissions` to roles. They are all permissions of the user; `scope` holds those
/// granted to the client.
pub fn auth0_permissions(theirs: Auth0Permissions, claims: &mut MappedClaims<'_>) {
    claims.add_roles(theirs.permissions);
}

/// The claim `azp` (OpenID Connect Core §2), used by Keycloak, Entra, Auth0 and Google.
#[doc(hidden)]
#[derive(Deserialize)]
pub struct AuthorizedParty {
    azp: Option<String>,
}

/// Maps `azp` to the client of tokens without `client_id`.
pub fn authorized_party(theirs: AuthorizedParty, claims: &mut MappedClaims<'_>) {
    if let Some(azp) = theirs.azp {
        claims.set_missing_client_id(azp);
    }
}

opaque_debug!(Scp, KeycloakRoles, Auth0Permissions, AuthorizedParty);
