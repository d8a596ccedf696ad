//! Scenarios: what a client does, played to every server on every store. All must give the same
//! answers but for the tokens themselves.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::client::{Reply, Request, send};
use crate::shims::{BINARIES, Shim, base_with};
use crate::stores::{Kind, Store};

/// Sessions with exact lifetimes; [`play`] says where they are kept.
pub fn config(session: Value) -> Value {
    let mut numbers = json!({ "access_s": 600, "access_jitter": 0 });
    numbers
        .as_object_mut()
        .unwrap()
        .extend(session.as_object().unwrap().clone());
    base_with(json!({ "session": numbers }))
}

/// Status, headers and body without what is random in them.
type Observed = (u16, Vec<(String, String)>, Value);

/// A client of one server, that notes what it is answered.
pub struct Client<'s> {
    shim: &'s Shim,
    seen: Vec<Observed>,
}

impl Client<'_> {
    pub fn ask(&mut self, request: &Request) -> Reply {
        let reply = send(self.shim.address, request).expect("an answer");
        self.seen.push(without_tokens(&reply));
        reply
    }

    pub fn address(&self) -> SocketAddr {
        self.shim.address
    }

    /// Signs in with tokens in the body.
    pub fn login(&mut self, subject: &str) -> Tokens {
        let body = json!({ "sub": subject, "transport": "body" });
        tokens(&self.ask(&Request::new("POST", "/login").json(&body)))
    }

    pub fn refresh(&mut self, token: &str) -> Reply {
        let body = json!({ "refresh_token": token });
        self.ask(&Request::new("POST", "/auth/refresh").json(&body))
    }

    pub fn me(&mut self, access: &str) -> u16 {
        self.ask(&Request::get("/me").bearer(access)).status
    }

    pub fn control(&mut self, op: &str, body: Value) {
        let reply = self.ask(&Request::new("POST", &format!("/shim/{op}")).json(&body));
        assert!(reply.status < 300, "{op}: {reply:?}");
    }

    pub fn advance(&mut self, seconds: i64) {
        self.control("clock", json!({ "advance_s": seconds }));
    }

    pub fn stats(&mut self) -> Value {
        // Not noted: sids differ.
        send(self.shim.address, &Request::get("/shim/stats"))
            .unwrap()
            .json()
    }

    /// Kind and cause of every event so far.
    pub fn events(&mut self) -> Vec<(String, String)> {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let stats = self.stats();
        let events = stats["events"].as_array().unwrap();
        events
            .iter()
            .map(|event| (word(&event["kind"]), word(&event["cause"])))
            .collect()
    }
}

#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

#[track_caller]
pub fn tokens(reply: &Reply) -> Tokens {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let body = reply.json();
    assert_eq!(body["token_type"], "Bearer");
    let text = |name: &str| body[name].as_str().expect(name).to_owned();
    Tokens {
        access: text("access_token"),
        refresh: text("refresh_token"),
    }
}

#[track_caller]
pub fn refused(reply: &Reply) {
    assert_eq!(
        (reply.status, &reply.json()["error"]),
        (400, &json!("invalid_grant"))
    );
}

/// The reply with everything random taken out.
fn without_tokens(reply: &Reply) -> Observed {
    let headers = reply.headers.iter().map(|(name, value)| {
        let value = match (name.as_str(), value.split_once('=')) {
            ("set-cookie", Some((cookie, rest))) => {
                let (token, attributes) = rest.split_once(';').unwrap_or((rest, ""));
                format!(
                    "{cookie}={};{attributes}",
                    if token.is_empty() { "" } else { "…" }
                )
            }
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    let mut body = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    hide(&mut body);
    (reply.status, headers.collect(), body)
}

fn hide(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(hide),
        Value::Object(members) => {
            for (name, value) in members {
                if matches!(name.as_str(), "access_token" | "refresh_token" | "sid")
                    && value.is_string()
                {
                    *value = json!("…");
                }
                hide(value);
            }
        }
        _ => {}
    }
}

/// Plays the scenario to every server, each fresh and on a store of its own, for every store that
/// this machine has. All must give the same answers.
pub fn play(config: &Value, scenario: impl Fn(&mut Client<'_>)) {
    let mut first: Option<Vec<Observed>> = None;
    for kind in Kind::each() {
        for binary in BINARIES {
            let store = Store::fresh(kind);
            let seen = play_once(binary, config, &store, &scenario);
            match &first {
                None => first = Some(seen),
                Some(first) => assert_eq!(*first, seen, "{binary} on {kind:?} differs"),
            }
        }
    }
}

fn play_once(
    binary: &str,
    config: &Value,
    store: &Store,
    scenario: impl Fn(&mut Client<'_>),
) -> Vec<Observed> {
    let mut config = config.clone();
    config["store"] = json!(store.url());
    let shim = Shim::start(binary, &config, &[]);
    let mut client = Client {
        shim: &shim,
        seen: Vec::new(),
    };
    scenario(&mut client);
    client.seen
}
