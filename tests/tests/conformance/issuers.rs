//! CHECKLIST F over both servers: tokens of other issuers, whose keys are fetched.

use std::net::SocketAddr;
use std::time::Duration;

use auth_core::remote::FetchFault;
use auth_core::testing::TokenForge;
use auth_core::{Algorithm, Timestamp};
use auth_jwks::testing::{Document, FakeAnswer, FakeProvider};
use serde_json::{Value, json};

use crate::client::{Reply, Request, send};
use crate::forge;
use crate::shims::{AUDIENCE, NOW, Pair, base_with, invalid_token, refused};

/// When a set without `Cache-Control` is fetched again, and how old it may get.
const REFRESH: i64 = 480;
const MAX_STALE: i64 = 600 + 3600;
const COOL_DOWN: i64 = 30;

fn issuer(provider: &FakeProvider) -> Value {
    json!({
        "issuer": provider.issuer(), "audience": AUDIENCE, "jwks_url": provider.jwks_uri(),
        "typ": "any", "algs": ["ES256"], "load": "lazy",
    })
}

/// Both servers, trusting these providers.
fn trusting(providers: &[&FakeProvider]) -> Pair {
    let issuers: Vec<_> = providers.iter().map(|provider| issuer(provider)).collect();
    Pair::start(&base_with(json!({ "issuers": issuers })))
}

/// A token that is good as long as any test lasts.
fn token(provider: &FakeProvider) -> TokenForge {
    let forge = provider.token(Timestamp::from_secs(NOW));
    forge
        .claim("sub", forge::SUBJECT)
        .claim("exp", NOW + 20_000)
}

fn servers(pair: &Pair) -> [SocketAddr; 2] {
    [pair.axum.address, pair.actix.address]
}

fn fetches(server: SocketAddr) -> u64 {
    let stats = send(server, &Request::get("/shim/stats")).unwrap();
    stats.json()["jwks_fetches"].as_u64().unwrap()
}

/// Waits until both servers have begun so many fetches.
fn await_fetches(pair: &Pair, count: u64) {
    for server in servers(pair) {
        for _ in 0..1000 {
            if fetches(server) >= count {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(fetches(server), count);
    }
}

fn unavailable(pair: &Pair, token: &str, why: &str) {
    let reply: Reply = pair.me(token);
    assert_eq!(reply.status, 503, "{why}: {reply:?}");
    assert!(reply.header("retry-after").is_some(), "{why}");
    assert_eq!(reply.header("www-authenticate"), None, "{why}");
}

#[test]
fn f01_a_flood_of_unknown_keys_costs_a_fetch_for_each_cool_down() {
    let provider = FakeProvider::start().unwrap();
    let pair = trusting(&[&provider]);
    let good = token(&provider).mint();
    pair.accepts(&good, "the first fetch");
    for window in 0..3 {
        pair.advance(COOL_DOWN);
        for n in 0..100 {
            let forged = token(&provider).header("kid", format!("{window}-{n}"));
            pair.refuses(&forged.signature_raw([7; 64]).mint(), "unknown");
            if n % 25 == 0 {
                pair.accepts(&good, "known");
                pair.accepts(&forge::token(), "our own");
            }
        }
        await_fetches(&pair, 2 + window);
    }
    assert_eq!(provider.requests(Document::Jwks), 2 * 4);
}

#[test]
fn f03_a_key_that_is_gone_is_refused_after_the_next_refresh() {
    let provider = FakeProvider::start().unwrap();
    let pair = trusting(&[&provider]);
    let old = token(&provider).mint();
    pair.accepts(&old, "published");
    provider.rotate();
    provider.remove_key("1");
    pair.advance(REFRESH);
    for server in servers(&pair) {
        let status = || {
            send(server, &Request::get("/me").bearer(&old))
                .unwrap()
                .status
        };
        assert_eq!(
            status(),
            200,
            "this request begins the refresh and waits for nothing"
        );
        for _ in 0..1000 {
            if status() == 401 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    await_fetches(&pair, 2);
    pair.refuses(&old, "its key is gone");
    pair.accepts(&token(&provider).mint(), "the new key");
}

#[test]
fn f04_an_issuer_that_is_down_is_503_in_the_end_and_never_401() {
    let provider = FakeProvider::start().unwrap();
    let pair = trusting(&[&provider]);
    let known = token(&provider).mint();
    pair.accepts(&known, "loaded");
    provider.answer(Document::Jwks, FakeAnswer::HangUp);
    let unknown = token(&provider).header("kid", "new").mint();
    pair.advance(COOL_DOWN);
    unavailable(
        &pair,
        &unknown,
        "nobody can say whether there is such a key",
    );
    pair.accepts(&known, "a known key");
    pair.advance(MAX_STALE - COOL_DOWN - 1);
    pair.accepts(&known, "a second before it is too old");
    pair.advance(1);
    unavailable(&pair, &known, "too old");
    // Optional mode does not turn trouble into anonymity.
    let reply = pair.ask(&Request::get("/maybe").bearer(&known));
    assert_eq!(reply.status, 503);
    // Ours are not affected.
    let ours = forge::token_with(json!({ "iat": NOW, "exp": NOW + 20_000 }));
    pair.accepts(&ours, "our own");
    provider.answer(Document::Jwks, FakeAnswer::Document);
    pair.advance(COOL_DOWN);
    pair.accepts(&known, "back again");
}

#[test]
fn f08_a_start_without_the_issuer_is_lazy_or_fails_as_configured() {
    let provider = FakeProvider::start().unwrap();
    provider.answer(Document::Jwks, FakeAnswer::Status(500));
    let mut before = issuer(&provider);
    before["load"] = json!("before");
    let error = refused(&base_with(json!({ "issuers": [before] })));
    assert!(error.contains(&FetchFault::Status.to_string()), "{error}");
    let pair = trusting(&[&provider]);
    unavailable(&pair, &token(&provider).mint(), "no keys yet");
    pair.accepts(&forge::token(), "our own");
    provider.answer(Document::Jwks, FakeAnswer::Document);
    pair.advance(COOL_DOWN);
    pair.accepts(&token(&provider).mint(), "there they are");
    // And before serving, where that works.
    let asked = provider.requests(Document::Jwks);
    let pair = Pair::start(&base_with(json!({ "issuers": [before] })));
    assert_eq!(provider.requests(Document::Jwks), asked + 2);
    pair.accepts(&token(&provider).mint(), "loaded");
}

#[test]
fn f09_a_rollover_refuses_no_valid_token() {
    let provider = FakeProvider::start().unwrap();
    let pair = trusting(&[&provider]);
    let mut tokens = vec![token(&provider).mint()];
    pair.accepts(&tokens[0], "the first key");
    for _ in 0..3 {
        provider.rotate();
        pair.advance(COOL_DOWN);
        tokens.push(token(&provider).mint());
        for token in tokens.iter().rev() {
            pair.accepts(token, "every published key");
        }
    }
    await_fetches(&pair, 4);
}

#[test]
fn f10_plain_http_is_refused_at_start() {
    let provider = FakeProvider::start().unwrap();
    for url in [
        "http://id.example/jwks",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "",
    ] {
        let mut issuer = issuer(&provider);
        issuer["jwks_url"] = json!(url);
        let error = refused(&base_with(json!({ "issuers": [issuer] })));
        assert!(error.contains("https"), "{url}: {error}");
    }
    for (name, value) in [
        ("algs", json!([])),
        ("algs", json!(["HS256"])),
        ("algs", json!(["none"])),
        ("audience", json!("")),
        ("issuer", json!(crate::shims::ISSUER)),
    ] {
        let mut issuer = issuer(&provider);
        issuer[name] = value;
        refused(&base_with(json!({ "issuers": [issuer] })));
    }
}

#[test]
fn an_issuer_that_nobody_named_is_refused_without_a_fetch() {
    let provider = FakeProvider::start().unwrap();
    let pair = trusting(&[&provider]);
    let stranger = FakeProvider::start().unwrap();
    for name in [
        stranger.issuer().to_owned(),
        format!("{}/", provider.issuer()),
        provider.issuer().to_uppercase(),
        String::new(),
    ] {
        let forge = token(&provider).claim("iss", &name);
        let pointing = forge.clone().header("jku", provider.jwks_uri());
        assert_eq!(pair.me(&forge.mint()), invalid_token(), "{name}");
        assert_eq!(pair.me(&pointing.mint()), invalid_token(), "{name}");
    }
    let nobody = token(&provider).without_claim("iss").mint();
    pair.refuses(&nobody, "no issuer");
    assert_eq!(provider.connections() + stranger.connections(), 0);
    await_fetches(&pair, 0);
}

#[test]
fn a_key_of_one_issuer_never_verifies_a_token_that_names_another() {
    // Both call their key `1`.
    let (one, two) = (
        FakeProvider::start().unwrap(),
        FakeProvider::start().unwrap(),
    );
    let pair = trusting(&[&one, &two]);
    pair.accepts(&token(&one).mint(), "its own");
    pair.accepts(&token(&two).mint(), "its own");
    for (signer, named) in [
        (&one, two.issuer()),
        (&two, one.issuer()),
        (&one, crate::shims::ISSUER),
    ] {
        let forge = token(signer).claim("iss", named);
        pair.refuses(&forge.mint(), named);
        // Said twice, to be read differently by different readers.
        let twice = forge.member("iss", &json!(signer.issuer()).to_string());
        pair.refuses(&twice.mint(), named);
    }
    let ours = forge::token_with(json!({ "iss": one.issuer() }));
    pair.refuses(&ours, "our key, their name");
}

#[test]
fn each_issuer_has_its_audience_type_and_algorithms() {
    let strict = FakeProvider::start().unwrap();
    let named = FakeProvider::start_at("/realms/main", Algorithm::EdDsa).unwrap();
    let pair = Pair::start(&base_with(json!({ "issuers": [
        { "issuer": strict.issuer(), "audience": "strict", "algs": ["ES256"],
          "jwks_url": strict.jwks_uri() },
        // Found by its metadata.
        { "issuer": named.issuer(), "audience": "named", "algs": ["EdDSA"], "typ": "JWT" },
    ] })));
    let good = || token(&strict).claim("aud", "strict");
    pair.accepts(&good().mint(), "as RFC 9068 says");
    pair.refuses(&good().claim("aud", AUDIENCE).mint(), "our audience");
    pair.refuses(&good().header("typ", "JWT").mint(), "typ");
    pair.refuses(&good().without_claim("jti").mint(), "a claim of RFC 9068");
    let good = || token(&named).claim("aud", ["x", "named"]);
    pair.accepts(&good().header("typ", "JWT").mint(), "its own typ");
    let lean = good().header("typ", "JWT").without_claim("jti");
    pair.accepts(&lean.mint(), "only the subject is asked for");
    pair.refuses(&good().mint(), "at+jwt");
    let nobody = good().header("typ", "JWT").without_claim("sub");
    pair.refuses(&nobody.mint(), "no subject");
    assert_eq!(named.requests(Document::OpenIdConfiguration), 2);
}
