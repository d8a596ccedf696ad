//! What each contender makes of the case tables in `tests/corpora`: whom it lets in that it should
//! not, whom it refuses that it should let in, and what it says to those it rightly refuses.
//!
//! 1. A case with tokens of two people is asked twice, with one of them spoilt each time: so it
//!    shows whose token was taken, without looking into the contender.
//! 2. *Wrongly accepted*: 2xx for a request that must be refused, or by the wrong token. *Wrongly
//!    refused*: no 2xx for one that must pass. *Wrongly answered*: rightly refused, but with
//!    another status than the table allows, or with another error code in the challenge.
//! 3. Cases about what most contenders do not have (scopes, preflight, an optional mode) are left
//!    out, as are requests that no server would hand on; the column says how many were asked.

mod actix;
mod ask;
mod contenders;
mod key_sets;
mod keys;

use hmac::{Hmac, Mac};
use serde_json::Value;

use crate::world::{AUDIENCE, ISSUER};
use ask::{Ask, Told};
use contenders::Contender;

const BEARER: &str = include_str!("../../../tests/corpora/own-open/bearer.json");
const CLAIMS: &str = include_str!("../../../tests/corpora/own-open/claims.json");
const COOKIES: &str = include_str!("../../../tests/corpora/own-open/cookies.json");

pub const SECRET: &[u8] = b"k1: a secret that is long enough for HS384, of 48 b";
pub const COOKIE: &str = "__Host-Http-at";

/// What went wrong, by case.
#[derive(Default)]
struct Wrong {
    asked: usize,
    accepted: Vec<String>,
    refused: Vec<String>,
    answered: Vec<String>,
}

pub fn tables() {
    let contenders = contenders::all();
    println!("### How each was set up\n");
    for contender in &contenders {
        println!("- **{}**: {}", contender.name, contender.setup);
    }
    table("claims.json: token and claims", &contenders, |contender| {
        Some(claims(contender))
    });
    table("bearer.json: the request", &contenders, |contender| {
        contender.bearer.then(|| bearer(contender))
    });
    table("cookies.json: the cookie", &contenders, |contender| {
        contender.cookies.then(|| cookies(contender))
    });
    key_sets::table();
    keys::tables();
}

fn table(title: &str, contenders: &[Contender], ask: impl Fn(&Contender) -> Option<Wrong>) {
    println!("\n### {title}\n");
    println!("| | asked | wrongly accepted | wrongly refused | wrongly answered |");
    println!("|---|---:|---:|---:|---:|");
    let mut lists_of = Vec::new();
    for contender in contenders {
        let Some(wrong) = ask(contender) else {
            println!("| {} | – | – | – | – |", contender.name);
            continue;
        };
        let counts = [
            wrong.asked,
            wrong.accepted.len(),
            wrong.refused.len(),
            wrong.answered.len(),
        ];
        println!("{}", row(contender.name, &counts));
        let lists = [
            ("accepted", wrong.accepted),
            ("refused", wrong.refused),
            ("answered", wrong.answered),
        ];
        lists_of.push((contender.name, lists));
    }
    println!();
    for (name, lists) in lists_of {
        named(name, lists);
    }
}

/// A line of a table.
fn row(name: &str, counts: &[usize]) -> String {
    let counts = counts.iter().map(|count| format!(" {count} |"));
    format!("| {name} |{}", counts.collect::<String>())
}

/// The cases behind the counts.
fn named<const N: usize>(name: &str, lists: [(&str, Vec<String>); N]) {
    for (what, cases) in lists {
        if !cases.is_empty() {
            println!("- {name}, wrongly {what}: {}", cases.join(", "));
        }
    }
}

fn cases(table: &str) -> Vec<Value> {
    let mut table: Value = serde_json::from_str(table).expect("a table");
    match table["cases"].take() {
        Value::Array(cases) => cases,
        _ => panic!("cases"),
    }
}

fn now_secs() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("a time")
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// A compact JWS under our secret.
fn jws(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", b64(header), b64(payload));
    format!("{message}.{}", b64(hmac_256(SECRET, &message)))
}

fn hmac_256(secret: &[u8], message: &str) -> [u8; 32] {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).expect("any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

fn jws_384(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", b64(header), b64(payload));
    let mut mac = Hmac::<sha2::Sha384>::new_from_slice(SECRET).expect("any length");
    mac.update(message.as_bytes());
    format!("{message}.{}", b64(mac.finalize().into_bytes()))
}

/// `{NOW}` and `{NOW+n}`.
fn fill_now(text: &str) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{NOW") {
        let (offset, after) = after.split_once('}').expect("a placeholder ends");
        let offset: i64 = offset.parse().unwrap_or_default();
        filled.push_str(before);
        filled.push_str(&(now_secs() + offset).to_string());
        rest = after;
    }
    filled + rest
}

const HEADER: &str = r#"{"alg":"HS256","typ":"at+jwt","kid":"k1"}"#;

fn payload(subject: &str, expires_in: i64) -> String {
    let now = now_secs();
    let (begin, end) = (now.min(now + expires_in - 600), now + expires_in);
    format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"{subject}","client_id":"c1","iat":{begin},"exp":{end},"jti":"j1"}}"#
    )
}

fn good(subject: &str) -> String {
    jws(HEADER, &payload(subject, 600))
}

/// Rightly formed, signed by nobody.
fn spoilt(subject: &str) -> String {
    let good = good(subject);
    let (message, _) = good.rsplit_once('.').expect("three parts");
    format!("{message}.{}", b64([0; 32]))
}

fn id(case: &Value) -> String {
    case["id"].as_str().expect("an id").to_owned()
}

fn claims(contender: &Contender) -> Wrong {
    let mut wrong = Wrong::default();
    for case in cases(CLAIMS) {
        let id = id(&case);
        let header = case["header_raw"].as_str().expect("a header");
        let payload = fill_now(case["payload_raw"].as_str().expect("a payload"));
        let header = &header.replace("{LISTENER}", "9");
        let token = match id.as_str() {
            "K-049" | "K-050" => format!("{}.{}.", b64(header), b64(&payload)),
            "K-055" => jws_384(header, &payload),
            _ => jws(header, &payload),
        };
        // The `kid` of a key that is not there: a lone secret has no name to compare.
        if id == "K-057" && !contender.named_keys {
            continue;
        }
        let Some(told) = contender.with_token(&token) else {
            continue;
        };
        wrong.asked += 1;
        let expected = case["expect"].as_str().unwrap_or_default();
        match (expected.starts_with("200"), told.passed()) {
            (true, false) if expected == "200" => wrong.refused.push(id),
            (false, true) => wrong.accepted.push(id),
            (false, false) if told.status != 401 || told.error() != Some("invalid_token") => {
                wrong.answered.push(told.noted(&id));
            }
            _ => {}
        }
    }
    wrong
}

fn bearer(contender: &Contender) -> Wrong {
    let mut wrong = Wrong::default();
    for case in cases(BEARER) {
        let text = case.to_string();
        // What most contenders do not have.
        if case["mode"] == "optional"
            || case["method"] == "OPTIONS"
            || text.contains("insufficient_scope")
        {
            continue;
        }
        let fill = |a: &str, b: &str| Ask::of(&case, |text| fill_bearer(text, a, b));
        let id = id(&case);
        let expected = &case["expect"];
        let statuses = expected["status"].as_array().expect("statuses");
        if statuses.iter().any(|status| status == 200) {
            let (right, wrong_one) = (
                contender.ask(&fill(&good("A"), &spoilt("B"))),
                contender.ask(&fill(&spoilt("A"), &good("B"))),
            );
            wrong.asked += 1;
            if wrong_one.is_some_and(|told| told.passed()) {
                wrong.accepted.push(id);
            } else if !right.is_some_and(|told| told.passed()) {
                wrong.refused.push(id);
            }
            continue;
        }
        let Some(told) = contender.ask(&fill(&good("A"), &good("B"))) else {
            continue;
        };
        wrong.asked += 1;
        let status = statuses.iter().any(|status| *status == told.status);
        let error = match expected.get("error") {
            None => true,
            Some(code) => told.challenge.is_some() && code.as_str() == told.error(),
        };
        if told.passed() {
            wrong.accepted.push(id);
        } else if !status || !error {
            wrong.answered.push(told.noted(&id));
        }
    }
    wrong
}

fn fill_bearer(text: &str, a: &str, b: &str) -> String {
    text.replace("{A}", a)
        .replace("{B}", b)
        .replace("{EXPIRED}", &jws(HEADER, &payload("A", -300)))
        .replace("{BADSIG}", &spoilt("A"))
        .replace(
            "{REFRESH}",
            &jws(&HEADER.replace("at+jwt", "refresh+jwt"), &payload("A", 600)),
        )
        .replace("{REPEAT_DOT_1MiB}", &".".repeat(1024 * 1024))
}

fn cookies(contender: &Contender) -> Wrong {
    let mut wrong = Wrong::default();
    for case in cases(COOKIES) {
        let id = id(&case);
        let Some(lines) = case["cookie_headers_hex"].as_array() else {
            // 300,000 cookies: servers refuse such a head before it gets here.
            continue;
        };
        let fill = |good: &str, evil: &str| {
            let lines = lines.iter().map(|line| {
                let line: String = unhex(line.as_str().expect("hex"))
                    .into_iter()
                    .map(char::from)
                    .collect();
                let line = line
                    .replace("__Host-rt", COOKIE)
                    .replace("__host-rt", &COOKIE.to_ascii_lowercase())
                    .replace("GOOD", good)
                    .replace("EVIL", evil);
                let bytes = line.chars().map(|char| u8::try_from(char).expect("a byte"));
                ("cookie".to_owned(), bytes.collect())
            });
            Ask {
                lines: lines.collect(),
                ..Ask::default()
            }
        };
        let right = contender.ask(&fill(&good("GOOD"), &spoilt("EVIL")));
        let other = contender.ask(&fill(&spoilt("GOOD"), &good("EVIL")));
        let (Some(right), Some(other)) = (right, other) else {
            continue;
        };
        wrong.asked += 1;
        match case["expect"].as_str() {
            _ if other.passed() => wrong.accepted.push(id),
            Some("GOOD" | "GOOD_OR_431") if !right.passed() => wrong.refused.push(id),
            Some("GOOD" | "GOOD_OR_431") => {}
            _ if right.passed() => wrong.accepted.push(id),
            _ if !(400..500).contains(&right.status) => wrong.answered.push(right.noted(&id)),
            _ => {}
        }
    }
    wrong
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

impl Told {
    fn passed(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The error code of a Bearer challenge.
    fn error(&self) -> Option<&str> {
        let challenge = self.challenge.as_deref()?;
        let (_, rest) = challenge.split_once("error=\"")?;
        rest.split('"').next()
    }

    fn noted(&self, id: &str) -> String {
        let challenge = match (&self.challenge, self.error()) {
            (None, _) => "no challenge",
            (Some(_), None) => "no error code",
            (Some(_), Some(code)) => code,
        };
        format!("{id} ({}, {challenge})", self.status)
    }
}
