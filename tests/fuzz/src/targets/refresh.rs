//! Refresh tokens: what is not exactly one that we issued is refused before any store is asked.

use std::sync::{Arc, OnceLock};

use auth_cookie::CookiePolicy;
use auth_core::session::{
    ClientInfo, LoginRequest, RefreshKey, RefreshKeys, RefreshOutcome, Sessions, TokenRejected,
};
use auth_core::store::StoreClock;
use auth_core::testing::{FaultStore, MemoryStore};
use auth_core::{Algorithm, Authenticator, Issuer, SessionRoute, SessionRoutes};
use serde_json::{Value, json};

use crate::edits::{edited, scripts};
use crate::world::{AUDIENCE, ISSUER, Request, block_on, clock, key};

struct Desk {
    store: Arc<FaultStore>,
    sessions: Sessions,
    routes: SessionRoutes<()>,
    good: String,
}

fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(|| {
        let issuer = Issuer::for_issuer(ISSUER)
            .audience(AUDIENCE)
            .keys(key(Algorithm::Hs256))
            .unwrap()
            .with_clock(clock());
        let memory = MemoryStore::new().with_clock(StoreClock::driven(clock()));
        let store = Arc::new(FaultStore::new(Arc::new(memory)));
        let refresh_key = |id: u8| {
            let secret: Vec<u8> = (0..32).map(|at: u8| at.wrapping_mul(7) ^ id).collect();
            RefreshKey::new(id, &secret).unwrap()
        };
        let keys = RefreshKeys::new(refresh_key(1))
            .with_verify_only(refresh_key(2))
            .unwrap();
        let sessions = Sessions::builder(issuer.clone(), store.clone(), keys)
            .without_revocations()
            .build()
            .unwrap();
        let auth: Arc<Authenticator<()>> = issuer
            .authenticator()
            .with_cookies(CookiePolicy::server_rendered())
            .build()
            .unwrap();
        let tokens = block_on(sessions.login(LoginRequest::for_subject("ada"))).unwrap();
        Desk {
            routes: SessionRoutes::new(sessions.clone(), auth).unwrap(),
            good: tokens.refresh().unwrap().expose().to_owned(),
            sessions,
            store,
        }
    })
}

/// A script of edits if the first byte is even, else the token itself.
pub(super) fn token(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    let desk = desk();
    let text = if how % 2 == 0 {
        edited(desk.good.as_bytes(), rest)
    } else {
        rest.to_vec()
    };
    let Ok(text) = String::from_utf8(text) else {
        return;
    };
    if text == desk.good {
        return;
    }
    let calls = desk.store.calls();
    let outcome = block_on(desk.sessions.refresh(&text, &ClientInfo::new()));
    let forged = matches!(
        outcome,
        RefreshOutcome::TokenRejected(TokenRejected::Forged)
    );
    assert!(forged, "a token that we did not issue");
    assert_eq!(desk.store.calls(), calls, "the store was asked");
}

pub(super) fn token_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = scripts()
        .into_iter()
        .map(|script| [vec![0], script].concat())
        .collect();
    for text in ["", "rt1_", "rt1_AAAA", "rs1_AAAA", "e30.e30.AAAA"] {
        seeds.push([b"\x01", text.as_bytes()].concat());
    }
    let long = format!("\u{1}rt1_{}", "A".repeat(71));
    seeds.push(long.into_bytes());
    seeds
}

/// The body of the refresh route: our token in strict JSON, or a refusal that blames the client.
pub(super) fn body(body: &[u8]) {
    let desk = desk();
    let holds = serde_json::from_slice::<Value>(body)
        .is_ok_and(|body| body["refresh_token"] == *desk.good || body[0] == *desk.good);
    if holds {
        return;
    }
    let calls = desk.store.calls();
    let request = Request {
        method: "POST",
        lines: vec![("content-type", b"application/json")],
    };
    let answer = block_on(desk.routes.respond(SessionRoute::Refresh, &request, body));
    assert!(
        matches!(answer.status(), 400 | 401 | 403),
        "{}",
        answer.status()
    );
    assert_eq!(desk.store.calls(), calls, "the store was asked");
    let mut lines = answer.headers().iter();
    assert!(lines.any(|line| (line.name(), line.value()) == ("cache-control", "no-store")));
}

pub(super) fn body_seeds() -> Vec<Vec<u8>> {
    let good = &desk().good;
    let near = good.replacen("rt1_", "rt1-", 1);
    [
        String::new(),
        "  ".into(),
        json!({ "refresh_token": near }).to_string(),
        json!({ "refresh_token": null, "grant_type": "refresh_token" }).to_string(),
        json!({ "refresh_token": ["rt1_"] }).to_string(),
        json!([near]).to_string(),
        format!(r#"{{"refresh_token":"a","refresh_token":"{near}"}}"#),
        format!(r#"{{"refresh_tok\u0065n":"{near}"}}"#),
        format!("grant_type=refresh_token&refresh_token={near}"),
    ]
    .map(String::into_bytes)
    .to_vec()
}
