//! Access tokens: as they come, edited, and rightly signed around anything.

use std::sync::{Arc, OnceLock};

use auth_core::adapter::{Step, Verdict};
use auth_core::testing::TokenForge;
use auth_core::{Algorithm, Authenticator, Guard, Key};
use serde_json::{Map, Value, json};

use crate::edits::{edited, scripts};
use crate::world::{AUDIENCE, CLAIM_CASES, ISSUER, NOW, Request, b64, cases, clock, key, ring};

type Members = Map<String, Value>;

/// Two guards, with and without a memory, and good tokens of every algorithm.
struct Gate {
    guards: [Guard<Members>; 2],
    hs256: Key,
    good: Vec<String>,
}

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| {
        let build = |size| {
            let auth: Arc<Authenticator<Members>> = Authenticator::for_issuer(ISSUER)
                .audience(AUDIENCE)
                .keys(ring())
                .with_clock(clock())
                .with_cache_size(size)
                .build()
                .unwrap();
            Guard::from(auth)
        };
        let forged = |algorithm| TokenForge::new(&key(algorithm), NOW);
        let mut good: Vec<String> = Algorithm::ALL
            .iter()
            .map(|algorithm| forged(*algorithm).mint())
            .collect();
        // One without `kid`, and one with claims of an app.
        good.push(forged(Algorithm::Hs256).without_header("kid").mint());
        good.push(
            forged(Algorithm::Hs256)
                .claim("roles", ["admin"])
                .claim("scope", "read write")
                .claim("tenant", json!({ "id": 7 }))
                .mint(),
        );
        let gate = Gate {
            guards: [build(64), build(0)],
            hs256: key(Algorithm::Hs256),
            good,
        };
        for token in &gate.good {
            assert!(gate.passes(token.as_bytes()), "a good token passes");
        }
        gate
    })
}

impl Gate {
    /// Whether a token passes. What is refused is refused as every bad token is.
    fn passes(&self, token: &[u8]) -> bool {
        let value = [b"Bearer ".as_slice(), token].concat();
        let request = Request::get("authorization", [value.as_slice()]);
        let [one, other] = self.guards.each_ref().map(|guard| {
            let refusal = match guard.check(&request) {
                Step::Done(Verdict::Pass(_)) => return true,
                Step::Done(Verdict::Refuse(refusal)) => refusal,
                _ => panic!("own keys wait for nobody"),
            };
            let answer = refusal.response();
            let code = match answer.status() {
                400 => "invalid_request",
                401 => "invalid_token",
                status => panic!("status {status}"),
            };
            let challenge = format!(r#"Bearer realm="api", error="{code}""#);
            let mut lines = answer.headers().iter();
            let line = lines.find(|line| line.name() == "www-authenticate");
            assert_eq!(line.map(|line| line.value()), Some(challenge.as_str()));
            false
        });
        assert_eq!(one, other, "with a memory as without");
        one
    }

    /// What passes says what a good token says: only signatures may differ, since some algorithms
    /// draw a new one each time.
    fn judge(&self, token: &[u8]) {
        if self.passes(token) {
            // Spaces after the scheme do not belong to the token.
            let token = token.trim_ascii_start();
            let signed = signed_part(token);
            let known = self
                .good
                .iter()
                .any(|good| signed_part(good.as_bytes()) == signed);
            assert!(known, "a forged token was accepted");
        }
    }

    fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        TokenForge::new(&self.hs256, NOW)
            .header_raw(header)
            .payload_raw(payload)
            .mint()
    }
}

fn signed_part(token: &[u8]) -> &[u8] {
    let end = token.iter().rposition(|byte| *byte == b'.');
    &token[..end.unwrap_or(token.len())]
}

pub(super) fn raw(data: &[u8]) {
    gate().judge(data);
}

pub(super) fn raw_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = gate()
        .good
        .iter()
        .map(|token| token.clone().into_bytes())
        .collect();
    for case in cases(CLAIM_CASES) {
        let part = |name: &str| b64(case[name].as_str().unwrap_or_default());
        let token = format!("{}.{}.AAAA", part("header_raw"), part("payload_raw"));
        seeds.push(token.into_bytes());
    }
    seeds
}

pub(super) fn edits(data: &[u8]) {
    let Some((which, script)) = data.split_first() else {
        return;
    };
    let gate = gate();
    let good = gate.good[usize::from(*which) % gate.good.len()].as_bytes();
    gate.judge(&edited(good, script));
}

pub(super) fn edit_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for which in 0..gate().good.len() {
        let which = u8::try_from(which).unwrap_or_default();
        seeds.extend(
            scripts()
                .into_iter()
                .map(|script| [vec![which], script].concat()),
        );
    }
    seeds
}

/// The members of an object whose names differ, as an independent reader sees them.
fn object(json: &[u8]) -> Option<Members> {
    let value: Value = serde_json::from_slice(json).ok()?;
    let members = value.as_object()?.clone();
    Some(members)
}

/// Whether each of these names is written at most once, however its letters are escaped.
fn names_are_unique(json: &[u8]) -> bool {
    let mut names = Names::default();
    serde_json::Deserializer::from_slice(json)
        .into_iter::<Listed>()
        .next()
        .is_some_and(|listed| {
            listed.is_ok_and(|Listed(list)| list.iter().all(|name| names.add(name)))
        })
}

#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn add(&mut self, name: &str) -> bool {
        let fresh = !self.0.iter().any(|own| own == name);
        self.0.push(name.to_owned());
        fresh
    }
}

/// Names of an object's members, all of them.
struct Listed(Vec<String>);

impl<'de> serde::Deserialize<'de> for Listed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Listed;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Listed, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = map.next_entry::<String, Value>()? {
                    names.push(name);
                }
                Ok(Listed(names))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

const HEADER: &str = r#"{"alg":"HS256","typ":"at+jwt","kid":"HS256"}"#;

/// Any payload under a right signature: what passes is for us, now, in strict JSON.
pub(super) fn claims(payload: &[u8]) {
    let gate = gate();
    let passed = gate.passes(gate.sign(HEADER.as_bytes(), payload).as_bytes());
    let claims = object(payload).filter(|_| names_are_unique(payload));
    if passed {
        let claims = claims.expect("strict JSON");
        assert!(is_for_us(&claims), "another issuer or audience");
        assert!(is_complete(&claims), "a claim is missing");
        assert!(is_in_time(&claims, 1.0), "not in its time");
    } else if let Some(claims) = claims {
        let plain = claims.keys().all(|name| PLAIN.contains(&name.as_str()));
        let good = plain && is_for_us(&claims) && is_complete(&claims) && is_in_time(&claims, -1.0);
        // 8 KiB of token are 6 KiB of payload, less the header.
        assert!(!good || payload.len() > 5800, "a good token was refused");
    }
}

const PLAIN: [&str; 7] = ["iss", "aud", "sub", "client_id", "iat", "exp", "jti"];

fn is_for_us(claims: &Members) -> bool {
    let named = match &claims.get("aud") {
        Some(Value::String(name)) => name == AUDIENCE,
        Some(Value::Array(names)) => {
            names.iter().all(Value::is_string) && names.iter().any(|name| name == AUDIENCE)
        }
        _ => false,
    };
    named && claims.get("iss") == Some(&json!(ISSUER))
}

fn is_complete(claims: &Members) -> bool {
    ["sub", "client_id", "jti"].iter().all(|name| {
        let text = claims.get(*name).and_then(Value::as_str);
        text.is_some_and(|text| !text.is_empty())
    })
}

/// `slack` in seconds, for what fractions are rounded to.
fn is_in_time(claims: &Members, slack: f64) -> bool {
    const NOW_SECS: f64 = 1_800_000_000.0;
    let number = |name: &str| claims.get(name).and_then(Value::as_f64);
    let (Some(exp), Some(iat)) = (number("exp"), number("iat")) else {
        return false;
    };
    let begun = match claims.get("nbf") {
        None => true,
        Some(nbf) => nbf
            .as_f64()
            .is_some_and(|nbf| nbf <= NOW_SECS + 30.0 + slack),
    };
    begun
        && exp > NOW_SECS - 30.0 - slack
        && iat <= NOW_SECS + 30.0 + slack
        && iat <= exp + slack
        && exp - iat <= 86_400.0 + slack
}

pub(super) fn claim_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = cases(CLAIM_CASES)
        .iter()
        .filter_map(|case| case["payload_raw"].as_str())
        .map(|payload| fill_now(payload).into_bytes())
        .collect();
    let more = json!({
        "iss": ISSUER, "aud": ["x", AUDIENCE], "sub": "u", "client_id": "c", "jti": "j",
        "iat": 1_800_000_000, "exp": 1_800_000_600.5, "nbf": 1_799_999_990, "sid": "s",
        "scope": "read write", "roles": ["admin"], "acr": "aal2", "amr": ["pwd"],
        "auth_time": 1_799_999_000, "epoch": 3, "tenant": { "deep": [1, [2, null]] },
    });
    seeds.push(more.to_string().into_bytes());
    seeds
}

/// The placeholders of the table, `{NOW}` and `{NOW+n}`.
fn fill_now(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{NOW") {
        let (offset, after) = after.split_once('}').unwrap_or((after, ""));
        let offset: i64 = offset.parse().unwrap_or_default();
        filled.push_str(before);
        filled.push_str(&(NOW.as_secs() + offset).to_string());
        rest = after;
    }
    filled + rest
}

/// Any header under a right signature: what passes names our algorithm, key and type, and nothing
/// that would have to be understood.
pub(super) fn header(header: &[u8]) {
    let gate = gate();
    let payload = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "u", "client_id": "c", "jti": "j",
        "iat": 1_800_000_000, "exp": 1_800_000_600,
    });
    let token = gate.sign(header, payload.to_string().as_bytes());
    if !gate.passes(token.as_bytes()) {
        return;
    }
    let members = object(header).expect("strict JSON");
    assert!(names_are_unique(header), "a member twice");
    assert_eq!(members.get("alg"), Some(&json!("HS256")));
    assert!(members.get("kid").is_none_or(|kid| kid == "HS256"));
    assert!(!members.contains_key("crit") && !members.contains_key("b64"));
    let typ = members
        .get("typ")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let typ = typ.to_ascii_lowercase();
    assert_eq!(typ.strip_prefix("application/").unwrap_or(&typ), "at+jwt");
}

pub(super) fn header_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = cases(CLAIM_CASES)
        .iter()
        .filter_map(|case| case["header_raw"].as_str())
        .map(|header| header.replace("\"k1\"", "\"HS256\"").into_bytes())
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    seeds
}
