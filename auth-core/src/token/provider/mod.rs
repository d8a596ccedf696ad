//! Presets for the access tokens of well-known providers, as far as their documentation fixes the
//! form.
//!
//! 1. A preset calls methods of [`TrustedIssuer`]. It deviates from RFC 9068 only as far as the
//!    tokens of the provider require.
//! 2. If the documentation of a provider distinguishes its access tokens from its other tokens, the
//!    others are refused.
//! 3. Permissions of the user (roles, permissions) become roles; grants to the client become scope.
//!    The two are never mixed: a client with few grants must not get all permissions of its user.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::token::mapping;
use crate::token::mapping::MappedClaims;
use crate::token::verify::{RequiredClaims, TokenType, TrustedIssuer};

/// The preset for a provider whose tokens do not follow RFC 9068.
///
/// ```
/// use auth_core::{Authenticator, Provider, TrustedIssuer};
/// use std::sync::Arc;
///
/// # fn keys() -> auth_core::Key { auth_core::Key::hs256("k1", &[7; 32]).unwrap() }
/// let entra = TrustedIssuer::for_issuer(
///     "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
/// )
/// .audience("66666666-7777-8888-9999-000000000000")
/// .keys(keys())
/// .with_provider(Provider::Entra);
/// let auth: Arc<Authenticator<()>> = Authenticator::trusting(entra).build()?;
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// Access tokens of Active Directory Federation Services. `typ` is `JWT`; the scopes are in
    /// `scp`, the client is in `appid`. The rules of the relying party decide whether there is a
    /// `sub`: see [`TrustedIssuer::with_subject_claims`].
    Adfs,
    /// ID tokens of Sign in with Apple, for signing in. They have no `typ`. The audience is the
    /// bundle or services id.
    ///
    /// # Security
    /// Only the audience distinguishes them from other tokens of Apple.
    Apple,
    /// Access tokens of Auth0's own profile. The issuer ends with a slash. `typ` is `JWT`, the
    /// client is in `azp`; with *Add Permissions in the Access Token* the user's `permissions`
    /// become roles.
    ///
    /// APIs with the RFC 9068 profile need no preset but [`mapping::auth0_permissions`].
    Auth0,
    /// Session tokens of Clerk. `typ` is `JWT`. They have no `aud`: the origin of the front end is in
    /// `azp`, see [`audience_in`](crate::NeedsAudience::audience_in).
    Clerk,
    /// Tokens that Cloudflare Access adds to a request for the app behind it. The audience is the
    /// tag of the app. Tokens of the team domain itself (`type` is `org`) are refused. Service
    /// tokens have an empty `sub`: see [`TrustedIssuer::with_subject_claims`].
    CloudflareAccess,
    /// Access tokens of Amazon Cognito, which have no `typ`. They have no `aud` either: the app is in
    /// `client_id`, see [`audience_in`](crate::NeedsAudience::audience_in). ID tokens
    /// (`token_use` is `id`) are refused. The user's groups become roles.
    Cognito,
    /// Access tokens of Microsoft Entra ID, for one tenant. `typ` is `JWT`; the scopes are in
    /// `scp`, the app roles in `roles`, the client in `azp` (v2.0) or `appid` (v1.0). A token with
    /// neither `scp` nor `roles` gives no access and is refused.
    ///
    /// The issuer contains the id of the tenant. The shared issuer (`common`) names no tenant and
    /// cannot be used. The keys have no `alg`: accept RS256 only.
    ///
    /// # Security
    /// Give the API an app registration of its own: ID tokens of a client have the client's id as
    /// their audience.
    Entra,
    /// ID tokens of Firebase Authentication. `typ` is `JWT`, the audience the project's id.
    Firebase,
    /// Tokens of a GitHub Actions workflow. `typ` is `JWT`; the workflow requests the audience.
    ///
    /// # Security
    /// Every repository on GitHub gets such tokens: check the subject, or the claims `repository`
    /// and `ref`, before anything is allowed.
    GitHubActions,
    /// ID tokens of Google, whose access tokens are opaque: for signing in, and for service
    /// accounts. The issuer is `https://accounts.google.com`, the audience is the client id, the
    /// client is in `azp`. They have neither scope nor roles.
    Google,
    /// Access tokens of Keycloak. `typ` is `JWT`, and the claim `typ` is `Bearer` (ID and refresh
    /// tokens have another value, and so have tokens bound by DPoP, whose proof would not be
    /// checked). Realm roles become roles; the client is in `azp`. For clients that are set to
    /// write `at+jwt`, set [`TokenType::AccessToken`] after the preset.
    Keycloak,
    /// Tokens of the service accounts of a Kubernetes cluster, which have no `typ`. The subject is
    /// `system:serviceaccount:NAMESPACE:NAME`.
    ///
    /// # Security
    /// Request a token with an audience of the app (a projected volume). The cluster's default
    /// audience also grants access to its API.
    Kubernetes,
    /// Access tokens of a custom authorization server of Okta, which have no `typ`. The scopes are in
    /// `scp`, the client is in `cid`. ID tokens, which have no `cid`, are refused.
    Okta,
    /// Access tokens of Supabase. `typ` is `JWT`, the audience `authenticated`. Their `role` is a
    /// database role and is not mapped to a role.
    Supabase,
    /// Access tokens of ZITADEL in JWT form. `typ` is `JWT`, the audience is the id of the project.
    /// Their roles apply to one organization each and are not mapped: read them with a
    /// [mapping](TrustedIssuer::with_mapping) that checks the organization.
    Zitadel,
}

impl Provider {
    pub(crate) fn describe(self, issuer: TrustedIssuer) -> TrustedIssuer {
        let issuer = issuer
            .with_required_claims(RequiredClaims::Subject)
            .with_token_type(self.token_type())
            .with_mapping(mapping::authorized_party);
        match self {
            Self::Adfs => issuer.with_mapping(mapping::scp).with_mapping(app_id),
            Self::Auth0 => issuer.with_mapping(mapping::auth0_permissions),
            Self::CloudflareAccess => issuer.with_mapping(cloudflare),
            Self::Cognito => issuer.with_mapping(cognito),
            Self::Entra => issuer
                .with_mapping(entra)
                .with_mapping(mapping::scp)
                .with_mapping(app_id),
            Self::Keycloak => issuer
                .with_mapping(keycloak)
                .with_mapping(mapping::keycloak_realm_roles),
            Self::Okta => issuer.with_mapping(mapping::scp).with_mapping(okta),
            Self::Apple
            | Self::Clerk
            | Self::Firebase
            | Self::GitHubActions
            | Self::Google
            | Self::Kubernetes
            | Self::Supabase
            | Self::Zitadel => issuer,
        }
    }

    fn token_type(self) -> TokenType {
        match self {
            Self::Apple
            | Self::CloudflareAccess
            | Self::Cognito
            | Self::Kubernetes
            | Self::Okta => TokenType::Any,
            _ => TokenType::Named("JWT".to_owned()),
        }
    }
}

/// The client claim of ADFS and of Entra v1.0.
#[derive(Deserialize)]
struct AppId {
    appid: Option<String>,
}

fn app_id(theirs: AppId, claims: &mut MappedClaims<'_>) {
    if let Some(appid) = theirs.appid {
        claims.set_missing_client_id(appid);
    }
}

/// The claim that distinguishes Cloudflare's app tokens from those of the team domain.
#[derive(Deserialize)]
struct CloudflareType {
    #[serde(rename = "type")]
    _type: Option<App>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum App {
    App,
}

/// The check happens during deserialization.
fn cloudflare(_: CloudflareType, _: &mut MappedClaims<'_>) {}

/// The claims of Cognito's access tokens.
#[derive(Deserialize)]
struct CognitoAccess {
    #[serde(rename = "token_use")]
    _token_use: Access,
    #[serde(default, rename = "cognito:groups")]
    groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Access {
    Access,
}

fn cognito(theirs: CognitoAccess, claims: &mut MappedClaims<'_>) {
    claims.add_roles(theirs.groups);
}

/// The client claim of Okta, present in access tokens only.
#[derive(Deserialize)]
struct OktaAccess {
    cid: String,
}

fn okta(theirs: OktaAccess, claims: &mut MappedClaims<'_>) {
    claims.set_missing_client_id(theirs.cid);
}

/// The claims that identify Entra's access tokens.
#[derive(Deserialize)]
#[serde(try_from = "EntraMembers")]
struct EntraAccess;

#[derive(Deserialize)]
struct EntraMembers {
    scp: Option<IgnoredAny>,
    roles: Option<IgnoredAny>,
}

impl TryFrom<EntraMembers> for EntraAccess {
    type Error = &'static str;

    fn try_from(members: EntraMembers) -> Result<Self, Self::Error> {
        if members.scp.is_some() || members.roles.is_some() {
            Ok(Self)
        } else {
            Err("neither scp nor roles")
        }
    }
}

/// The check happens during deserialization.
fn entra(_: EntraAccess, _: &mut MappedClaims<'_>) {}

/// The claim that distinguishes the token types of Keycloak.
#[derive(Deserialize)]
struct KeycloakType {
    #[serde(rename = "typ")]
    _typ: Bearer,
}

#[derive(Deserialize)]
enum Bearer {
    Bearer,
}

/// The check happens during deserialization.
fn keycloak(_: KeycloakType, _: &mut MappedClaims<'_>) {}

impl TrustedIssuer {
    /// Configures this issuer for the tokens of `provider`: their `typ`, their required claims, and
    /// the claims for scopes, roles and client. Later calls override the preset.
    pub fn with_provider(self, provider: Provider) -> Self {
        provider.describe(self)
    }
}

#[cfg(test)]
mod tests;
