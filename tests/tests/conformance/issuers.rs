//! CHECKLIST F over every server: tokens of other issuers, whose keys are fetched.

use std::net::SocketAddr;
use std::time::Duration;

use auth_core::remote::FetchFault;
use auth_core::testing::TokenForge;
use auth_core::{Algorithm, Timestamp};
use auth_jwks::testing::{Document, FakeAnswer, FakeProvider};
use serde_json::{Value, json};

use crate::client::{Reply, Request, send};
use crate::forge;
use crate::shims::{AUDIENCE, BINARIES, Contenders, NOW, base_with, invalid_token, refused};

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

const SERVERS: u64 = BINARIES.len() as u64;

/// All servers, trusting these providers.
fn trusting(providers: &[&FakeProvider]) -> Contenders {
    let issuers: Vec<_> = providers.iter().map(|provider| issuer(provider)).collect();
    Contenders::start(&base_with(json!({ "issuers": issuers })))
}

/// A token that is good as long as any test lasts.
fn token(provider: &FakeProvider) -> TokenForge {
    let forge = provider.token(Timestamp::from_secs(NOW));
    forge
        .claim("sub", forge::SUBJECT)
        .claim("exp", NOW + 20_000)
}

fn servers(shims: &Contenders) -> impl Iterator<Item = SocketAddr> {
    shims.shims.iter().map(|shim| shim.address)
}

fn fetches(server: SocketAddr) -> u64 {
    let stats = send(server, &Request::get("/shim/stats")).unwrap();
    stats.json()["jwks_fetches"].as_u64().unwrap()
}

/// Waits until every server has begun so many fetches.
fn await_fetches(shims: &Contenders, count: u64) {
    for server in servers(shims) {
        for _ in 0..1000 {
            if fetches(server) >= count {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(fetches(server), count);
    }
}

fn unavailable(shims: &Contenders, token: &str, why: &str) {
    let reply: Reply = shims.me(token);
    assert_eq!(reply.status, 503, "{why}: {reply:?}");
    assert!(reply.header("retry-after").is_some(), "{why}");
    assert_eq!(reply.header("www-authenticate"), None, "{why}");
}

#[test]
fn f01_a_flood_of_unknown_keys_costs_a_fetch_for_each_cool_down() {
    let provider = FakeProvider::start().unwrap();
    let shims = trusting(&[&provider]);
    let good = token(&provider).mint();
    shims.accepts(&good, "the first fetch");
    for window in 0..3 {
        shims.advance(COOL_DOWN);
        for n in 0..100 {
            let forged = token(&provider).header("kid", format!("{window}-{n}"));
            shims.refuses(&forged.signature_raw([7; 64]).mint(), "unknown");
            if n % 25 == 0 {
                shims.accepts(&good, "known");
                shims.accepts(&forge::token(), "our own");
            }
        }
        await_fetches(&shims, 2 + window);
    }
    assert_eq!(provider.requests(Document::Jwks), SERVERS * 4);
}

#[test]
fn f03_a_key_that_is_gone_is_refused_after_the_next_refresh() {
    let provider = FakeProvider::start().unwrap();
    let shims = trusting(&[&provider]);
    let old = token(&provider).mint();
    shims.accepts(&old, "published");
    provider.rotate();
    provider.remove_key("1");
    shims.advance(REFRESH);
    for server in servers(&shims) {
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
    await_fetches(&shims, 2);
    shims.refuses(&old, "its key is gone");
    shims.accepts(&token(&provider).mint(), "the new key");
}

#[test]
fn f04_an_issuer_that_is_down_is_503_in_the_end_and_never_401() {
    let provider = FakeProvider::start().unwrap();
    let shims = trusting(&[&provider]);
    let known = token(&provider).mint();
    shims.accepts(&known, "loaded");
    provider.answer(Document::Jwks, FakeAnswer::HangUp);
    let unknown = token(&provider).header("kid", "new").mint();
    shims.advance(COOL_DOWN);
    unavailable(
        &shims,
        &unknown,
        "nobody can say whether there is such a key",
    );
    shims.accepts(&known, "a known key");
    shims.advance(MAX_STALE - COOL_DOWN - 1);
    shims.accepts(&known, "a second before it is too old");
    shims.advance(1);
    unavailable(&shims, &known, "too old");
    // Optional mode does not turn trouble into anonymity.
    let reply = shims.ask(&Request::get("/maybe").bearer(&known));
    assert_eq!(reply.status, 503);
    // Ours are not affected.
    let ours = forge::token_with(json!({ "iat": NOW, "exp": NOW + 20_000 }));
    shims.accepts(&ours, "our own");
    provider.answer(Document::Jwks, FakeAnswer::Document);
    shims.advance(COOL_DOWN);
    shims.accepts(&known, "back again");
}

#[test]
fn f08_a_start_without_the_issuer_is_lazy_or_fails_as_configured() {
    let provider = FakeProvider::start().unwrap();
    provider.answer(Document::Jwks, FakeAnswer::Status(500));
    let mut before = issuer(&provider);
    before["load"] = json!("before");
    let error = refused(&base_with(json!({ "issuers": [before] })));
    assert!(error.contains(&FetchFault::Status.to_string()), "{error}");
    let shims = trusting(&[&provider]);
    unavailable(&shims, &token(&provider).mint(), "no keys yet");
    shims.accepts(&forge::token(), "our own");
    provider.answer(Document::Jwks, FakeAnswer::Document);
    shims.advance(COOL_DOWN);
    shims.accepts(&token(&provider).mint(), "there they are");
    // And before serving, where that works.
    let asked = provider.requests(Document::Jwks);
    let shims = Contenders::start(&base_with(json!({ "issuers": [before] })));
    assert_eq!(provider.requests(Document::Jwks), asked + SERVERS);
    shims.accepts(&token(&provider).mint(), "loaded");
}

#[test]
fn f09_a_rollover_refuses_no_valid_token() {
    let provider = FakeProvider::start().unwrap();
    let shims = trusting(&[&provider]);
    let mut tokens = vec![token(&provider).mint()];
    shims.accepts(&tokens[0], "the first key");
    for _ in 0..3 {
        provider.rotate();
        shims.advance(COOL_DOWN);
        tokens.push(token(&provider).mint());
        for token in tokens.iter().rev() {
            shims.accepts(token, "every published key");
        }
    }
    await_fetches(&shims, 4);
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
    let shims = trusting(&[&provider]);
    let stranger = FakeProvider::start().unwrap();
    for name in [
        stranger.issuer().to_owned(),
        format!("{}/", provider.issuer()),
        provider.issuer().to_uppercase(),
        String::new(),
    ] {
        let forge = token(&provider).claim("iss", &name);
        let pointing = forge.clone().header("jku", provider.jwks_uri());
        assert_eq!(shims.me(&forge.mint()), invalid_token(), "{name}");
        assert_eq!(shims.me(&pointing.mint()), invalid_token(), "{name}");
    }
    let nobody = token(&provider).without_claim("iss").mint();
    shims.refuses(&nobody, "no issuer");
    assert_eq!(provider.connections() + stranger.connections(), 0);
    await_fetches(&shims, 0);
}

#[test]
fn a_key_of_one_issuer_never_verifies_a_token_that_names_another() {
    // Both call their key `1`.
    let (one, two) = (
        FakeProvider::start().unwrap(),
        FakeProvider::start().unwrap(),
    );
    let shims = trusting(&[&one, &two]);
    shims.accepts(&token(&one).mint(), "its own");
    shims.accepts(&token(&two).mint(), "its own");
    for (signer, named) in [
        (&one, two.issuer()),
        (&two, one.issuer()),
        (&one, crate::shims::ISSUER),
    ] {
        let forge = token(signer).claim("iss", named);
        shims.refuses(&forge.mint(), named);
        // Said twice, to be read differently by different readers.
        let twice = forge.member("iss", &json!(signer.issuer()).to_string());
        shims.refuses(&twice.mint(), named);
    }
    let ours = forge::token_with(json!({ "iss": one.issuer() }));
    shims.refuses(&ours, "our key, their name");
}

#[test]
fn each_issuer_has_its_audience_type_and_algorithms() {
    let strict = FakeProvider::start().unwrap();
    let named = FakeProvider::start_at("/realms/main", Algorithm::EdDsa).unwrap();
    let shims = Contenders::start(&base_with(json!({ "issuers": [
        { "issuer": strict.issuer(), "audience": "strict", "algs": ["ES256"],
          "jwks_url": strict.jwks_uri() },
        // Found by its metadata.
        { "issuer": named.issuer(), "audience": "named", "algs": ["EdDSA"], "typ": "JWT" },
    ] })));
    let good = || token(&strict).claim("aud", "strict");
    shims.accepts(&good().mint(), "as RFC 9068 says");
    shims.refuses(&good().claim("aud", AUDIENCE).mint(), "our audience");
    shims.refuses(&good().header("typ", "JWT").mint(), "typ");
    shims.refuses(&good().without_claim("jti").mint(), "a claim of RFC 9068");
    let good = || token(&named).claim("aud", ["x", "named"]);
    shims.accepts(&good().header("typ", "JWT").mint(), "its own typ");
    let lean = good().header("typ", "JWT").without_claim("jti");
    shims.accepts(&lean.mint(), "only the subject is asked for");
    shims.refuses(&good().mint(), "at+jwt");
    let nobody = good().header("typ", "JWT").without_claim("sub");
    shims.refuses(&nobody.mint(), "no subject");
    assert_eq!(named.requests(Document::OpenIdConfiguration), SERVERS);
}

#[test]
fn h19_an_issuer_may_be_kept_from_granting_scopes() {
    let [trusted, kept] = [(); 2].map(|()| FakeProvider::start().unwrap());
    let mut issuers = [issuer(&trusted), issuer(&kept)];
    issuers[1]["without"] = json!(["scopes", "roles"]);
    let shims = Contenders::start(&base_with(json!({ "issuers": issuers })));
    let admin = |provider: &FakeProvider| token(provider).claim("scope", "admin read").mint();
    let status = |token: &str| shims.ask(&Request::get("/admin").bearer(token)).status;
    assert_eq!(status(&admin(&trusted)), 200);
    assert_eq!(status(&admin(&kept)), 403);
    assert_eq!(shims.me(&admin(&kept)).json()["scope"], json!([]));
    assert_eq!(status(&forge::token_with(json!({ "scope": "admin" }))), 200);
}

#[test]
fn h20_a_foreign_subject_of_white_space_is_refused() {
    let provider = FakeProvider::start().unwrap();
    let shims = trusting(&[&provider]);
    shims.accepts(&token(&provider).mint(), "a name");
    shims.refuses(
        &token(&provider).claim("sub", "\u{2003} ").mint(),
        "no name",
    );
}
