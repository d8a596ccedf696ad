//! Guards, tokens and requests of the tests.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail here"
)]

use std::sync::Arc;

use actix_web::http::header;
use actix_web::test::TestRequest;
use auth_core::adapter::RequestView;
use auth_core::signing::{SignatureError, VerifySignature};
use auth_core::source::{Carrier, CredentialError, PresentedToken, TokenSource};
use auth_core::{Algorithm, Authenticator, AuthenticatorBuilder, Clock, Key, Timestamp};
use serde_json::{Value, json};

/// The app's own claims.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct User {
    pub tenant: String,
}

/// The time of all tests, in Unix seconds.
pub const NOW: i64 = 1_800_000_000;

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(NOW)
    }
}

/// Accepts one fixed signature: these tests concern HTTP, not cryptography.
#[derive(Debug)]
struct Stamp;

const STAMP: &[u8] = b"stamp";

impl VerifySignature for Stamp {
    fn verify(&self, _: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        if signature == STAMP {
            Ok(())
        } else {
            Err(SignatureError)
        }
    }
}

pub fn key() -> Key {
    Key::new("k1", Algorithm::Es256, Arc::new(Stamp)).unwrap()
}

pub fn auth() -> Arc<Authenticator<User>> {
    builder().build().unwrap()
}

fn builder() -> AuthenticatorBuilder<User> {
    Authenticator::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(key())
        .with_clock(Arc::new(Stopped))
}

/// A token for `alice` with changed claims.
pub fn token_with(changes: Value) -> String {
    let mut claims = json!({
        "iss": "https://issuer.example", "aud": "https://api.example", "sub": "alice",
        "client_id": "tests", "jti": "1", "iat": NOW - 60, "exp": NOW + 600,
        "tenant": "acme", "scope": "read",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let encode = |bytes: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "k1"});
    let header = encode(header.to_string().as_bytes());
    let payload = encode(claims.to_string().as_bytes());
    format!("{header}.{payload}.{}", encode(STAMP))
}

pub fn token() -> String {
    token_with(json!({}))
}

pub fn bearer(request: TestRequest, token: &str) -> TestRequest {
    request.append_header((header::AUTHORIZATION, format!("Bearer {token}")))
}

pub fn get(path: &str) -> TestRequest {
    TestRequest::with_uri(path)
}

/// Reads a bare token from a custom header.
#[derive(Debug)]
struct OwnHeader(&'static str);

impl TokenSource for OwnHeader {
    fn find<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        let mut found = None;
        request.visit_header(self.0, &mut |value| found = std::str::from_utf8(value).ok());
        Ok(found.and_then(|token| PresentedToken::new(token, Carrier::Header)))
    }
}

pub fn auth_reading(header: &'static str) -> Arc<Authenticator<User>> {
    let source: Arc<dyn TokenSource> = Arc::new(OwnHeader(header));
    builder().with_sources([source]).build().unwrap()
}

pub const ACCESS_COOKIE: &str = "__Host-Http-at";

/// An authenticator for pages of other origins.
pub fn cross_site(
    cookies: auth_cookie::CookiePolicy,
    csrf: auth_core::CsrfPolicy,
) -> Arc<Authenticator<User>> {
    let builder = builder().with_cookies(cookies).with_csrf(csrf);
    builder.build().unwrap()
}

/// An authenticator with the access cookie as a second token source.
pub fn auth_with_cookies() -> Arc<Authenticator<User>> {
    builder()
        .with_cookies(auth_cookie::CookiePolicy::same_origin_spa())
        .build()
        .unwrap()
}
