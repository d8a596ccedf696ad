//! `Set-Cookie`: what we write is what a browser reads, and a deletion deletes exactly it.

use std::time::Duration;

use auth_cookie::{CookieBuilder, CookieSource, SameSite, Scoped, TokenCookie};
use auth_core::ConfigError;
use auth_core::source::TokenSource;

use crate::world::{Request, lines};

const MAX_AGE: u64 = 400 * 24 * 60 * 60;

/// What a browser makes of a line: RFC 6265bis §5.6 and §5.7, step by step.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stored {
    name: String,
    value: String,
    domain: Option<String>,
    path: Option<String>,
    max_age: Option<i64>,
    expires: Option<String>,
    same_site: Option<String>,
    secure: bool,
    http_only: bool,
    partitioned: bool,
}

/// `None` if a browser drops it.
fn store(line: &str) -> Option<Stored> {
    let forbidden = |byte: u8| matches!(byte, 0..=8 | 0x0A..=0x1F | 0x7F);
    if line.bytes().any(forbidden) {
        return None;
    }
    let blank = [' ', '\t'];
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let mut stored = Stored {
        name: name.trim_matches(blank).to_owned(),
        value: value.trim_matches(blank).to_owned(),
        ..Stored::default()
    };
    if stored.name.is_empty() || stored.name.len() + stored.value.len() > 4096 {
        return None;
    }
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (name.trim_matches(blank), value.trim_matches(blank));
        if value.len() > 1024 {
            continue;
        }
        let value = Some(value.to_owned());
        match name.to_ascii_lowercase().as_str() {
            "domain" => stored.domain = value.map(|value| value.trim_start_matches('.').into()),
            "path" => stored.path = value.filter(|value| value.starts_with('/')),
            "max-age" => stored.max_age = value.and_then(|value| value.parse().ok()),
            "expires" => stored.expires = value,
            "samesite" => stored.same_site = value,
            "secure" => stored.secure = true,
            "httponly" => stored.http_only = true,
            "partitioned" => stored.partitioned = true,
            other => panic!("an attribute that nobody asked for: {other}"),
        }
    }
    keeps(&stored).then_some(stored)
}

/// The last steps of §5.7: prefixes, `SameSite=None` and `Partitioned`.
fn keeps(cookie: &Stored) -> bool {
    let name = cookie.name.to_ascii_lowercase();
    let host = name.starts_with("__host-");
    let http = name.starts_with("__host-http-") || name.starts_with("__http-");
    let secure = host || http || name.starts_with("__secure-");
    (cookie.secure || !secure)
        && (cookie.http_only || !http)
        && (!host || cookie.domain.is_none() && cookie.path.as_deref() == Some("/"))
        && (cookie.secure || cookie.same_site.as_deref() != Some("None"))
        && (cookie.secure || !cookie.partitioned)
}

/// A first line of choices, then name, domain, path and token.
pub(super) fn set_cookie(data: &[u8]) {
    let parts: Option<Vec<&str>> = lines(data)
        .into_iter()
        .map(|line| std::str::from_utf8(line).ok())
        .collect();
    let Some([choices, name, domain, path, token]) = parts.as_deref() else {
        return;
    };
    let choice = |at: usize| choices.as_bytes().get(at).copied().unwrap_or_default();
    let scoped = |builder: CookieBuilder<Scoped>| -> CookieBuilder<Scoped> {
        let builder = if domain.is_empty() {
            builder
        } else {
            builder.with_domain(domain)
        };
        if path.is_empty() {
            builder
        } else {
            builder.with_path(path)
        }
    };
    let same_site = [SameSite::Strict, SameSite::Lax, SameSite::None][usize::from(choice(1) % 3)];
    let partitioned = choice(2) % 2 == 1;
    let built = match choice(0) % 4 {
        0 => finish(TokenCookie::host_http(name), same_site, partitioned),
        1 => finish(TokenCookie::host(name), same_site, partitioned),
        2 => finish(scoped(TokenCookie::secure(name)), same_site, partitioned),
        _ => {
            let builder = TokenCookie::insecure_plain_http(name);
            finish(scoped(builder), same_site, partitioned)
        }
    };
    let Ok(cookie) = built else {
        return;
    };
    let age = match choice(3) % 4 {
        0 => None,
        1 => Some(Duration::ZERO),
        2 => Some(Duration::from_secs(u64::from(choice(4)) * 300_000)),
        _ => Some(Duration::MAX),
    };
    let deleted = store(&cookie.clear()).expect("a browser takes the deletion");
    check(&cookie, &deleted);
    assert_eq!((deleted.value.as_str(), deleted.max_age), ("", Some(0)));
    if let Ok(line) = cookie.set(token, age) {
        check_set(&cookie, &line, token, age);
    }
}

fn check_set(cookie: &TokenCookie, line: &str, token: &str, age: Option<Duration>) {
    let stored = store(line).expect("a browser takes it");
    check(cookie, &stored);
    assert_eq!(stored.value, token);
    let seconds = age.map(|age| i64::try_from(age.as_secs().min(MAX_AGE)).unwrap());
    assert_eq!((stored.max_age, stored.expires), (seconds, None));
    // As the servers that others write read it.
    let parsed = cookie::Cookie::parse(line).expect("a cookie");
    assert_eq!((parsed.name(), parsed.value()), (cookie.name(), token));
    // And on its way back, among others.
    let name = cookie.name();
    let back = format!("{name}x=b; {name}={token}; x{name}");
    let request = Request::get("cookie", [back.as_bytes()]);
    let source = CookieSource::named(name).expect("a name that was written");
    let found = source.find(&request).expect("one cookie");
    let found = found.as_ref().map(|token| token.expose());
    assert_eq!(found.unwrap_or_default(), token);
}

fn check(cookie: &TokenCookie, stored: &Stored) {
    assert_eq!(stored.name, cookie.name());
    assert_eq!(stored.domain.as_deref(), cookie.domain());
    assert_eq!(stored.path.as_deref(), Some(cookie.path()));
    assert_eq!(stored.secure, cookie.is_secure());
    assert_eq!(stored.partitioned, cookie.is_partitioned());
    assert!(stored.http_only);
    let same_site = match cookie.same_site() {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    assert_eq!(stored.same_site.as_deref(), Some(same_site));
}

fn finish<S>(
    builder: CookieBuilder<S>,
    same_site: SameSite,
    partitioned: bool,
) -> Result<TokenCookie, ConfigError> {
    let builder = builder.with_same_site(same_site);
    if partitioned {
        builder.with_partitioned_jar().build()
    } else {
        builder.build()
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let token = "eyJhbGciOiJIUzI1NiJ9.e30.AAAA";
    let mut seeds = Vec::new();
    for kind in ["0", "1", "2", "3"] {
        for rest in ["000 ", "1012", "2123", "10222"] {
            seeds.push(format!("{kind}{rest}\nat\n\n\n{token}").into_bytes());
            seeds.push(format!("{kind}{rest}\nat\napp.example\n/auth\n{token}").into_bytes());
        }
    }
    for (name, domain, path, token) in [
        ("__Host-at", "example.com", "/", "x"),
        ("a b", ".example.com", "auth", "x;y"),
        ("", "EXAMPLE.com", "/a;b", "x\"y"),
        ("at", "127.0.0.1", "/a/../b", "x,y z"),
        ("at", "a.b", "/", ""),
    ] {
        seeds.push(format!("2000\n{name}\n{domain}\n{path}\n{token}").into_bytes());
    }
    seeds.push(b"31022\na\n\n\nJyetGciO".to_vec());
    seeds.push(format!("0000\nat\n\n\n{}", "x".repeat(4080)).into_bytes());
    seeds
}
