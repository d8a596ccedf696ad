//! The conformance servers, started on the same configuration.
//!
//! The first is asked first; every other must give the same answer. A further adapter is one more
//! line in [`BINARIES`].
//!
//! Where answers do not depend on what was asked before, everything is asked twice: a good token is
//! found in the cache the second time. With `AUTH_TEST_CACHE=0` the servers run without the cache,
//! and every test must pass all the same.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex, Weak};

use serde_json::{Value, json};

use crate::client::{Reply, Request, send, send_h2};
use crate::forge;

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "https://api.example";
/// Where the manual clock stands.
pub const NOW: i64 = 1_800_000_000;

/// The configuration that own-open/claims.json describes, with both carriers.
pub fn base() -> Value {
    json!({
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "keys": [forge::oct_jwk("k1", "HS256", forge::SECRET)],
        "sign_with": "k1",
        "leeway_s": 0,
        "max_lifetime_s": 86400,
        "now": NOW,
        "sources": ["bearer", "cookie"],
        "cookies": "same_origin_spa",
    })
}

/// [`base`] with some keys replaced, or taken out by null.
pub fn base_with(changes: Value) -> Value {
    let mut config = base();
    let map = config.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            map.remove(name);
        } else {
            map.insert(name.clone(), value.clone());
        }
    }
    config
}

/// A configuration with these keys; nothing signs.
pub fn with_keys(keys: Value) -> Value {
    base_with(json!({ "keys": keys, "sign_with": null }))
}

pub const BINARIES: [&str; 3] = [
    env!("CARGO_BIN_EXE_shim-axum"),
    env!("CARGO_BIN_EXE_shim-actix"),
    env!("CARGO_BIN_EXE_shim-hyper"),
];

/// The configuration with the size of the cache that this run is about.
fn with_cache(config: &Value) -> Value {
    let mut config = config.clone();
    if let Ok(size) = std::env::var("AUTH_TEST_CACHE") {
        let size: u64 = size.parse().unwrap();
        let map = config.as_object_mut().unwrap();
        map.entry("cache").or_insert(json!(size));
    }
    config
}

/// Starts a server with this configuration; with the first line that it says, which is empty if it
/// refuses.
fn spawn(command: &mut Command, config: &Value) -> (Child, String) {
    let mut child = command
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(config.to_string().as_bytes()).unwrap();
    drop(stdin);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line)
}

/// One server; ends with this value.
#[derive(Debug)]
pub struct Shim {
    child: Child,
    pub address: SocketAddr,
}

impl Shim {
    pub fn start(binary: &str, config: &Value, environment: &[(&str, &str)]) -> Self {
        let config = &with_cache(config);
        let mut command = Command::new(binary);
        command.envs(environment.iter().copied());
        if !environment.is_empty() {
            command.stderr(Stdio::piped());
        }
        let (child, line) = spawn(&mut command, config);
        let address = line.trim_end().strip_prefix("listening http://");
        let address = address.unwrap_or_else(|| panic!("{binary} refused {config}"));
        Self {
            address: address.parse().unwrap(),
            child,
        }
    }

    /// Asks it to end, as an operator would; its exit status and what it wrote to a piped
    /// standard error.
    pub fn terminate(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(asked.success());
        let mut log = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut log).unwrap();
        }
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All servers on one configuration.
#[derive(Debug)]
pub struct Contenders {
    pub shims: [Shim; BINARIES.len()],
    /// Without a store nothing that is asked has an effect.
    stateless: bool,
}

impl Contenders {
    /// Servers of one's own, for tests that move their clock.
    pub fn start(config: &Value) -> Self {
        Self {
            shims: BINARIES.map(|binary| Shim::start(binary, config, &[])),
            stateless: config["store"].is_null(),
        }
    }

    /// The answer that all give over HTTP/1.1.
    pub fn ask(&self, request: &Request) -> Reply {
        self.try_ask(request)
            .unwrap_or_else(|| panic!("no answer to {request:?}"))
    }

    /// [`ask`](Self::ask), where hanging up is an answer as well.
    pub fn try_ask(&self, request: &Request) -> Option<Reply> {
        let reply = self.same(request, send);
        if self.stateless && !request.target.starts_with("/shim/") {
            for shim in &self.shims {
                let again = send(shim.address, request);
                assert_eq!(again, reply, "asked again, it differs on {request:?}");
            }
        }
        reply
    }

    /// The answer that all give over HTTP/2.
    pub fn ask_h2(&self, request: &Request) -> Reply {
        self.same(request, send_h2)
    }

    fn same<R>(&self, request: &Request, send: impl Fn(SocketAddr, &Request) -> R) -> R
    where
        R: std::fmt::Debug + PartialEq,
    {
        let [first, others @ ..] = &self.shims;
        let reply = send(first.address, request);
        for (other, name) in others.iter().zip(&BINARIES[1..]) {
            let answer = send(other.address, request);
            assert_eq!(answer, reply, "{name} differs on {request:?}");
        }
        reply
    }

    /// `GET /me` with this token in the header.
    pub fn me(&self, token: &str) -> Reply {
        self.ask(&Request::get("/me").bearer(token))
    }

    /// Asserts that this token lets nobody in, and that the answer is the one that every bad token
    /// gets: nothing of the token is in it, nothing says what was wrong.
    #[track_caller]
    pub fn refuses(&self, token: &str, why: &str) {
        let reply = self.me(token);
        assert_eq!(reply, invalid_token(), "{why}");
    }

    /// Asserts that this token is good, and whose it is.
    #[track_caller]
    pub fn accepts(&self, token: &str, why: &str) {
        let reply = self.me(token);
        assert_eq!(reply.status, 200, "{why}: {reply:?}");
        assert_eq!(reply.json()["sub"], forge::SUBJECT, "{why}");
    }

    pub fn advance(&self, seconds: i64) {
        let request = Request::new("POST", "/shim/clock").json(&json!({ "advance_s": seconds }));
        assert_eq!(self.ask(&request).status, 204);
    }
}

/// The answer to every bad token.
pub fn invalid_token() -> Reply {
    let body = json!({
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "the token is not valid",
    });
    let body = body.to_string().into_bytes();
    Reply {
        status: 401,
        headers: [
            ("cache-control", "no-store"),
            ("content-length", &body.len().to_string()),
            ("content-type", "application/problem+json"),
            (
                "www-authenticate",
                r#"Bearer realm="api", error="invalid_token""#,
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        body,
    }
}

static RUNNING: LazyLock<Mutex<HashMap<String, Weak<Contenders>>>> = LazyLock::new(Mutex::default);

/// The servers for this configuration; tests that run at the same time share them.
pub fn contenders(config: &Value) -> Arc<Contenders> {
    let name = config.to_string();
    let mut running = RUNNING
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(shims) = running.get(&name).and_then(Weak::upgrade) {
        return shims;
    }
    let shims = Arc::new(Contenders::start(config));
    running.insert(name, Arc::downgrade(&shims));
    shims
}

/// Asserts that all servers refuse the configuration: status 2, the error on standard error,
/// nothing listening. Returns the error.
#[track_caller]
pub fn refused(config: &Value) -> String {
    let [first, others @ ..] = BINARIES.map(|binary| {
        let mut command = Command::new(binary);
        let (mut child, line) = spawn(command.stderr(Stdio::piped()), config);
        if !line.is_empty() {
            let _ = child.kill();
        }
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        assert_eq!(
            (line.as_str(), status.code()),
            ("", Some(2)),
            "{binary} takes {config}"
        );
        String::from_utf8(stderr).unwrap()
    });
    for other in others {
        assert_eq!(other, first);
    }
    assert!(!first.trim().is_empty(), "{config}");
    first
}
