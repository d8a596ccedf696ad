//! Formats of the tokens and key sets of well-known providers, from public reports and documentation.

use auth_core::testing::TokenForge;
use auth_core::{Algorithm, Key, Timestamp};
use serde_json::{Map, Value, json};

/// A well-known provider, for [`FakeProvider::start_like`](super::FakeProvider::start_like). Tokens
/// and keys have the format of the real provider; ids and names are invented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "they are names")]
pub enum Likeness {
    Adfs,
    Apple,
    Auth0,
    Clerk,
    CloudflareAccess,
    Cognito,
    Duende,
    EntraV1,
    EntraV2,
    Firebase,
    GitHubActions,
    Google,
    Keycloak,
    Kubernetes,
    Okta,
    Supabase,
    Zitadel,
}

impl Likeness {
    /// All providers.
    pub const ALL: &'static [Self] = &[
        Self::Adfs,
        Self::Apple,
        Self::Auth0,
        Self::Clerk,
        Self::CloudflareAccess,
        Self::Cognito,
        Self::Duende,
        Self::EntraV1,
        Self::EntraV2,
        Self::Firebase,
        Self::GitHubActions,
        Self::Google,
        Self::Keycloak,
        Self::Kubernetes,
        Self::Okta,
        Self::Supabase,
        Self::Zitadel,
    ];

    /// The name of the provider, as in the guide.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Adfs => "ADFS",
            Self::Apple => "Apple",
            Self::Auth0 => "Auth0",
            Self::Clerk => "Clerk",
            Self::CloudflareAccess => "Cloudflare Access",
            Self::Cognito => "Cognito",
            Self::Duende => "Duende",
            Self::EntraV1 => "Entra v1",
            Self::EntraV2 => "Entra v2",
            Self::Firebase => "Firebase",
            Self::GitHubActions => "GitHub Actions",
            Self::Google => "Google",
            Self::Keycloak => "Keycloak",
            Self::Kubernetes => "Kubernetes",
            Self::Okta => "Okta",
            Self::Supabase => "Supabase",
            Self::Zitadel => "Zitadel",
        }
    }

    /// The signing algorithm.
    #[must_use]
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::Supabase => Algorithm::Es256,
            _ => Algorithm::Rs256,
        }
    }

    /// The path of the issuer's URL.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Cognito => "/eu-central-1_pool",
            Self::EntraV2 => "/0f0e0d0c-0000-4000-8000-000000000001/v2.0",
            Self::Keycloak => "/realms/main",
            Self::Okta => "/oauth2/default",
            Self::Supabase => "/auth/v1",
            _ => "",
        }
    }

    /// The audience of its tokens, or the value of the claim used in its place.
    #[must_use]
    pub fn audience(self) -> &'static str {
        match self {
            Self::Adfs => "microsoft:identityserver:api",
            Self::Apple => "com.example.app",
            Self::Clerk => "https://app.example",
            Self::CloudflareAccess => "f8612530c08484786e83e00ff7b549bc",
            Self::Cognito => "4k3c1ient",
            Self::EntraV1 => "api://0a0b0c0d-0000-4000-8000-000000000002",
            Self::EntraV2 => "0a0b0c0d-0000-4000-8000-000000000002",
            Self::Firebase => "proj",
            Self::Google => "1-a.apps.example",
            Self::Supabase => "authenticated",
            Self::Zitadel => "163840776835432705",
            _ => "https://api.example",
        }
    }

    /// The entries of the key set for a key.
    pub(super) fn entries(self, key: &Key) -> Vec<String> {
        let Some(jwk) = key.public_jwk() else {
            return Vec::new();
        };
        let Ok(Value::Object(plain)) = serde_json::from_str(jwk) else {
            return Vec::new();
        };
        let with = |changes: Value| {
            let mut entry = plain.clone();
            merge(&mut entry, changes);
            Value::Object(entry).to_string()
        };
        let certified = json!({ "x5t": thumbprint(key), "x5c": [CERTIFICATE] });
        match self {
            // A key without `alg`.
            Self::EntraV1 | Self::EntraV2 => {
                vec![with(
                    json!({ "alg": null, "x5t": thumbprint(key), "x5c": [CERTIFICATE] }),
                )]
            }
            Self::Keycloak => {
                let encrypting =
                    json!({ "kid": format!("enc-{}", key.id()), "use": "enc", "alg": "RSA-OAEP" });
                vec![with(encrypting), with(certified)]
            }
            Self::Adfs | Self::Auth0 | Self::GitHubActions => vec![with(certified)],
            Self::Supabase => vec![with(json!({ "ext": true, "key_ops": ["verify"] }))],
            _ => vec![with(json!({}))],
        }
    }

    /// Additional members of the key set.
    pub(super) fn more(self) -> &'static str {
        match self {
            Self::CloudflareAccess => {
                r#","public_cert":{"kid":"1","cert":"-"},"public_certs":[{"kid":"1","cert":"-"}]"#
            }
            _ => "",
        }
    }

    /// A token in the provider's format.
    pub(super) fn token(self, issuer: &str, key: &Key, now: Timestamp) -> TokenForge {
        let mut forge = TokenForge::new(key, now)
            .claim("iss", issuer)
            .claim("aud", self.audience())
            .without_claim("client_id")
            .without_claim("jti");
        forge = match self {
            Self::Duende => forge,
            Self::Apple | Self::Cognito | Self::Kubernetes | Self::Okta => {
                forge.without_header("typ")
            }
            _ => forge.header("typ", "JWT"),
        };
        forge = match self {
            Self::Adfs => forge.without_header("kid").header("x5t", thumbprint(key)),
            Self::EntraV1 | Self::EntraV2 | Self::GitHubActions => {
                forge.header("x5t", thumbprint(key))
            }
            Self::Clerk => forge.header("cat", "cl_B7d4PD111AAA"),
            _ => forge,
        };
        if matches!(self, Self::Clerk | Self::Cognito) {
            forge = forge.without_claim("aud");
        }
        if matches!(self, Self::Adfs | Self::Duende) {
            forge = forge.without_claim("sub");
        }
        let claims = self.claims(now.as_secs());
        claims
            .into_iter()
            .fold(forge, |forge, (name, value)| forge.claim(&name, value))
    }

    fn claims(self, now: i64) -> Map<String, Value> {
        let claims = match self {
            Self::Adfs => json!({
                "apptype": "Public", "appid": "worker", "authmethod": "urn:x:PasswordProtectedTransport",
                "auth_time": "2026-11-30T01:02:03.456Z", "ver": "1.0", "scp": "openid read",
            }),
            Self::Apple => json!({
                "sub": "001234.a0b1c2d3e4f5.0101", "nonce": "n", "at_hash": "h",
                "email": "alice@example.com", "email_verified": "true", "auth_time": now,
                "nonce_supported": true,
            }),
            Self::Auth0 => json!({
                "sub": "auth0|123456", "azp": "client", "gty": "password", "scope": "openid read",
                "permissions": ["read:items"],
            }),
            Self::Clerk => json!({
                "sub": "user_2NNE", "azp": self.audience(), "sid": "sess_2Ga", "fva": [1, -1],
                "nbf": now, "sts": "active", "v": 2,
            }),
            Self::CloudflareAccess => json!({
                "aud": [self.audience()], "sub": "a0f884f7", "email": "alice@example.com", "nbf": now,
                "type": "app", "identity_nonce": "1qSn", "country": "GB",
            }),
            Self::Cognito => json!({
                "sub": "f02e777c", "client_id": self.audience(), "token_use": "access",
                "scope": "openid read", "cognito:groups": ["admins"], "username": "alice",
                "auth_time": now, "event_id": "e", "jti": "j", "version": 2,
            }),
            Self::Duende => json!({
                "client_id": "worker", "jti": "1D736303", "nbf": now, "scope": ["read", "write"],
            }),
            Self::EntraV1 => json!({
                "sub": "pairwise", "appid": "client", "appidacr": "1", "nbf": now, "oid": "o",
                "scp": "access_as_user", "tid": "0f0e0d0c-0000-4000-8000-000000000001",
                "amr": ["pwd", "mfa"], "ver": "1.0",
            }),
            Self::EntraV2 => json!({
                "sub": "pairwise", "azp": "client", "azpacr": "1", "nbf": now, "oid": "o",
                "scp": "access_as_user", "roles": ["Orders.Admin"],
                "tid": "0f0e0d0c-0000-4000-8000-000000000001", "ver": "2.0",
            }),
            Self::Firebase => json!({
                "sub": "u", "user_id": "u", "auth_time": now,
                "firebase": { "identities": {}, "sign_in_provider": "custom" },
            }),
            Self::GitHubActions => json!({
                "sub": "repo:octo/app:ref:refs/heads/main", "repository": "octo/app",
                "ref": "refs/heads/main", "run_id": "1", "jti": "j", "nbf": now,
            }),
            Self::Google => json!({
                "sub": "10769150350006150715113082367", "azp": self.audience(), "at_hash": "h",
                "email": "alice@example.com", "email_verified": true,
            }),
            Self::Keycloak => json!({
                "aud": [self.audience(), "account"], "sub": "7a1c2d3e", "typ": "Bearer", "azp": "web",
                "jti": "onrtac:4d9e7c1e", "sid": "c7f5", "acr": "1", "auth_time": now,
                "realm_access": { "roles": ["editor"] }, "scope": "openid profile",
            }),
            Self::Kubernetes => json!({
                "aud": [self.audience()], "sub": "system:serviceaccount:shop:worker", "nbf": now,
                "jti": "j", "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": "worker" } },
            }),
            Self::Okta => json!({
                "ver": 1, "jti": "AT.x", "cid": "0oa1", "uid": "00u1", "sub": "alice@example.com",
                "scp": ["orders:read"],
            }),
            Self::Supabase => json!({
                "sub": "5c0c1f5e", "role": "authenticated", "aal": "aal1", "session_id": "5c0c1f5e",
                "amr": [{ "method": "password", "timestamp": now }], "email": "alice@example.com",
                "app_metadata": { "provider": "email" }, "is_anonymous": false,
            }),
            Self::Zitadel => json!({
                "aud": ["163840776835432345@project", self.audience()], "sub": "163840776801878273",
                "client_id": "163840776835432345@project", "jti": "j", "nbf": now,
                "urn:zitadel:iam:org:project:roles": { "admin": { "163840776801878270": "acme" } },
            }),
        };
        match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        }
    }
}

/// The certificate thumbprint of a published key. The certificate itself is never parsed.
fn thumbprint(key: &Key) -> String {
    format!("thumbprint-of-key-{}", key.id())
}

/// Three bytes in base64.
const CERTIFICATE: &str = "AAAA";

/// Sets members. A null removes the member.
fn merge(entry: &mut Map<String, Value>, changes: Value) {
    let Value::Object(changes) = changes else {
        return;
    };
    for (name, value) in changes {
        if value.is_null() {
            entry.remove(&name);
        } else {
            entry.insert(name, value);
        }
    }
}
