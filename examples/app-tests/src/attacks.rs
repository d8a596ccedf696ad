//! The case tables of the conformance servers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use auth_core::testing::TokenForge;
use auth_core::{Clock, Key, SystemClock, Timestamp};
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::App;

const BEARER: &str = include_str!("../../../tests/corpora/own-open/bearer.json");
const COOKIES: &str = include_str!("../../../tests/corpora/own-open/cookies.json");
const CLAIMS: &str = include_str!("../../../tests/corpora/own-open/claims.json");
const AUDIENCE: &str = "https://app.example";

/// An app under test, and its signing key.
struct Attacked {
    app: App,
    key: Key,
    now: Timestamp,
    _data: tempfile::TempDir,
}

struct Reply {
    status: u16,
    /// Error code of the challenge. `None`: no challenge, or one without an error.
    error: Option<String>,
    has_scope: bool,
    subject: Option<String>,
}

impl Attacked {
    fn start(program: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        // With the token lifetime of the tables.
        let app = App::start_with(program, data.path(), &[("ACCESS_SECONDS", "600")]);
        let kept = std::fs::read_to_string(data.path().join("keys")).unwrap();
        let (_head, document) = kept.split_once('\n').unwrap();
        let document: Value = serde_json::from_str(document).unwrap();
        let jwk = document["signing"][0]["key"].as_str().unwrap();
        let jwk = URL_SAFE_NO_PAD.decode_to_vec(jwk).unwrap();
        Self {
            app,
            key: Key::from_jwk(&String::from_utf8(jwk).unwrap()).unwrap(),
            now: SystemClock.now(),
            _data: data,
        }
    }

    fn forge(&self, subject: &str) -> TokenForge {
        TokenForge::new(&self.key, self.now)
            .claim("aud", AUDIENCE)
            .claim("sub", subject)
            .claim("name", subject)
    }

    /// Sends a request. `None` if the app closes the connection within a malformed head.
    fn ask(&self, method: &str, target: &str, lines: &[Vec<u8>], body: &str) -> Option<Reply> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
        for line in lines {
            request.extend_from_slice(line);
            request.extend_from_slice(b"\r\n");
        }
        let length = body.len();
        let end = format!("content-length: {length}\r\nconnection: close\r\n\r\n{body}");
        request.extend_from_slice(end.as_bytes());
        let mut stream = TcpStream::connect(&self.app.address).unwrap();
        let sent = stream.write_all(&request);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        if answer.is_empty() {
            assert!(sent.is_err() || read.is_err(), "closed without an answer");
            return None;
        }
        Some(Reply::read(&String::from_utf8_lossy(&answer)))
    }

    fn bearer(&self, token: &str) -> Reply {
        let line = format!("authorization: Bearer {token}").into_bytes();
        self.ask("GET", "/me", &[line], "").unwrap()
    }
}

impl Reply {
    fn read(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let challenge = head.lines().find_map(|line| {
            line.split_once(": ")
                .filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"))
        });
        let challenge = challenge.map_or("", |(_, challenge)| challenge);
        let error = challenge.split_once("error=\"").map(|(_, rest)| rest);
        let error = error.and_then(|rest| rest.split('"').next());
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            error: error.map(str::to_owned),
            has_scope: challenge.contains("scope=\""),
            subject: body["subject"].as_str().map(str::to_owned),
        }
    }
}

fn cases(table: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(table).unwrap();
    table["cases"].as_array().unwrap().clone()
}

/// Runs the table of `Authorization` fields, with tokens in forbidden places.
///
/// # Panics
/// If the app responds to a case differently than the table.
pub fn table_of_authorization_fields(program: &str) {
    let attacked = Attacked::start(program);
    let of = |subject: &str| attacked.forge(subject).mint();
    let past = attacked.now.as_secs() - 300;
    let expired = attacked.forge("A").claim("exp", past).mint();
    let bad = attacked.forge("A").signature_raw([0; 64]).mint();
    let reader = attacked.forge("A").claim("scope", "read").mint();
    let refresh = attacked.forge("A").header("typ", "refresh+jwt").mint();
    let fill = |text: &str| {
        text.replace("{A}", &of("A"))
            .replace("{B}", &of("B"))
            .replace("{EXPIRED}", &expired)
            .replace("{BADSIG}", &bad)
            .replace("{A_SCOPE_READ}", &reader)
            .replace("{REFRESH}", &refresh)
            .replace("{REPEAT_DOT_1MiB}", &".".repeat(1024 * 1024))
    };
    let mut asked = 0;
    for case in cases(BEARER) {
        let (id, expect) = (&case["id"], &case["expect"]);
        let method = case["method"].as_str().unwrap_or("GET");
        // Preflights pass if an app allows them. These apps have no other origin to serve.
        if method == "OPTIONS" {
            continue;
        }
        asked += 1;
        let path = match (case["mode"].as_str(), expect["error"].as_str()) {
            (Some("optional"), _) => "/",
            (_, Some("insufficient_scope")) => "/admin",
            _ => "/me",
        };
        let target = match case["query"].as_str() {
            Some(query) => format!("{path}?{}", fill(query)),
            None => path.to_owned(),
        };
        let lines = case["headers"].as_array().unwrap().iter();
        let lines: Vec<_> = lines
            .map(|line| {
                let (name, value) = (line[0].as_str().unwrap(), line[1].as_str().unwrap());
                format!("{name}: {}", fill(value)).into_bytes()
            })
            .collect();
        let body = fill(case["body"].as_str().unwrap_or_default());
        let statuses = expect["status"].as_array().unwrap();
        let Some(reply) = attacked.ask(method, &target, &lines, &body) else {
            assert!(statuses.contains(&431.into()), "{id}: no answer");
            continue;
        };
        assert!(
            statuses.contains(&reply.status.into()),
            "{id}: {}",
            reply.status
        );
        if let Some(error) = expect.get("error") {
            assert_eq!(reply.error.as_deref(), error.as_str(), "{id}");
        }
        if let Some(subject) = expect.get("sub") {
            assert_eq!(reply.subject.as_deref(), subject.as_str(), "{id}");
        }
        assert!(reply.has_scope || expect["scope_attr"] != true, "{id}");
    }
    assert_eq!(asked, 34);
}

/// Runs the table of `Cookie` fields.
///
/// # Panics
/// If the app responds to a case differently than the table.
pub fn table_of_cookies(program: &str) {
    let attacked = Attacked::start(program);
    let (good, evil) = (attacked.forge("GOOD").mint(), attacked.forge("EVIL").mint());
    let fill = |line: &[u8]| {
        let text: String = line.iter().map(|byte| char::from(*byte)).collect();
        let text = text
            .replace("__Host-rt", "__Host-Http-at")
            .replace("__host-rt", "__host-http-at")
            .replace("GOOD", &good)
            .replace("EVIL", &evil);
        let bytes = text.chars().map(|char| u8::try_from(char).unwrap());
        b"cookie: "
            .iter()
            .copied()
            .chain(bytes)
            .collect::<Vec<u8>>()
    };
    let table = cases(COOKIES);
    for case in &table {
        let id = &case["id"];
        let lines: Vec<_> = match case["cookie_headers_hex"].as_array() {
            Some(lines) => lines.iter().map(|line| fill(&unhex(line))).collect(),
            None => vec![fill(
                format!("{}__Host-rt=GOOD", "a=;".repeat(100_000)).as_bytes(),
            )],
        };
        let reply = attacked.ask("GET", "/me", &lines, "");
        let expect = case["expect"].as_str();
        if expect == Some("GOOD_OR_431") && reply.as_ref().is_none_or(|reply| reply.status == 431) {
            continue;
        }
        let reply = reply.unwrap();
        match expect {
            Some("GOOD" | "GOOD_OR_431") => {
                assert_eq!(reply.status, 200, "{id}");
                assert_eq!(reply.subject.as_deref(), Some("GOOD"), "{id}");
            }
            None => assert_eq!((reply.status, reply.error), (401, None), "{id}"),
            Some("REJECT_OR_LITERAL") => assert!(matches!(reply.status, 400 | 401), "{id}"),
            Some(other) => panic!("{id}: {other}"),
        }
    }
    assert_eq!(table.len(), 17);
}

fn unhex(line: &Value) -> Vec<u8> {
    let hex = line.as_str().unwrap();
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// Runs the table of token headers and claims.
///
/// # Panics
/// If the app responds to a case differently than the table.
pub fn table_of_claims(program: &str) {
    let attacked = Attacked::start(program);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let public = attacked.key.public_jwk().unwrap();
    let table = cases(CLAIMS);
    for case in &table {
        let (id, why) = (case["id"].as_str().unwrap(), &case["why"]);
        let header = case["header_raw"].as_str().unwrap();
        let header = header
            .replace("HS256", attacked.key.algorithm().as_str())
            .replace("k1", attacked.key.id())
            .replace("{LISTENER}", &port);
        let payload = case["payload_raw"].as_str().unwrap();
        // The claims that the apps' own type requires.
        let payload = payload
            .replacen('{', r#"{"name":"A","#, 1)
            .replace("https://api.example", AUDIENCE);
        let forge = attacked
            .forge("A")
            .header_raw(header)
            .payload_raw(fill_now(&payload, attacked.now));
        let token = match id {
            "K-049" | "K-050" => forge.unsigned(),
            "K-055" => forge.mac384(public.as_bytes()),
            _ => forge,
        }
        .mint();
        let reply = attacked.bearer(&token);
        match case["expect"].as_str().unwrap() {
            "200" => {
                assert_eq!(reply.status, 200, "{id}: {why}");
                assert_eq!(reply.subject.as_deref(), Some("user-1"), "{id}");
            }
            "401" => {
                assert_eq!(reply.status, 401, "{id}: {why}");
                assert_eq!(reply.error.as_deref(), Some("invalid_token"), "{id}");
            }
            "200_OR_401_AND_0_FETCHES" => assert!(matches!(reply.status, 200 | 401), "{id}"),
            other => panic!("{id}: {other}"),
        }
    }
    assert!(listener.accept().is_err(), "a URL of a token was fetched");
    assert_eq!(table.len(), 36);
}

/// Replaces `{NOW}`, `{NOW+n}` and `{NOW-n}`.
fn fill_now(text: &str, now: Timestamp) -> String {
    let mut parts = text.split("{NOW");
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        let (offset, rest) = part.split_once('}').unwrap();
        let offset: i64 = offset.parse().unwrap_or(0);
        filled.push_str(&(now.as_secs() + offset).to_string());
        filled.push_str(rest);
    }
    filled
}
