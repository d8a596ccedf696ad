//! The presets, tested with tokens in the form of each provider.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::clock::Timestamp;
use crate::base::error::Cause;
use crate::keys::Key;
use crate::testing::TokenForge;
use crate::token::claims::Verified;
use crate::token::provider::*;
use crate::token::verify::{TimeRules, TrustedIssuers, Unverified};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn key() -> Key {
    Key::hs256("k1", &[7; 32]).unwrap()
}

fn issuer(claims: &Value, audience: &str) -> TrustedIssuer {
    TrustedIssuer::for_issuer(claims["iss"].as_str().unwrap())
        .audience(audience)
        .keys(key())
}

fn judge(trusted: TrustedIssuer, typ: &str, claims: &Value) -> Result<Arc<Verified<()>>, Cause> {
    let forge = TokenForge::new(&key(), NOW).header("typ", typ);
    let token = forge.payload_raw(claims.to_string()).mint();
    let issuers = TrustedIssuers::new(trusted, Vec::new()).unwrap();
    match issuers.verify::<()>(&token, NOW, &TimeRules::default(), None) {
        Ok((verified, _)) => Ok(verified),
        Err(Unverified::Refused(error)) => Err(error.cause()),
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
    let nobody = judge(trusted(), "JWT", &without(&claims, "sub"));
    assert_eq!(nobody.err(), Some(Cause::MissingSubject));
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
    // An issuer without the slash is a different one.
    let other = with(&claims, "iss", json!("https://tenant.eu.auth0.com"));
    assert_eq!(judge(trusted(), "JWT", &other).err(), Some(Cause::Issuer));
}

#[test]
fn auth0s_rfc_9068_profile_needs_no_preset() {
    let mut claims = without(&auth0_token(), "azp");
    claims["client_id"] = json!("client");
    claims["jti"] = json!("73Wak");
    let trusted = issuer(&claims, "https://api.example").with_mapping(mapping::auth0_permissions);
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
    // A token of another tenant has another issuer.
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
