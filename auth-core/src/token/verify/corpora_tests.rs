//! Public collections of keys and signatures, if they are present beside the project: read as the
//! key set of another issuer, and as configured keys.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::keys::remote::read_document;
use crate::keys::source::KeySource;
use crate::token::verify::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

const PUBLISHED: [Algorithm; 9] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];

fn collection(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/corpora")
        .join(name);
    let found = beside.is_dir().then_some(beside);
    if found.is_none() {
        // Written directly, because the test harness captures the output of passing tests.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {name} is not present");
    }
    found
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Keys as the published set of another issuer.
fn published(keys: &[Value], allowed: &[Algorithm]) -> KeySource {
    let document = json!({ "keys": keys }).to_string();
    let keys = read_document(document.as_bytes(), allowed).unwrap();
    KeyRing::of_remote(keys).into()
}

/// Keys as configured by an operator: a refused one aborts the start.
fn configured(keys: &[Value]) -> KeySource {
    let keys = keys.iter().map(|key| Key::from_jwk(&key.to_string()));
    let ring = keys.collect::<Result<Vec<_>, _>>().and_then(KeyRing::new);
    ring.unwrap_or_else(|_| KeyRing::of_remote(Vec::new()))
        .into()
}

/// Whether one of the keys verifies the signature, claims aside.
fn is_signed(token: &str, keys: KeySource) -> bool {
    let issuer = TrustedIssuer::for_issuer("i")
        .audience("a")
        .keys(keys)
        .with_token_type(TokenType::Any);
    let mut room = [0; USUAL_BYTES];
    JwsParts::split(token, MAX_TOKEN_BYTES)
        .map_err(Unverified::from)
        .and_then(|parts| issuer.check_signature(&parts, &mut room, NOW, None))
        .is_ok()
}

fn key_list(set: &Value) -> Vec<Value> {
    match set["keys"].as_array() {
        Some(keys) => keys.clone(),
        None if set.is_object() => vec![set.clone()],
        None => Vec::new(),
    }
}

/// The differences from the collection's own verdicts, and the number of cases.
#[derive(Debug, Default, PartialEq, Eq)]
struct Differences {
    cases: usize,
    /// `invalid`, but accepted from a published set, or with a configured key.
    accepted_published: Vec<u64>,
    accepted_configured: Vec<u64>,
    /// `valid`, but refused.
    refused_published: Vec<u64>,
    refused_configured: Vec<u64>,
}

fn wycheproof(file: &Path) -> Differences {
    let mut found = Differences::default();
    let file = read(file);
    for group in file["testGroups"].as_array().unwrap() {
        let public = key_list(&group["public"]);
        let private = key_list(&group["private"]);
        // A published private key is not used.
        let secret = private.iter().filter(|key| key["d"].is_string()).cloned();
        let usable = published(&secret.collect::<Vec<_>>(), &PUBLISHED).load();
        assert_eq!(usable.iter().count(), 0, "{}", group["comment"]);
        let keys = if public.is_empty() { &private } else { &public };
        for test in group["tests"].as_array().unwrap() {
            found.cases += 1;
            let id = test["tcId"].as_u64().unwrap();
            let token = [&test["jws"], &test["jwe"]]
                .into_iter()
                .find(|token| !token.is_null())
                .map(|token| {
                    token
                        .as_str()
                        .map_or_else(|| token.to_string(), str::to_owned)
                })
                .unwrap();
            let valid = test["result"] == "valid";
            let from_set = is_signed(&token, published(keys, &PUBLISHED));
            let from_configuration = is_signed(&token, configured(keys));
            for (accepted, wrongly_accepted, wrongly_refused) in [
                (
                    from_set,
                    &mut found.accepted_published,
                    &mut found.refused_published,
                ),
                (
                    from_configuration,
                    &mut found.accepted_configured,
                    &mut found.refused_configured,
                ),
            ] {
                match (valid, accepted) {
                    (false, true) => wrongly_accepted.push(id),
                    (true, false) => wrongly_refused.push(id),
                    _ => {}
                }
            }
        }
    }
    found
}

#[test]
fn wycheproof_key_sets_verify_what_they_should() {
    let Some(folder) = collection("wycheproof") else {
        return;
    };
    let keys = wycheproof(&folder.join("json_web_key_test.json"));
    println!("wycheproof json_web_key: {} cases", keys.cases);
    assert_eq!(
        keys,
        Differences {
            cases: 26,
            accepted_published: vec![],
            // A set of an HMAC key and a public one, which the collection calls ambiguous. Here a
            // key has one algorithm, so neither is ever mistaken for the other.
            accepted_configured: vec![1],
            // HMAC keys: a published secret is no secret.
            refused_published: vec![2, 13, 14, 15],
            refused_configured: vec![],
        }
    );
    let signatures = wycheproof(&folder.join("json_web_crypto_test.json"));
    println!("wycheproof json_web_crypto: {} cases", signatures.cases);
    assert_eq!(
        signatures,
        Differences {
            cases: 83,
            accepted_published: vec![],
            // The same as case 1 above.
            accepted_configured: vec![47],
            // HMAC keys (1, 48), and encrypted tokens (50, 67), which are refused.
            refused_published: vec![1, 48, 50, 67],
            refused_configured: vec![50, 67],
        }
    );
}

#[test]
fn jose_cookbook_keys_verify_what_they_signed() {
    let Some(folder) = collection("ietf-jose-cookbook") else {
        return;
    };
    let mut cases = 0;
    // The keys of RFC 7520 §3, in their original form.
    for (file, usable) in [
        // P-521 is not supported.
        ("3_1.ec_public_key", false),
        ("3_2.ec_private_key", false),
        ("3_3.rsa_public_key", true),
        ("3_4.rsa_private_key", false),
        ("3_5.symmetric_key_mac_computation", false),
        ("3_6.symmetric_key_encryption", false),
    ] {
        cases += 1;
        let key = read(&folder.join(format!("jwk/{file}.json")));
        let allowed = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384];
        let ring = published(&[key], &allowed).load();
        assert_eq!(ring.iter().count(), usize::from(usable), "{file}");
    }
    let rsa = read(&folder.join("jwk/3_3.rsa_public_key.json"));
    let mut ed = read(&folder.join("curve25519/jws.json"))["input"]["key"].clone();
    ed.as_object_mut().unwrap().remove("d");
    let token = |file: &str| {
        let file = read(&folder.join(file));
        file["output"]["compact"].as_str().unwrap().to_owned()
    };
    let (rs256, ps384) = (
        "jws/4_1.rsa_v15_signature.json",
        "jws/4_2.rsa-pss_signature.json",
    );
    for (file, key, algorithm, signed) in [
        (rs256, &rsa, Algorithm::Rs256, true),
        (rs256, &rsa, Algorithm::Ps384, false),
        (ps384, &rsa, Algorithm::Ps384, true),
        (ps384, &rsa, Algorithm::Rs256, false),
        ("curve25519/jws.json", &ed, Algorithm::EdDsa, true),
        // ES512 is not supported: the valid signature is refused.
        (
            "jws/4_3.ecdsa_signature.json",
            &rsa,
            Algorithm::Rs256,
            false,
        ),
        // The payload is detached.
        (
            "jws/4_5.signature_with_detached_content.json",
            &rsa,
            Algorithm::Rs256,
            false,
        ),
    ] {
        cases += 1;
        let keys = published(std::slice::from_ref(key), &[algorithm]);
        assert_eq!(is_signed(&token(file), keys), signed, "{file} {algorithm}");
    }
    let hs256 = "jws/4_4.hmac-sha2_integrity_protection.json";
    let secret = [read(
        &folder.join("jwk/3_5.symmetric_key_mac_computation.json"),
    )];
    assert!(is_signed(&token(hs256), configured(&secret)));
    assert!(!is_signed(&token(hs256), published(&secret, &PUBLISHED)));
    println!("ietf-jose-cookbook: {} cases", cases + 2);
}
