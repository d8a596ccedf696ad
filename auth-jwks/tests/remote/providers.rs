//! Tokens and key sets in the formats of well-known providers: one per row of the guide, and the
//! case table.

use std::sync::Arc;

use auth_core::adapter::{Step, Verdict};
use auth_core::testing::{ManualClock, TokenForge};
use auth_core::{
    Algorithm, Authenticated, Authenticator, Cause, Key, NeedsAudience, Provider, RequiredClaims,
    TokenType, TrustedIssuer,
};
use auth_jwks::RemoteIssuer;
use auth_jwks::testing::{Document, FakeProvider, Likeness};
use serde_json::{Value, json};

use crate::world::{AUDIENCE, Auth, T0, clock, step};

/// The identity of an accepted token, or the cause of the refusal.
async fn judge(auth: &Auth, token: &str) -> Result<Authenticated<()>, Cause> {
    let verdict = match step(auth, token) {
        Step::Done(verdict) => verdict,
        Step::Wait(verdict) => verdict.await,
    };
    match verdict {
        Verdict::Pass(pass) => Ok(pass.into_parts().0.identity::<()>().unwrap()),
        Verdict::Refuse(refusal) => Err(refusal.error().cause()),
    }
}

fn build(trusted: TrustedIssuer, clock: &Arc<ManualClock>) -> Auth {
    Authenticator::trusting(trusted)
        .with_clock(Arc::clone(clock) as _)
        .build()
        .unwrap()
}

fn keys_of(
    provider: &FakeProvider,
    issuer: &str,
    algorithm: Algorithm,
    clock: &Arc<ManualClock>,
) -> auth_core::remote::RemoteKeys {
    RemoteIssuer::jwks(issuer, provider.jwks_uri())
        .algorithms([algorithm])
        .with_clock(Arc::clone(clock) as _)
        .start()
        .unwrap()
}

/// The configuration in a row of the guide.
fn configured(
    likeness: Likeness,
    named: NeedsAudience<TrustedIssuer>,
    keys: &auth_core::remote::RemoteKeys,
) -> TrustedIssuer {
    let audience = likeness.audience();
    let named = match likeness {
        Likeness::Cognito => named.audience_in("client_id", audience),
        Likeness::Clerk => named.audience_in("azp", audience),
        _ => named.audience(audience),
    };
    let issuer = named.keys(keys.clone());
    match likeness {
        Likeness::Adfs => issuer
            .with_provider(Provider::Adfs)
            .with_subject_claims(["sub", "appid"]),
        Likeness::Apple => issuer.with_provider(Provider::Apple),
        Likeness::Auth0 => issuer.with_provider(Provider::Auth0),
        Likeness::Clerk => issuer.with_provider(Provider::Clerk),
        Likeness::CloudflareAccess => issuer
            .with_provider(Provider::CloudflareAccess)
            .with_subject_claims(["sub", "common_name"]),
        Likeness::Cognito => issuer.with_provider(Provider::Cognito),
        Likeness::Duende => issuer.with_subject_claims(["sub", "client_id"]),
        Likeness::EntraV1 | Likeness::EntraV2 => issuer.with_provider(Provider::Entra),
        Likeness::Firebase => issuer.with_provider(Provider::Firebase),
        Likeness::GitHubActions => issuer.with_provider(Provider::GitHubActions),
        Likeness::Google => issuer.with_provider(Provider::Google),
        Likeness::Keycloak => issuer.with_provider(Provider::Keycloak),
        Likeness::Kubernetes => issuer.with_provider(Provider::Kubernetes),
        Likeness::Okta => issuer.with_provider(Provider::Okta),
        Likeness::Supabase => issuer.with_provider(Provider::Supabase),
        Likeness::Zitadel => issuer.with_provider(Provider::Zitadel),
        other => panic!("{other:?} has no row"),
    }
}

/// Subject, client, scope and roles of each provider's token.
fn expected(
    likeness: Likeness,
) -> (
    &'static str,
    Option<&'static str>,
    &'static str,
    &'static [&'static str],
) {
    match likeness {
        Likeness::Adfs => ("worker", Some("worker"), "openid read", &[]),
        Likeness::Apple => ("001234.a0b1c2d3e4f5.0101", None, "", &[]),
        Likeness::Auth0 => (
            "auth0|123456",
            Some("client"),
            "openid read",
            &["read:items"],
        ),
        Likeness::Clerk => ("user_2NNE", Some("https://app.example"), "", &[]),
        Likeness::CloudflareAccess => ("a0f884f7", None, "", &[]),
        Likeness::Cognito => ("f02e777c", Some("4k3c1ient"), "openid read", &["admins"]),
        Likeness::Duende => ("worker", Some("worker"), "read write", &[]),
        Likeness::EntraV1 => ("pairwise", Some("client"), "access_as_user", &[]),
        Likeness::EntraV2 => (
            "pairwise",
            Some("client"),
            "access_as_user",
            &["Orders.Admin"],
        ),
        Likeness::Firebase => ("u", None, "", &[]),
        Likeness::GitHubActions => ("repo:octo/app:ref:refs/heads/main", None, "", &[]),
        Likeness::Google => (
            "10769150350006150715113082367",
            Some("1-a.apps.example"),
            "",
            &[],
        ),
        Likeness::Keycloak => ("7a1c2d3e", Some("web"), "openid profile", &["editor"]),
        Likeness::Kubernetes => ("system:serviceaccount:shop:worker", None, "", &[]),
        Likeness::Okta => ("alice@example.com", Some("0oa1"), "orders:read", &[]),
        Likeness::Supabase => ("5c0c1f5e", None, "", &[]),
        Likeness::Zitadel => (
            "163840776801878273",
            Some("163840776835432345@project"),
            "",
            &[],
        ),
        other => panic!("{other:?} has no row"),
    }
}

struct Row {
    provider: FakeProvider,
    auth: Auth,
}

impl Row {
    fn of(likeness: Likeness) -> Self {
        let provider = FakeProvider::start_like(likeness).unwrap();
        let clock = clock();
        let keys = RemoteIssuer::discover(provider.issuer())
            .algorithms([likeness.algorithm()])
            .with_clock(clock.clone())
            .start()
            .unwrap();
        let named = TrustedIssuer::for_issuer(provider.issuer());
        let auth = build(configured(likeness, named, &keys), &clock);
        Self { provider, auth }
    }

    fn token(&self) -> TokenForge {
        self.provider.token(T0)
    }

    async fn judge(&self, forge: TokenForge) -> Result<Authenticated<()>, Cause> {
        judge(&self.auth, &forge.mint()).await
    }
}

#[tokio::test]
async fn i08_each_row_of_the_guide_accepts_that_providers_token() {
    let guide = include_str!("../../../docs/identity-providers.md");
    for &likeness in Likeness::ALL {
        let name = likeness.name();
        assert!(
            guide.contains(&format!("\n| {name} | ")),
            "no row for {name}"
        );
        let row = Row::of(likeness);
        let user = row.judge(row.token()).await;
        let user = user.unwrap_or_else(|cause| panic!("{name}: {cause:?}"));
        let roles: Vec<&str> = user.roles().collect();
        let seen = (
            user.subject(),
            user.client_id(),
            user.scope().as_str(),
            &*roles,
        );
        assert_eq!(seen, expected(likeness), "{name}");
        let other = row.token().claim("iss", "https://other.example");
        assert!(row.judge(other).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn i08_what_is_no_access_token_or_is_somebody_elses_is_refused() {
    let cognito = Row::of(Likeness::Cognito);
    let id_token = cognito.token().claim("token_use", "id");
    assert_eq!(cognito.judge(id_token).await.err(), Some(Cause::Claims));
    let other = cognito.token().claim("client_id", "other");
    assert_eq!(cognito.judge(other).await.err(), Some(Cause::Audience));
    // A token for another API is refused, regardless of its client.
    let bound = cognito.token().claim("aud", "https://other.example");
    assert_eq!(cognito.judge(bound).await.err(), Some(Cause::Audience));

    let access = Row::of(Likeness::CloudflareAccess);
    let team = access.token().claim("type", "org");
    assert_eq!(access.judge(team).await.err(), Some(Cause::Claims));
    let service = access
        .token()
        .claim("sub", "")
        .claim("common_name", "09fe.access");
    let service = access.judge(service).await.unwrap();
    assert_eq!(service.subject(), "09fe.access");
    let nobody = access.token().claim("sub", "");
    assert_eq!(
        access.judge(nobody).await.err(),
        Some(Cause::MissingSubject)
    );
    let strange = access.token().claim("sub", 7);
    assert_eq!(access.judge(strange).await.err(), Some(Cause::Claims));

    let okta = Row::of(Likeness::Okta);
    let id_token = okta.token().without_claim("cid");
    assert_eq!(okta.judge(id_token).await.err(), Some(Cause::Claims));

    let clerk = Row::of(Likeness::Clerk);
    let other = clerk.token().claim("azp", "https://evil.example");
    assert_eq!(clerk.judge(other).await.err(), Some(Cause::Audience));
    let none = clerk.token().without_claim("azp");
    assert_eq!(clerk.judge(none).await.err(), Some(Cause::MissingAudience));
}

/// The entry of the provider's key with changes.
fn changed(key: &Key, changes: Value) -> String {
    let mut entry: Value = serde_json::from_str(key.public_jwk().unwrap()).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        entry[name] = value.clone();
    }
    entry.to_string()
}

/// Publishes the key set of a case, and returns the header that names its key.
fn publish(id: &str, provider: &FakeProvider) -> Value {
    let key = provider.signing_key();
    let entry = |changes| changed(&key, changes);
    match id {
        "P-008" => {
            provider.remove_key("1");
            provider.publish(&entry(json!({ "alg": "Ed25519" })));
        }
        "P-009" => provider.publish(&entry(json!({ "x5c": ["AAAA"] }))),
        "P-010" => {
            let mut nulls = json!({});
            for name in ["alg", "use", "d", "p", "q", "dp", "dq", "qi", "oth"] {
                nulls[name] = Value::Null;
            }
            provider.remove_key("1");
            provider.publish(&entry(nulls));
        }
        "P-011" => {
            let jwk: Value = serde_json::from_str(key.public_jwk().unwrap()).unwrap();
            let n = format!("{}==", jwk["n"].as_str().unwrap());
            provider.remove_key("1");
            provider.publish(&entry(json!({ "n": n })));
        }
        "P-012" => {
            let second = provider.add_key();
            for key in [&key, &second] {
                let thumbprint = format!("thumbprint-{}", key.id());
                provider.remove_key(key.id());
                provider.publish(&changed(
                    key,
                    json!({ "kid": thumbprint, "x5t": thumbprint }),
                ));
            }
            provider.sign_with(&second);
            return json!({ "kid": null, "x5t": "thumbprint-2" });
        }
        _ => {}
    }
    json!({})
}

fn with(forge: TokenForge, header: &Value, claims: &Value) -> TokenForge {
    let none = serde_json::Map::new();
    let mut forge = forge;
    for (name, value) in header.as_object().unwrap_or(&none) {
        forge = match value {
            Value::Null => forge.without_header(name),
            value => forge.header(name, value),
        };
    }
    for (name, value) in claims.as_object().unwrap_or(&none) {
        forge = match value {
            Value::Null => forge.without_claim(name),
            value => forge.claim(name, value),
        };
    }
    forge
}

#[tokio::test]
async fn i01_to_i06_the_table_of_provider_tokens() {
    let table = include_str!("../../../tests/corpora/providers/tokens.json");
    let table: Value = serde_json::from_str(table).unwrap();
    let cases = table["cases"].as_array().unwrap();
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let algorithm = case["header"]["alg"].as_str().unwrap_or("RS256");
        let algorithm = Algorithm::parse(algorithm).unwrap();
        let provider = FakeProvider::start_at("", algorithm).unwrap();
        let named_by = publish(id, &provider);
        let mut claims = case["claims"].clone();
        if id == "P-006" {
            let group = |n| format!("0f0e0d0c-0000-4000-8000-{n:012}");
            claims["groups"] = (0..157).map(group).collect::<Vec<_>>().into();
            claims["about"] = "x".repeat(1000).into();
        }
        let issuer = claims["iss"]
            .as_str()
            .unwrap_or(provider.issuer())
            .to_owned();
        let audience = claims["aud"].as_str().unwrap_or(AUDIENCE);
        let mut header = case["header"].clone();
        if !named_by.is_null() && id == "P-012" {
            header = named_by;
        }
        let token = with(provider.token(T0), &header, &claims).mint();

        let clock = clock();
        let keys = keys_of(&provider, &issuer, algorithm, &clock);
        let rules = |issuer: TrustedIssuer| {
            issuer
                .with_token_type(TokenType::Any)
                .with_required_claims(RequiredClaims::Subject)
        };
        let named = || TrustedIssuer::for_issuer(&issuer);
        let plain = rules(named().audience(audience).keys(keys.clone()));
        let (with_option, missing) = match id {
            "P-004" => {
                let named = named().audience_in("client_id", "4k3c1ient");
                (
                    rules(named.keys(keys.clone())),
                    Some(Cause::MissingAudience),
                )
            }
            "P-005" => {
                let option = plain.clone().with_subject_claims(["sub", "client_id"]);
                (option, Some(Cause::MissingSubject))
            }
            "P-006" => {
                let option = plain.clone().with_max_token_bytes(16 * 1024);
                (option, Some(Cause::TooLong))
            }
            _ => (plain.clone(), None),
        };
        assert_eq!(missing.is_some(), case["option"].is_string(), "{id}");
        let user = judge(&build(with_option, &clock), &token).await;
        let user = user.unwrap_or_else(|cause| panic!("{id}: {cause:?}"));
        if let Some(missing) = missing {
            let refused = judge(&build(plain, &clock), &token).await.err();
            assert_eq!(refused, Some(missing), "{id}");
        }
        match id {
            "P-001" => assert_eq!(user.amr().collect::<Vec<_>>(), ["password"]),
            "P-002" => assert_eq!(user.auth_time(), None),
            "P-003" => assert_eq!(user.roles().collect::<Vec<_>>(), ["admin"]),
            "P-005" => assert_eq!(user.subject(), "worker"),
            _ => {}
        }
    }
    println!("providers/tokens.json: {} cases", cases.len());
}

#[tokio::test]
async fn i02_a_claim_in_place_of_aud_or_sub_must_be_named_and_must_fit() {
    let provider = FakeProvider::start().unwrap();
    let clock = clock();
    let keys = keys_of(&provider, provider.issuer(), Algorithm::Es256, &clock);
    let named = || TrustedIssuer::for_issuer(provider.issuer());
    let plain = || named().audience(AUDIENCE).keys(keys.clone());
    let without_aud = |app: &str| {
        let token = provider.token(T0).without_claim("aud");
        token.claim("client_id", app).mint()
    };
    let without_sub = provider.token(T0).without_claim("sub");
    let without_sub = without_sub.claim("client_id", "worker").mint();

    let strict = build(plain(), &clock);
    let refused = async |auth: &Auth, token: &str| judge(auth, token).await.err();
    assert_eq!(
        refused(&strict, &without_aud("app")).await,
        Some(Cause::MissingAudience)
    );
    assert_eq!(
        refused(&strict, &without_sub).await,
        Some(Cause::MissingSubject)
    );

    let by_client = named().audience_in("client_id", "app").keys(keys.clone());
    let by_client = build(by_client, &clock);
    assert_eq!(refused(&by_client, &without_aud("app")).await, None);
    assert_eq!(
        refused(&by_client, &without_aud("another")).await,
        Some(Cause::Audience)
    );

    let by_subject = plain().with_subject_claims(["sub", "client_id"]);
    let user = judge(&build(by_subject, &clock), &without_sub)
        .await
        .unwrap();
    assert_eq!(user.subject(), "worker");
}

#[tokio::test]
async fn i01_a_claim_that_cannot_be_read_fails_the_guard_that_needs_it() {
    let provider = FakeProvider::start().unwrap();
    let clock = clock();
    let keys = keys_of(&provider, provider.issuer(), Algorithm::Es256, &clock);
    let trusted = TrustedIssuer::for_issuer(provider.issuer())
        .audience(AUDIENCE)
        .keys(keys);
    let auth = build(trusted, &clock);
    let user = judge(
        &auth,
        &provider
            .token(T0)
            .claim("roles", json!([{ "name": "admin" }]))
            .claim("auth_time", "2026-11-30T01:02:03.456Z")
            .claim("acr", 2)
            .mint(),
    )
    .await
    .unwrap();
    assert_eq!(user.roles().count(), 0);
    assert_eq!((user.auth_time(), user.acr()), (None, None));
    for (claim, value, cause) in [
        ("jti", json!(7), Cause::MissingTokenId),
        ("client_id", json!(["c1"]), Cause::MissingClientId),
        ("nbf", json!("1"), Cause::Claims),
        ("iat", json!("1"), Cause::Claims),
        ("exp", json!("1900000000"), Cause::Claims),
        ("sub", json!(7), Cause::Claims),
    ] {
        let token = provider.token(T0).claim(claim, value).mint();
        assert_eq!(judge(&auth, &token).await.err(), Some(cause), "{claim}");
    }
}

#[tokio::test]
async fn i05_a_key_that_only_its_certificate_names_is_fetched_once() {
    let provider = FakeProvider::start_like(Likeness::Adfs).unwrap();
    provider.add_key();
    let clock = clock();
    let keys = keys_of(&provider, provider.issuer(), Algorithm::Rs256, &clock);
    let named = TrustedIssuer::for_issuer(provider.issuer());
    let auth = build(configured(Likeness::Adfs, named, &keys), &clock);
    assert!(judge(&auth, &provider.token(T0).mint()).await.is_ok());
    provider.rotate();
    let token = provider.token(T0).mint();
    // Refused within the cool-down.
    assert_eq!(judge(&auth, &token).await.err(), Some(Cause::UnknownKey));
    clock.advance(std::time::Duration::from_secs(crate::world::COOL_DOWN));
    assert!(judge(&auth, &token).await.is_ok());
    assert_eq!(provider.requests(Document::Jwks), 2);
    // An unknown thumbprint, and none among three keys.
    let forged = provider.token(T0).header("x5t", "unknown").mint();
    assert_eq!(judge(&auth, &forged).await.err(), Some(Cause::UnknownKey));
    let unnamed = provider.token(T0).without_header("x5t").mint();
    assert_eq!(judge(&auth, &unnamed).await.err(), Some(Cause::UnknownKey));
    // A thumbprint selects among keys, never an algorithm.
    let confused = provider.token(T0).header("alg", "HS256").mint();
    assert!(judge(&auth, &confused).await.is_err());
}

#[tokio::test]
async fn i03_a_key_set_may_be_larger_if_its_issuer_was_given_more() {
    let provider = FakeProvider::start().unwrap();
    for _ in 0..65 {
        provider.add_key();
    }
    let start = |limits: Option<(usize, usize)>| {
        let issuer = RemoteIssuer::jwks(provider.issuer(), provider.jwks_uri())
            .algorithms([Algorithm::Es256]);
        match limits {
            Some((bytes, keys)) => issuer.with_key_set_limits(bytes, keys),
            None => issuer,
        }
        .start()
    };
    let refused = start(None).unwrap().load().await.unwrap_err();
    assert_eq!(refused.fault(), auth_core::remote::FetchFault::TooManyKeys);
    let keys = start(Some((128 * 1024, 128))).unwrap();
    keys.load().await.unwrap();
    assert_eq!(keys.status().keys, 66);
    let short = start(Some((1024, 128))).unwrap().load().await.unwrap_err();
    assert_eq!(short.fault(), auth_core::remote::FetchFault::TooLarge);
    assert!(start(Some((2 * 1024 * 1024, 128))).is_err());
}

#[tokio::test]
async fn i07_plain_http_elsewhere_needs_an_option() {
    let start = |insecure: bool| {
        let issuer = RemoteIssuer::discover("http://keycloak:8080/realms/main")
            .algorithms([Algorithm::Rs256]);
        let issuer = if insecure {
            issuer.with_insecure_http()
        } else {
            issuer
        };
        issuer.start().map(|_| ())
    };
    let error = start(false).unwrap_err();
    assert!(error.to_string().contains("https"), "{error}");
    assert!(start(true).is_ok());
}
