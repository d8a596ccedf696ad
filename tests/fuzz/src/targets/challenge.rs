//! Challenges: any realm and any requirement is refused when it is configured, or reads back.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use auth_core::adapter::{Step, Verdict};
use auth_core::testing::TokenForge;
use auth_core::{Algorithm, Authenticator, Guard, KeyRing, Scope};

use crate::world::{AUDIENCE, ISSUER, NOW, Request, clock, key, lines};

/// Realm, scope, classes (apart by tabs) and an age, one a line.
pub(super) fn challenge(data: &[u8]) {
    let parts: Option<Vec<&str>> = lines(data)
        .into_iter()
        .map(|line| std::str::from_utf8(line).ok())
        .collect();
    let Some([realm, scope, classes, age]) = parts.as_deref() else {
        return;
    };
    let built: Result<Arc<Authenticator<()>>, _> = Authenticator::for_issuer(ISSUER)
        .audience(AUDIENCE)
        .keys(keys())
        .with_realm(*realm)
        .with_clock(clock())
        .without_cache()
        .build();
    let Ok(auth) = built else {
        return;
    };
    let guard = Guard::from(auth);
    let token = "Bearer ".to_owned() + token();
    for (lines, code) in [
        (vec![], None),
        (vec!["Bearer"], Some("invalid_request")),
        (vec![token.as_str(); 2], Some("invalid_request")),
        (vec!["Bearer a.b.c"], Some("invalid_token")),
    ] {
        let sent = sent(&guard, &lines).expect("a refusal");
        let mut expected = vec![("realm", realm.to_string())];
        expected.extend(code.map(|code| ("error", code.to_owned())));
        assert_eq!(parameters(&sent), owned(expected));
    }
    let good = [token.as_str()];
    if let Ok(guard) = guard.clone().require_scope(scope) {
        let sent = sent(&guard, &good).expect("the token has no scope");
        let scope = Scope::parse(scope).expect("it was taken");
        let expected = vec![
            ("realm", realm.to_string()),
            ("error", "insufficient_scope".to_owned()),
            ("scope", scope.as_str().to_owned()),
        ];
        assert_eq!(parameters(&sent), owned(expected));
    }
    let seconds: u64 = age.parse().unwrap_or(u64::MAX);
    let guard = guard.require_max_age(Duration::from_secs(seconds));
    let names: Vec<&str> = classes.split('\t').collect();
    if let Ok(guard) = guard.require_acr(&names) {
        let sent = sent(&guard, &good).expect("the token says nothing of its login");
        let expected = vec![
            ("realm", realm.to_string()),
            ("error", "insufficient_user_authentication".to_owned()),
            ("acr_values", names.join(" ")),
            ("max_age", seconds.to_string()),
        ];
        assert_eq!(parameters(&sent), owned(expected));
    }
}

fn keys() -> KeyRing {
    static KEYS: OnceLock<KeyRing> = OnceLock::new();
    KEYS.get_or_init(|| KeyRing::new([key(Algorithm::Hs256)]).unwrap())
        .clone()
}

fn token() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| TokenForge::new(&key(Algorithm::Hs256), NOW).mint())
}

/// The challenge that is sent; `None` if the request passes.
fn sent(guard: &Guard<()>, lines: &[&str]) -> Option<String> {
    let lines = lines.iter().map(|line| line.as_bytes());
    match guard.check(&Request::get("authorization", lines)) {
        Step::Done(Verdict::Refuse(refusal)) => {
            let lines = refusal.response().headers();
            let mut challenges = lines
                .iter()
                .filter(|line| line.name() == "www-authenticate");
            let challenge = challenges.next().expect("a challenge");
            assert!(challenges.next().is_none(), "one challenge");
            Some(challenge.value().to_owned())
        }
        Step::Done(Verdict::Pass(_)) => None,
        Step::Wait(_) => panic!("own keys wait for nobody"),
    }
}

fn owned(expected: Vec<(&str, String)>) -> Vec<(String, String)> {
    expected
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A strict reader of one Bearer challenge (RFC 9110 §11.6.1 and §5.6, RFC 6750 §3).
fn parameters(challenge: &str) -> Vec<(String, String)> {
    let mut rest = challenge.strip_prefix("Bearer ").expect("our scheme");
    let mut found: Vec<(String, String)> = Vec::new();
    loop {
        let (name, after) = rest.split_once('=').expect("a parameter");
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(!name.is_empty() && name.bytes().all(is_token), "a token");
        assert!(found.iter().all(|(own, _)| own != name), "each name once");
        let quoted = after.strip_prefix('"').expect("a quoted string");
        let (value, after) = unquote(quoted);
        found.push((name.to_owned(), value));
        if after.is_empty() {
            return found;
        }
        rest = after.strip_prefix(", ").expect("a comma");
    }
}

/// RFC 9110 §5.6.4, up to and with the closing quote.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(chars.next().expect("an escaped character").1),
            ' '..='~' => value.push(char),
            other => panic!("{other:?} in a field line"),
        }
    }
    panic!("no closing quote");
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [
        "api\nread\naal2\n300",
        "my api\nread write\naal2\taal3\n0",
        "\n\n\n",
        "a\"b\nre\"ad\na b\n1",
        "a\\b\nre\\ad\na\\b\n18446744073709551615",
        "a\r\nb\nread\r\taal2\n-1",
        "ünï\nrëad\nüal\n1e3",
        "a\u{7f}b\n  read   write \n\taal2\n5",
        "a, error=x\nread, x\n\"\n7",
        "\u{0}\n\u{0}\n\u{0}\n\u{0}",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}
