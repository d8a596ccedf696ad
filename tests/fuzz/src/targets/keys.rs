//! Keys: configured ones, published sets, and the metadata that say where a set is.

use std::sync::Arc;

use auth_core::adapter::{Step, Verdict};
use auth_core::remote::FetchFault;
use auth_core::testing::{TokenForge, read_key_set};
use auth_core::{Algorithm, Authenticator, Guard, Key};
use auth_jwks::testing::read_metadata;
use serde_json::{Value, json};

use crate::world::{AUDIENCE, ISSUER, KEY_SET_CASES, NOW, Request, cases, clock, key, private_jwk};

const PRIVATE: [&str; 8] = ["k", "d", "p", "q", "dp", "dq", "qi", "oth"];

/// A configured key is what it says it is, or it is refused.
pub(super) fn jwk(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let configured = Algorithm::ALL[data.len() % Algorithm::ALL.len()];
    if let Ok(key) = Key::from_jwk_as(text, configured) {
        assert_eq!(key.algorithm(), configured);
        check_key(&key, text);
    }
    if let Ok(key) = Key::from_jwk(text) {
        check_key(&key, text);
        let jwk: Value = serde_json::from_str(text).unwrap();
        assert_eq!(jwk["alg"], key.algorithm().as_str());
    }
}

fn check_key(key: &Key, text: &str) {
    let jwk: Value = serde_json::from_str(text).expect("strict JSON");
    assert_eq!(jwk["kid"], key.id());
    assert!(jwk.get("use").is_none_or(|usage| usage == "sig"));
    let kty = match key.algorithm() {
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => "oct",
        Algorithm::Es256 | Algorithm::Es384 => "EC",
        Algorithm::EdDsa => "OKP",
        _ => "RSA",
    };
    assert_eq!(jwk["kty"], kty);
    if let Some(public) = key.public_jwk() {
        assert_is_public(public);
    }
    if key.can_sign() {
        let token = TokenForge::new(key, NOW).mint();
        let auth: Arc<Authenticator<()>> = Authenticator::for_issuer(ISSUER)
            .audience(AUDIENCE)
            .keys(key.clone())
            .with_clock(clock())
            .without_cache()
            .build()
            .unwrap();
        let value = format!("Bearer {token}");
        let request = Request::get("authorization", [value.as_bytes()]);
        let verdict = Guard::from(auth).check(&request);
        assert!(
            matches!(verdict, Step::Done(Verdict::Pass(_))),
            "it verifies what it signs"
        );
    }
}

fn assert_is_public(jwk: &str) {
    let jwk: Value = serde_json::from_str(jwk).expect("JSON");
    for name in PRIVATE {
        assert!(jwk.get(name).is_none(), "{name} is not for the public");
    }
}

pub(super) fn jwk_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for &algorithm in Algorithm::ALL {
        let private = private_jwk(algorithm);
        seeds.push(private.to_string().into_bytes());
        let public = key(algorithm).public_jwk().map(str::to_owned);
        seeds.extend(public.map(String::into_bytes));
        let mut unnamed = private;
        unnamed["use"] = json!("sig");
        unnamed["key_ops"] = json!(["sign", "verify"]);
        if let Some(members) = unnamed.as_object_mut() {
            members.remove("alg");
        }
        seeds.push(unnamed.to_string().into_bytes());
    }
    seeds
}

const PUBLISHED: [Algorithm; 4] = [
    Algorithm::Rs256,
    Algorithm::Ps384,
    Algorithm::Es256,
    Algorithm::EdDsa,
];

/// Of a published set come public keys of the allowed algorithms with distinct ids, or nothing.
pub(super) fn jwks(data: &[u8]) {
    let keys = match read_key_set(data, &PUBLISHED) {
        Ok(keys) => keys,
        Err(fault) => {
            let expected = [
                FetchFault::Malformed,
                FetchFault::TooLarge,
                FetchFault::TooManyKeys,
            ];
            assert!(expected.contains(&fault), "{fault:?}");
            return;
        }
    };
    let set: Value = serde_json::from_slice(data).expect("strict JSON");
    let entries = set["keys"].as_array().expect("an array of keys");
    assert!(keys.len() <= entries.len() && entries.len() <= 64 && data.len() <= 64 * 1024);
    for (number, key) in keys.iter().enumerate() {
        assert!(PUBLISHED.contains(&key.algorithm()) && !key.can_sign());
        let others = keys.iter().skip(number + 1);
        assert!(others.clone().all(|other| other.id() != key.id()));
        assert_is_public(key.public_jwk().expect("a public key"));
    }
}

pub(super) fn jwks_seeds() -> Vec<Vec<u8>> {
    let public = |algorithm| -> Value {
        serde_json::from_str(key(algorithm).public_jwk().unwrap_or("{}")).unwrap()
    };
    let fill = |text: String| {
        let rsa = public(Algorithm::Rs256);
        let number = rsa["n"].as_str().unwrap_or_default();
        let other = number.replacen('A', "B", 1);
        text.replace("{N2048}", number)
            .replace("{OTHER_N2048}", &other)
            .replace("{N1024}", &number[..171])
            .replace("{X25519_X}", "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08")
    };
    let mut seeds: Vec<Vec<u8>> = cases(KEY_SET_CASES)
        .iter()
        .map(|case| fill(case["doc"].to_string()).into_bytes())
        .collect();
    let all: Vec<Value> = PUBLISHED.into_iter().map(public).collect();
    seeds.push(json!({ "keys": all }).to_string().into_bytes());
    seeds.push(format!(r#"{{"keys":[{}]}}"#, vec!["{}"; 65].join(",")).into_bytes());
    seeds
}

const PROVIDER: &str = "https://id.example/tenant";

/// Metadata lead to an address over TLS, and only those of the issuer that was asked for.
pub(super) fn metadata(data: &[u8]) {
    if let Ok(address) = read_metadata(PROVIDER, data) {
        let metadata: Value = serde_json::from_slice(data).expect("strict JSON");
        assert_eq!(metadata["issuer"], PROVIDER);
        assert!(metadata["jwks_uri"].is_string());
        let rest = address.strip_prefix("https://").expect("TLS");
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        assert!(!authority.is_empty() && !authority.contains('@'));
    }
}

pub(super) fn metadata_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for address in [
        "https://id.example/tenant/keys",
        "https://id.example:8443/keys?a=b#c",
        "http://id.example/keys",
        "http://127.0.0.1/keys",
        "https://user:secret@id.example/keys",
        "https:\\\\id.example@evil.example",
        "HTTPS://ID.example/ /../%2e%2e/keys",
        "https://[::1]/keys",
        "file:///etc/passwd",
        "//id.example/keys",
        "",
    ] {
        let metadata = json!({
            "issuer": PROVIDER,
            "jwks_uri": address,
            "authorization_endpoint": "https://id.example/authorize",
            "response_types_supported": ["code"],
            "mtls_endpoint_aliases": { "jwks_uri": "https://mtls.example" },
        });
        seeds.push(metadata.to_string().into_bytes());
    }
    let other = json!({ "issuer": "https://id.example/tenant/", "jwks_uri": "https://id.example" });
    seeds.push(other.to_string().into_bytes());
    seeds.push(format!(r#"{{"issuer":"{PROVIDER}","issuer":"x","jwks_uri":"https://x"}}"#).into());
    seeds
}
