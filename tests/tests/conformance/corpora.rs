//! The case tables in `corpora/`, and the larger public collections where they are present.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{HOST, Reply, Request, quickest};
use crate::forge::{
    Algorithm, K1, RSA, SECRET, SUBJECT, Signer, b64, jws, public_jwk, token_of, token_with,
    token_with_header,
};
use crate::shims::{NOW, base, base_with, contenders, refused, with_keys};

fn table(text: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(text).unwrap();
    let cases = table["cases"].as_array().unwrap().clone();
    if let Some(count) = table["count"].as_u64() {
        assert_eq!(cases.len() as u64, count);
    }
    cases
}

fn text<'v>(case: &'v Value, name: &str) -> &'v str {
    case[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {case}"))
}

#[test]
fn own_open_bearer() {
    let expired = token_with(json!({ "iat": NOW - 900, "exp": NOW - 300 }));
    let bad_signature = {
        let good = token_of("A");
        let (message, _) = good.rsplit_once('.').unwrap();
        format!("{message}.{}", b64([0; 32]))
    };
    let fill = |text: &str| {
        text.replace("{A}", &token_of("A"))
            .replace("{B}", &token_of("B"))
            .replace("{EXPIRED}", &expired)
            .replace("{BADSIG}", &bad_signature)
            .replace(
                "{A_SCOPE_READ}",
                &token_with(json!({ "sub": "A", "scope": "read" })),
            )
            .replace(
                "{REFRESH}",
                &token_with_header(json!({ "typ": "refresh+jwt" })),
            )
            .replace("{REPEAT_DOT_1MiB}", &".".repeat(1024 * 1024))
    };
    let cases = table(include_str!("../../corpora/own-open/bearer.json"));
    let guarded = contenders(&base());
    let preflight = contenders(&base_with(json!({ "preflight": true })));
    for case in &cases {
        let id = text(case, "id");
        let expect = &case["expect"];
        let path = match (case["mode"].as_str(), expect["error"].as_str()) {
            (Some("optional"), _) => "/maybe",
            (_, Some("insufficient_scope")) => "/admin",
            _ => "/me",
        };
        let query = case["query"]
            .as_str()
            .map(|query| format!("?{}", fill(query)));
        let target = format!("{path}{}", query.unwrap_or_default());
        let mut request = Request::new(case["method"].as_str().unwrap_or("GET"), &target);
        for line in case["headers"].as_array().unwrap() {
            let value = fill(line[1].as_str().unwrap());
            request = request.with(line[0].as_str().unwrap(), value);
        }
        if let Some(body) = case["body"].as_str() {
            request.body = fill(body).into_bytes();
        }
        let shims = if request.method == "OPTIONS" {
            &preflight
        } else {
            &guarded
        };
        // Two servers and a debug build: an order of magnitude to spare.
        let limit = expect["max_ms"]
            .as_u64()
            .map_or(Duration::MAX, |limit| Duration::from_millis(limit * 20));
        let (reply, elapsed) = quickest(limit, || shims.try_ask(&request));
        assert!(elapsed < limit, "{id}");
        let Some(reply) = reply else {
            // The server hung up in the middle of a head that it does not take.
            assert!(
                expect["status"].as_array().unwrap().contains(&json!(431)),
                "{id}: no answer"
            );
            continue;
        };
        judge_bearer(id, expect, &reply);
    }
    println!("own-open/bearer.json: {} cases", cases.len());
}

fn judge_bearer(id: &str, expect: &Value, reply: &Reply) {
    let statuses = expect["status"].as_array().unwrap();
    assert!(statuses.contains(&json!(reply.status)), "{id}: {reply:?}");
    if let Some(error) = expect.get("error") {
        assert_eq!(
            json!(reply.error_code().unwrap()),
            *error,
            "{id}: {reply:?}"
        );
    }
    if let Some(sub) = expect.get("sub") {
        assert_eq!(reply.json()["sub"], *sub, "{id}");
    }
    if expect["scope_attr"] == true {
        assert!(reply.challenge().unwrap().contains_key("scope"), "{id}");
    }
}

#[test]
fn own_open_cookies() {
    let cases = table(include_str!("../../corpora/own-open/cookies.json"));
    let shims = contenders(&base());
    // The table asks for `__Host-rt`; the access cookie of our presets is called otherwise.
    let fill = |bytes: &[u8]| {
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        text.replace("__Host-rt", "__Host-Http-at")
            .replace("__host-rt", "__host-http-at")
            .replace("GOOD", &token_of("GOOD"))
            .replace("EVIL", &token_of("EVIL"))
            .chars()
            .map(|char| u8::try_from(char).unwrap())
            .collect::<Vec<u8>>()
    };
    for case in &cases {
        let id = text(case, "id");
        let lines: Vec<Vec<u8>> = match case["cookie_headers_hex"].as_array() {
            Some(lines) => lines
                .iter()
                .map(|line| unhex(line.as_str().unwrap()))
                .collect(),
            None => vec![format!("{}__Host-rt=GOOD", "a=;".repeat(100_000)).into_bytes()],
        };
        let request = lines.iter().fold(Request::get("/me"), |request, line| {
            request.with("cookie", fill(line))
        });
        for reply in [shims.try_ask(&request), Some(shims.ask_h2(&request))] {
            let expected = match case["expect"].as_str() {
                Some("GOOD_OR_431") if reply.as_ref().is_none_or(|reply| reply.status == 431) => {
                    continue;
                }
                expected => expected,
            };
            let reply = reply.unwrap_or_else(|| panic!("{id}: no answer"));
            match expected {
                Some("GOOD" | "GOOD_OR_431") => {
                    assert_eq!(reply.status, 200, "{id}: {reply:?}");
                    assert_eq!(reply.json()["sub"], "GOOD", "{id}");
                }
                None => {
                    assert_eq!(
                        (reply.status, reply.error_code()),
                        (401, Some(None)),
                        "{id}"
                    );
                }
                Some("REJECT_OR_LITERAL") => assert!(matches!(reply.status, 400 | 401), "{id}"),
                Some(other) => panic!("{id}: {other}"),
            }
        }
    }
    println!("own-open/cookies.json: {} cases", cases.len());
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn own_open_claims() {
    let cases = table(include_str!("../../corpora/own-open/claims.json"));
    let shims = contenders(&base());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for case in &cases {
        let id = text(case, "id");
        let header = text(case, "header_raw").replace("{LISTENER}", &port.to_string());
        let signer = match id {
            "K-049" | "K-050" => Signer::Nobody,
            "K-055" => Signer::Mac(Algorithm::HS384, SECRET),
            _ => K1,
        };
        let token = jws(header, fill_now(text(case, "payload_raw")), signer);
        let reply = shims.me(&token);
        match text(case, "expect") {
            "200" => {
                assert_eq!(reply.status, 200, "{id}: {}", case["why"]);
                assert_eq!(reply.json()["sub"], SUBJECT, "{id}");
            }
            "401" => assert_eq!(
                reply,
                crate::shims::invalid_token(),
                "{id}: {}",
                case["why"]
            ),
            "200_OR_401_AND_0_FETCHES" => assert!(matches!(reply.status, 200 | 401), "{id}"),
            other => panic!("{id}: {other}"),
        }
    }
    assert!(
        listener.accept().is_err(),
        "somebody fetched a URL from a token"
    );
    println!("own-open/claims.json: {} cases", cases.len());
}

/// Fills in `{NOW}`, `{NOW+n}` and `{NOW-n}`.
fn fill_now(text: &str) -> String {
    let mut parts = text.split("{NOW");
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        let (offset, rest) = part.split_once('}').unwrap();
        let offset: i64 = if offset.is_empty() {
            0
        } else {
            offset.parse().unwrap()
        };
        filled.push_str(&(NOW + offset).to_string());
        filled.push_str(rest);
    }
    filled
}

#[test]
fn rfc_examples_with_their_own_keys_are_refused_for_what_they_lack() {
    let table: Value =
        serde_json::from_str(include_str!("../../corpora/rfc-vectors.json")).unwrap();
    let cases = table["cases"].as_array().unwrap();
    let mut run = 0;
    for case in cases {
        let id = text(case, "id");
        let Some(token) = case["jws"].as_str() else {
            continue;
        };
        run += 1;
        let mut keys = vec![base()["keys"][0].clone()];
        if case["jwk"].is_object() {
            let mut jwk = case["jwk"].clone();
            jwk["kid"] = json!("rfc");
            jwk["alg"] = case["alg"].clone();
            keys = vec![jwk];
        }
        // No typ, no audience, no issuer of ours, long expired; or no JSON at all.
        let config = base_with(json!({
            "keys": keys, "sign_with": null, "issuer": "joe", "now": 1_300_819_000,
        }));
        if text(case, "layer_expectation").starts_with("key REFUSED") {
            refused(&config);
        } else {
            contenders(&config).refuses(token, id);
        }
    }
    assert!(run >= 6, "only {run} examples have a token");
    println!("rfc-vectors.json: {run} tokens");
}

#[test]
fn rfc_9068_example_signed_anew_is_accepted_and_each_claim_is_required() {
    let table: Value =
        serde_json::from_str(include_str!("../../corpora/rfc-vectors.json")).unwrap();
    let shape = table["cases"].as_array().unwrap().iter();
    let shape = shape
        .clone()
        .find(|case| case["id"] == "rfc9068-2.2-shape")
        .unwrap();
    let (header, claims) = (&shape["header"], &shape["claims"]);
    let shims = contenders(&base_with(json!({
        "keys": [public_jwk("rsa", text(header, "kid"), "RS256")],
        "sign_with": null,
        "issuer": claims["iss"],
        "audience": claims["aud"],
        "now": claims["iat"],
        "max_lifetime_s": 365 * 86_400,
    })));
    let sign = |claims: &Value| {
        jws(
            header.to_string(),
            claims.to_string(),
            Signer::Pem(Algorithm::RS256, RSA),
        )
    };
    let reply = shims.me(&sign(claims));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["sub"], claims["sub"]);
    assert_eq!(
        reply.json()["scope"],
        json!(["openid", "profile", "reademail"])
    );
    for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        let mut lacking = claims.clone();
        lacking.as_object_mut().unwrap().remove(claim);
        shims.refuses(&sign(&lacking), claim);
    }
}

/// Collections that are not part of the project lie beside it, where they were fetched.
fn collection(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/corpora")
        .join(name);
    let found = beside.is_dir().then_some(beside);
    if found.is_none() {
        // Past the test harness, which keeps the output of tests that pass to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {name} is not present");
    }
    found
}

fn json_files(folder: &Path, files: &mut Vec<Value>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            json_files(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap());
        }
    }
}

/// Every compact serialisation, every JSON one, and every key for signatures in it.
#[derive(Default)]
struct Found {
    compact: Vec<String>,
    json: Vec<Value>,
    keys: Vec<Value>,
}

impl Found {
    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.walk(value)),
            Value::Object(members) => {
                if members.contains_key("ciphertext") || members.contains_key("payload") {
                    self.json.push(value.clone());
                }
                if members.contains_key("kty") {
                    self.keys.push(value.clone());
                }
                members.values().for_each(|value| self.walk(value));
            }
            Value::String(text) => {
                let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                if text.matches('.').count() >= 2 && text.len() > 20 && text.bytes().all(is_token) {
                    self.compact.push(text.clone());
                }
            }
            _ => {}
        }
    }
}

#[test]
fn jose_cookbook_tokens_are_all_refused() {
    let Some(folder) = collection("ietf-jose-cookbook") else {
        return;
    };
    let mut files = Vec::new();
    json_files(&folder, &mut files);
    let mut found = Found::default();
    files.iter().for_each(|file| found.walk(file));
    let Found {
        compact,
        json,
        keys,
    } = found;
    assert!(
        compact.len() >= 15 && json.len() >= 30 && keys.len() >= 10,
        "the cookbook changed"
    );

    // With the cookbook's own keys configured, as far as they can be.
    let mut configured = Vec::new();
    for (index, key) in keys.into_iter().enumerate() {
        let algorithms: &[&str] = match key["kty"].as_str() {
            Some("RSA") => &["RS256", "PS384"],
            Some("OKP") => &["EdDSA"],
            Some("oct") => &["HS256"],
            _ => &[],
        };
        for alg in algorithms {
            let mut key = key.clone();
            let named = format!("{index}-{alg}");
            key["alg"] = json!(alg);
            key["kid"] = json!(named);
            if auth_core::Key::from_jwk(&key.to_string()).is_ok() {
                configured.push(key);
            }
        }
    }
    assert!(configured.len() >= 5, "{} usable keys", configured.len());
    configured.truncate(60);
    let shims = contenders(&with_keys(json!(configured)));
    for token in &compact {
        shims.refuses(token, token);
    }
    for serialised in &json {
        let request = Request::get("/me").with("authorization", format!("Bearer {serialised}"));
        let reply = shims.ask(&request.with("host", HOST));
        assert_eq!(reply.status, 400, "{serialised}");
        shims.refuses(&b64(serialised.to_string()), "JSON in base64");
        if let (Some(protected), Some(signature)) = (
            serialised["protected"].as_str(),
            serialised["signature"].as_str(),
        ) {
            // The detached form: the payload is elsewhere.
            shims.refuses(&format!("{protected}..{signature}"), "detached");
        }
    }
    let cases = compact.len() + json.len() * 2;
    println!(
        "ietf-jose-cookbook: {cases} cases, {} keys",
        configured.len()
    );
}

#[test]
fn wycheproof_keys_that_must_not_be_used_are_refused() {
    let Some(folder) = collection("wycheproof") else {
        return;
    };
    let mut files = Vec::new();
    json_files(&folder, &mut files);
    let mut cases = 0;
    for group in files
        .iter()
        .flat_map(|file| file["testGroups"].as_array().unwrap())
    {
        let comment = text(group, "comment").to_lowercase();
        let keys = [&group["public"], &group["private"]].map(|set| match set["keys"].as_array() {
            Some(keys) => keys.clone(),
            None if set.is_object() => vec![set.clone()],
            None => Vec::new(),
        });
        for test in group["tests"].as_array().unwrap() {
            cases += 1;
            let must_not_load = [
                "key_too_short",
                "empty_key",
                "mismatchedAlgAndCurve",
                "rejects1024bitRsaKey",
                "rejectsPublicExponent1",
                "rejectsWrongUse",
                "rejectsAesKey",
            ]
            .contains(&text(test, "comment"));
            for key in keys.iter().flatten() {
                let loaded = auth_core::Key::from_jwk(&key.to_string());
                assert!(!must_not_load || loaded.is_err(), "{comment} {test}: {key}");
                if let Ok(loaded) = loaded {
                    assert_eq!(
                        Some(loaded.algorithm().as_str()),
                        key["alg"].as_str(),
                        "{key}"
                    );
                    assert_ne!(key["use"], "enc");
                }
            }
        }
    }
    assert!(cases > 50);
    println!("wycheproof: {cases} cases");
}
