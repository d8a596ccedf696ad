//! Public collections of keys and signatures, where they lie beside the project: through plain
//! jsonwebtoken. What this project makes of them is asserted in its own tests
//! (`wycheproof_key_sets_verify_what_they_should`).

use std::path::Path;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

pub fn tables() {
    println!("\n### Wycheproof: signatures and keys, plain jsonwebtoken 11\n");
    println!("| | cases | wrongly accepted | wrongly refused |");
    println!("|---|---:|---:|---:|");
    let mut named = Vec::new();
    for name in ["json_web_crypto_test", "json_web_key_test"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../shared/corpora/wycheproof")
            .join(name)
            .with_extension("json");
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("| {name} | not present | – | – |");
            continue;
        };
        let file: Value = serde_json::from_str(&text).expect("JSON");
        let (mut cases, mut accepted, mut refused) = (0, Vec::new(), Vec::new());
        for group in file["testGroups"].as_array().expect("groups") {
            let keys = if group["public"].is_null() {
                &group["private"]
            } else {
                &group["public"]
            };
            let keys = match keys["keys"].as_array() {
                Some(keys) => keys.clone(),
                None => vec![keys.clone()],
            };
            for test in group["tests"].as_array().expect("tests") {
                cases += 1;
                let passes = test["jws"]
                    .as_str()
                    .is_some_and(|token| keys.iter().any(|key| is_signed(token, key)));
                match (test["result"] == "valid", passes) {
                    (false, true) => accepted.push(test["tcId"].to_string()),
                    (true, false) => refused.push(test["tcId"].to_string()),
                    _ => {}
                }
            }
        }
        println!(
            "| {name} | {cases} | {} | {} |",
            accepted.len(),
            refused.len()
        );
        named.push((name, accepted, refused));
    }
    println!();
    for (name, accepted, refused) in named {
        println!("- {name}, wrongly accepted: {}", accepted.join(", "));
        println!("- {name}, wrongly refused: {}", refused.join(", "));
    }
}

/// As its documentation has it: the key from the JWK, the algorithm from the JWK.
fn is_signed(token: &str, key: &Value) -> bool {
    let Ok(jwk) = serde_json::from_value::<Jwk>(key.clone()) else {
        return false;
    };
    let algorithm = jwk
        .common
        .key_algorithm
        .and_then(|algorithm| algorithm.to_string().parse::<Algorithm>().ok());
    let (Some(algorithm), Ok(key)) = (algorithm, DecodingKey::from_jwk(&jwk)) else {
        return false;
    };
    let header = jsonwebtoken::decode_header(token);
    if header.is_ok_and(|header| header.alg != algorithm) {
        return false;
    }
    let Some((message, signature)) = token.rsplit_once('.') else {
        return false;
    };
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm).unwrap_or(false)
}
