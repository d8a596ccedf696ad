//! How the tokens of well-known providers look, as far as their documentation fixes it.
//!
//! 1. A preset says what [`TrustedIssuer`]'s methods say; none is looser than RFC 9068 needs to be
//!    for that provider's tokens.
//! 2. Where a provider's documentation tells its access tokens from its other tokens, the others
//!    are refused.
//! 3. What a user may do (roles, permissions) becomes roles, what a client was granted becomes
//!    scope. One never counts as the other: a client that was granted little must not get all that
//!    its user has.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::token::mapping;
use crate::token::mapping::MappedClaims;
use crate::token::verify::{RequiredClaims, TokenType, TrustedIssuer};

/// A provider whose tokens do not follow RFC 9068.
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
    /// Access tokens of Auth0's own profile. The issuer ends with a slash. `typ` is `JWT`, the
    /// client is in `azp`; with *Add Permissions in the Access Token* the user's `permissions`
    /// become roles.
    ///
    /// APIs that are set to the RFC 9068 profile need no preset but [`mapping::auth0_permissions`].
    Auth0,
    /// Access tokens of Microsoft Entra ID, for one tenant. `typ` is `JWT`; the scopes are in
    /// `scp`, the app roles in `roles`, the client in `azp` (v2.0) or `appid` (v1.0). A token with
    /// neither `scp` nor `roles` gives no access and is refused.
    ///
    /// The issuer has the tenant's id in it; that of several tenants at once (`common`) names none
    /// and cannot be used. Its keys come without `alg`: name RS256 alone.
    ///
    /// # Security
    /// Give the API an app registration of its own: ID tokens of a client have the client's id as
    /// their audience.
    Entra,
    /// ID tokens of Google, whose access tokens are opaque: for signing in, and for service
    /// accounts. The issuer is `https://accounts.google.com`, the audience your client id, the
    /// client is in `azp`. They have neither scope nor roles.
    Google,
    /// Access tokens of Keycloak. `typ` is `JWT`, that of the claims is `Bearer` (ID and refresh
    /// tokens have another, and so have tokens bound by DPoP, whose proof would not be checked).
    /// Realm roles become roles; the client is in `azp`. Clients that are set to write `at+jwt`
    /// need [`TokenType::AccessToken`] after it.
    Keycloak,
}

impl Provider {
    pub(crate) fn describe(self, issuer: TrustedIssuer) -> TrustedIssuer {
        let issuer = issuer
            .with_token_type(TokenType::Named("JWT".to_owned()))
            .with_required_claims(RequiredClaims::Subject)
            .with_mapping(mapping::authorized_party);
        match self {
            Self::Auth0 => issuer.with_mapping(mapping::auth0_permissions),
            Self::Entra => issuer.with_mapping(mapping::scp).with_mapping(entra),
            Self::Google => issuer,
            Self::Keycloak => issuer
                .with_mapping(keycloak)
                .with_mapping(mapping::keycloak_realm_roles),
        }
    }
}

/// The claims of Entra by which its access tokens are known.
#[derive(Deserialize)]
#[serde(try_from = "EntraMembers")]
struct EntraAccess {
    appid: Option<String>,
}

#[derive(Deserialize)]
struct EntraMembers {
    appid: Option<String>,
    scp: Option<IgnoredAny>,
    roles: Option<IgnoredAny>,
}

impl TryFrom<EntraMembers> for EntraAccess {
    type Error = &'static str;

    fn try_from(members: EntraMembers) -> Result<Self, Self::Error> {
        if members.scp.is_some() || members.roles.is_some() {
            let appid = members.appid;
            Ok(Self { appid })
        } else {
            Err("neither scp nor roles")
        }
    }
}

fn entra(theirs: EntraAccess, claims: &mut MappedClaims<'_>) {
    if let Some(appid) = theirs.appid {
        claims.set_missing_client_id(appid);
    }
}

/// The claim by which Keycloak tells its tokens apart.
#[derive(Deserialize)]
struct KeycloakType {
    #[serde(rename = "typ")]
    _typ: Bearer,
}

#[derive(Deserialize)]
enum Bearer {
    Bearer,
}

/// Deserializing has decided.
fn keycloak(_: KeycloakType, _: &mut MappedClaims<'_>) {}

impl TrustedIssuer {
    /// Takes tokens as this provider writes them: its `typ`, the claims that it has, and where its
    /// scopes, roles and client are. What is set afterwards counts instead.
    pub fn with_provider(self, provider: Provider) -> Self {
        provider.describe(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::error::Cause;
    use crate::keys::Key;
    use crate::testing::TokenForge;
    use crate::token::claims::Verified;
    use crate::token::verify::trusted::ScopeForm;
    use crate::token::verify::{Failure, TimeRules, TrustedIssuers, Turn};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn key() -> Key {
        Key::hs256("k1", &[7; 32]).unwrap()
    }

    fn issuer(claims: &Value, audience: &str) -> TrustedIssuer {
        TrustedIssuer::for_issuer(claims["iss"].as_str().unwrap())
            .audience(audience)
            .keys(key())
    }

    fn judge(
        trusted: TrustedIssuer,
        typ: &str,
        claims: &Value,
    ) -> Result<Arc<Verified<()>>, Cause> {
        let forge = TokenForge::new(&key(), NOW).header("typ", typ);
        let token = forge.payload_raw(claims.to_string()).mint();
        let issuers = TrustedIssuers::new(trusted, Vec::new()).unwrap();
        match issuers.verify::<()>(&token, NOW, &TimeRules::default(), Turn::First) {
            Ok((verified, _)) => Ok(verified),
            Err(Failure::Refused(cause)) => Err(cause),
            Err(failure) => panic!("{failure:?}"),
        }
    }

    fn with(claims: &Value, name: &str, value: Value) -> Value {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    }

    fn without(claims: &Value, name: &str) -> Value {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    fn roles(verified: &Verified<()>) -> Vec<&str> {
        verified.registered.roles().collect()
    }

    fn keycloak_token() -> Value {
        json!({
            "exp": 1_800_000_300, "iat": 1_800_000_000, "auth_time": 1_799_999_990,
            "jti": "onrtac:4d9e7c1e", "iss": "https://id.example/realms/main",
            "aud": ["api", "account"], "sub": "7a1c2d3e", "typ": "Bearer", "azp": "web",
            "sid": "c7f5", "acr": "1", "allowed-origins": ["https://app.example"],
            "realm_access": { "roles": ["default-roles-main", "editor"] },
            "resource_access": { "account": { "roles": ["manage-account"] } },
            "scope": "openid profile email", "email_verified": true,
            "preferred_username": "alice",
        })
    }

    #[test]
    fn keycloak_tokens_have_realm_roles_and_a_client() {
        let claims = keycloak_token();
        let trusted = || issuer(&claims, "api").with_provider(Provider::Keycloak);
        let verified = judge(trusted(), "JWT", &claims).unwrap();
        assert_eq!(roles(&verified), ["default-roles-main", "editor"]);
        assert_eq!(verified.registered.client_id(), Some("web"));
        assert_eq!(verified.registered.scope().as_str(), "openid profile email");
        let bare = without(&claims, "realm_access");
        assert_eq!(roles(&judge(trusted(), "JWT", &bare).unwrap()), [""; 0]);
        // A service account without the `basic` scope has no subject.
        let nobody = without(&claims, "sub");
        assert_eq!(judge(trusted(), "JWT", &nobody).err(), Some(Cause::Claims));
    }

    #[test]
    fn a12_keycloaks_other_tokens_are_refused() {
        let claims = keycloak_token();
        let trusted = || issuer(&claims, "api").with_provider(Provider::Keycloak);
        for typ in ["ID", "Refresh", "Offline", "Logout", "DPoP", "bearer"] {
            let other = with(&claims, "typ", json!(typ));
            assert_eq!(
                judge(trusted(), "JWT", &other).err(),
                Some(Cause::Claims),
                "{typ}"
            );
        }
        let none = without(&claims, "typ");
        assert_eq!(judge(trusted(), "JWT", &none).err(), Some(Cause::Claims));
        assert_eq!(judge(trusted(), "at+jwt", &claims).err(), Some(Cause::Type));
        let set = trusted().with_token_type(TokenType::AccessToken);
        assert!(judge(set, "at+jwt", &claims).is_ok());
    }

    fn auth0_token() -> Value {
        json!({
            "iss": "https://tenant.eu.auth0.com/", "sub": "auth0|123456",
            "aud": ["https://api.example", "https://tenant.eu.auth0.com/userinfo"],
            "iat": 1_800_000_000, "exp": 1_800_086_400, "azp": "client",
            "scope": "openid read:items", "permissions": ["read:items", "delete:items"],
        })
    }

    #[test]
    fn auth0_permissions_are_the_users_and_no_scope() {
        let claims = auth0_token();
        let audience = "https://api.example";
        let trusted = || issuer(&claims, audience).with_provider(Provider::Auth0);
        let verified = judge(trusted(), "JWT", &claims).unwrap();
        assert_eq!(roles(&verified), ["read:items", "delete:items"]);
        assert!(!verified.registered.scope().contains("delete:items"));
        assert_eq!(verified.registered.client_id(), Some("client"));
        let plain = without(&claims, "permissions");
        assert_eq!(roles(&judge(trusted(), "JWT", &plain).unwrap()), [""; 0]);
        for wrong in [json!("delete:items"), json!([1]), json!({"a": "b"})] {
            let wrong = with(&claims, "permissions", wrong);
            assert_eq!(judge(trusted(), "JWT", &wrong).err(), Some(Cause::Claims));
        }
        // Without the slash it is another issuer.
        let other = with(&claims, "iss", json!("https://tenant.eu.auth0.com"));
        assert_eq!(judge(trusted(), "JWT", &other).err(), Some(Cause::Issuer));
    }

    #[test]
    fn auth0s_rfc_9068_profile_needs_no_preset() {
        let mut claims = without(&auth0_token(), "azp");
        claims["client_id"] = json!("client");
        claims["jti"] = json!("73Wak");
        let trusted =
            issuer(&claims, "https://api.example").with_mapping(mapping::auth0_permissions);
        let verified = judge(trusted, "at+jwt", &claims).unwrap();
        assert_eq!(roles(&verified), ["read:items", "delete:items"]);
    }

    fn entra_token() -> Value {
        let tenant = "11111111-2222-3333-4444-555555555555";
        json!({
            "aud": "66666666-7777-8888-9999-000000000000",
            "iss": format!("https://login.microsoftonline.com/{tenant}/v2.0"),
            "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_004_500, "aio": "x",
            "azp": "aaaaaaaa-0000-0000-0000-000000000000", "azpacr": "1", "oid": "o", "rh": "r",
            "roles": ["Orders.Admin"], "scp": "Orders.Read Orders.Write", "sub": "pairwise",
            "tid": tenant, "uti": "u", "ver": "2.0",
        })
    }

    #[test]
    fn entra_tokens_have_scopes_in_scp_and_roles_in_roles() {
        let claims = entra_token();
        let audience = claims["aud"].as_str().unwrap().to_owned();
        let trusted = || issuer(&claims, &audience).with_provider(Provider::Entra);
        let verified = judge(trusted(), "JWT", &claims).unwrap();
        assert_eq!(
            verified.registered.scope().as_str(),
            "Orders.Read Orders.Write"
        );
        assert_eq!(roles(&verified), ["Orders.Admin"]);
        assert_eq!(verified.registered.client_id(), claims["azp"].as_str());

        let daemon = without(&claims, "scp");
        assert!(
            judge(trusted(), "JWT", &daemon)
                .unwrap()
                .registered
                .scope()
                .is_empty()
        );
        let user = without(&claims, "roles");
        assert_eq!(roles(&judge(trusted(), "JWT", &user).unwrap()), [""; 0]);
        let id_token = without(&daemon, "roles");
        assert_eq!(
            judge(trusted(), "JWT", &id_token).err(),
            Some(Cause::Claims)
        );

        // v1.0 names the client differently.
        let mut first = without(&claims, "azp");
        first["appid"] = json!("bbbbbbbb-0000-0000-0000-000000000000");
        let verified = judge(trusted(), "JWT", &first).unwrap();
        assert_eq!(verified.registered.client_id(), first["appid"].as_str());
        // Another tenant's token is another issuer's.
        let other = claims["iss"].as_str().unwrap().replace("1111", "9999");
        let other = with(&claims, "iss", json!(other));
        assert_eq!(judge(trusted(), "JWT", &other).err(), Some(Cause::Issuer));
    }

    #[test]
    fn google_id_tokens_are_accepted_for_the_client_they_were_made_for() {
        let claims = json!({
            "iss": "https://accounts.google.com", "azp": "1-a.apps.googleusercontent.com",
            "aud": "1-a.apps.googleusercontent.com", "sub": "10769150350006150715113082367",
            "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "email": "alice@example.com",
            "email_verified": true, "iat": 1_800_000_000, "exp": 1_800_003_600, "nonce": "n",
        });
        let trusted = |audience: &str| issuer(&claims, audience).with_provider(Provider::Google);
        let verified = judge(trusted("1-a.apps.googleusercontent.com"), "JWT", &claims).unwrap();
        assert!(verified.registered.scope().is_empty());
        assert_eq!(verified.registered.client_id(), claims["azp"].as_str());
        let other = judge(trusted("2-b.apps.googleusercontent.com"), "JWT", &claims);
        assert_eq!(other.err(), Some(Cause::Audience));
    }

    #[test]
    fn a_scope_list_is_read_only_where_the_issuer_is_known_to_write_one() {
        let claims = with(
            &auth0_token(),
            "scope",
            json!(["read", "a b", "write", "ä"]),
        );
        let audience = "https://api.example";
        let trusted = || issuer(&claims, audience).with_provider(Provider::Auth0);
        assert_eq!(judge(trusted(), "JWT", &claims).err(), Some(Cause::Claims));
        let listing = || trusted().with_scope_form(ScopeForm::TextOrList);
        let verified = judge(listing(), "JWT", &claims).unwrap();
        assert_eq!(verified.registered.scope().as_str(), "read write");
        for wrong in [json!([1]), json!(["a", null]), json!({"a": 1}), json!(null)] {
            let wrong = with(&claims, "scope", wrong);
            assert_eq!(judge(listing(), "JWT", &wrong).err(), Some(Cause::Claims));
        }
        let text = with(&claims, "scope", json!("read"));
        assert!(judge(listing(), "JWT", &text).is_ok());
    }
}
