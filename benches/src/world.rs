//! One issuer per algorithm, and tokens that all contenders are given: 528 bytes with HS256.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use auth_cookie::CookiePolicy;
use auth_core::session::SessionId;
use auth_core::{
    AccessTokenRequest, Algorithm, Authenticator, AuthenticatorBuilder, Issuer, Key, Scope,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "https://api.example";
pub const SECRET: &str = "0123456789abcdef0123456789ABCDEF";
pub const COOKIE: &str = "__Host-Http-at";

/// The app's own claims.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    pub tenant: String,
    pub level: u8,
}

/// All claims, as crates want them that know no difference.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AllClaims {
    pub iss: String,
    pub sub: String,
    pub aud: String,
    pub exp: u64,
    pub iat: u64,
    pub jti: String,
    pub sid: String,
    pub client_id: String,
    pub scope: String,
    pub tenant: String,
    pub level: u8,
}

/// The claims that jwt-compact does not keep to itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CustomClaims {
    pub iss: String,
    pub sub: String,
    pub aud: String,
    pub jti: String,
    pub sid: String,
    pub client_id: String,
    pub scope: String,
    pub tenant: String,
    pub level: u8,
}

pub struct World {
    pub algorithm: Algorithm,
    pub issuer: Issuer,
    pub token: String,
    /// The public key, or the secret, as a JWK.
    pub jwk: Value,
}

impl World {
    pub fn new(algorithm: Algorithm) -> Self {
        let kid = "2030-01";
        let (key, jwk) = if algorithm == Algorithm::Hs256 {
            let key = Key::hs256(kid, SECRET.as_bytes()).expect("long enough");
            let k = base64_simd::URL_SAFE_NO_PAD.encode_to_string(SECRET);
            let jwk = serde_json::json!({"kty": "oct", "kid": kid, "alg": "HS256", "k": k});
            (key, jwk)
        } else {
            let (key, _) = Key::generate(kid, algorithm).expect("there is randomness");
            let public = key.public_jwk().expect("asymmetric").to_owned();
            let jwk = serde_json::from_str(&public).expect("our own document");
            (key, jwk)
        };
        let issuer = Issuer::for_issuer(ISSUER)
            .audience(AUDIENCE)
            .keys(key)
            .expect("the key signs");
        let token = mint(&issuer, 0);
        Self {
            algorithm,
            issuer,
            token,
            jwk,
        }
    }

    pub fn builder(&self) -> AuthenticatorBuilder<User> {
        self.issuer
            .authenticator()
            .with_cookies(CookiePolicy::server_rendered())
    }

    pub fn with_cache(&self) -> Arc<Authenticator<User>> {
        self.builder().build().expect("complete")
    }

    pub fn without_cache(&self) -> Arc<Authenticator<User>> {
        self.builder().without_cache().build().expect("complete")
    }

    /// `count` tokens, all different.
    pub fn tokens(&self, count: usize) -> Vec<String> {
        (0..count).map(|n| mint(&self.issuer, n)).collect()
    }

    pub fn describe(&self) {
        let payload = self.token.split('.').nth(1).unwrap_or_default();
        let claims = base64_simd::URL_SAFE_NO_PAD
            .decode_to_vec(payload)
            .expect("our own token");
        println!(
            "{:?}: token of {} bytes, claims of {} bytes",
            self.algorithm,
            self.token.len(),
            claims.len()
        );
    }
}

fn mint(issuer: &Issuer, n: usize) -> String {
    let user = User {
        tenant: format!("acme-{n:08}"),
        level: 3,
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs() as i64;
    let request = AccessTokenRequest::for_subject("0b0f3a39-2f2e-4c3b-9a53-3f5a2d9d2f10")
        .with_session_id(SessionId::from_bytes([0; 16]))
        .with_client_id("web")
        .with_auth_time(Timestamp::from_secs(now))
        .with_scope(Scope::parse("profile:read invoices:read").expect("a scope"))
        .with_claims(&user)
        .expect("no registered claim");
    let minted = pin!(issuer.mint(&request)).poll(&mut Context::from_waker(Waker::noop()));
    match minted {
        Poll::Ready(Ok(token)) => token.expose().to_owned(),
        _ => panic!("a local key signs at once"),
    }
}

/// A future that must be ready at once.
pub fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // A few turns, for those that yield.
    for _ in 0..8 {
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return output;
        }
    }
    panic!("it waits for something")
}
