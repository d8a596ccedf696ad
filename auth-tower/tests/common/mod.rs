//! The common setup of the tests: one key, a manual clock, a claims type.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by test files, each of which uses its share"
)]

use std::sync::Arc;

use auth_cookie::CookiePolicy;
use auth_core::testing::{ManualClock, TokenForge};
use auth_core::{Authenticator, AuthenticatorBuilder, CsrfPolicy, Key, Timestamp};
use http::header::AUTHORIZATION;
use http::request::Builder;
use http::{Method, Request};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct User {
    pub tenant: String,
}

pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const ACCESS_COOKIE: &str = "__Host-Http-at";

pub fn auth() -> Arc<Authenticator<User>> {
    builder().build().unwrap()
}

/// An authenticator with the access cookie as a second token source.
pub fn auth_with_cookies() -> Arc<Authenticator<User>> {
    builder()
        .with_cookies(CookiePolicy::same_origin_spa())
        .build()
        .unwrap()
}

/// An authenticator for pages of other origins.
pub fn cross_site(cookies: CookiePolicy, csrf: CsrfPolicy) -> Arc<Authenticator<User>> {
    let builder = builder().with_cookies(cookies).with_csrf(csrf);
    builder.build().unwrap()
}

fn builder() -> AuthenticatorBuilder<User> {
    Authenticator::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(key(7))
        .with_clock(Arc::new(ManualClock::at(NOW)))
}

fn key(byte: u8) -> Key {
    Key::hs256("k1", &[byte; 32]).unwrap()
}

/// A valid token.
pub fn alice() -> TokenForge {
    TokenForge::new(&key(7), NOW)
        .claim("sub", "alice")
        .claim("tenant", "acme")
}

/// A token with more permissions.
pub fn admin() -> TokenForge {
    alice().claim("scope", "admin read")
}

/// A forged token: valid claims, wrong key.
pub fn forged() -> String {
    admin().signed_by(&key(8)).mint()
}

pub fn request(method: Method, path: &str) -> Builder {
    Request::builder().method(method).uri(path)
}

pub fn get(path: &str) -> Builder {
    request(Method::GET, path)
}

pub fn bearer(builder: Builder, token: &str) -> Builder {
    builder.header(AUTHORIZATION, format!("Bearer {token}"))
}
