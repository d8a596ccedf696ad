//! What the targets share: keys, a clock that stands still, requests, and a runtime.

use std::sync::{Arc, OnceLock};

use auth_core::adapter::RequestView;
use auth_core::testing::ManualClock;
use auth_core::{Algorithm, Key, KeyRing, Timestamp};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "https://api.example";

pub(crate) const BEARER_CASES: &str = include_str!("../../corpora/own-open/bearer.json");
pub(crate) const CLAIM_CASES: &str = include_str!("../../corpora/own-open/claims.json");
pub(crate) const COOKIE_CASES: &str = include_str!("../../corpora/own-open/cookies.json");
pub(crate) const KEY_SET_CASES: &str = include_str!("../../corpora/own-open/jwks.json");
const KEYS: &str = include_str!("../../tests/conformance/keys/jwks.json");

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

/// The cases of a table.
pub(crate) fn cases(table: &str) -> Vec<Value> {
    let mut table: Value = serde_json::from_str(table).unwrap();
    match table["cases"].take() {
        Value::Array(cases) => cases,
        _ => panic!("a table has cases"),
    }
}

/// The private key for an algorithm, always the same; its id is the algorithm's name.
pub(crate) fn private_jwk(algorithm: Algorithm) -> Value {
    let name = algorithm.as_str();
    let keys: Value = serde_json::from_str(KEYS).unwrap();
    let mut jwk = match algorithm {
        Algorithm::Es256 => keys["ec"].clone(),
        Algorithm::EdDsa => keys["ed"].clone(),
        // The numbers of RFC 6979 §A.2.6.
        Algorithm::Es384 => json!({
            "kty": "EC",
            "crv": "P-384",
            "d": hex("6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5"),
            "x": hex("EC3A4E415B4E19A4568618029F427FA5DA9A8BC4AE92E02E06AAE5286B300C64DEF8F0EA9055866064A254515480BC13"),
            "y": hex("8015D9B72D7D57244EA8EF9AC0C621896708A59367F9DFB9F54CA84B3F1C9DB1288B231C3AE0D4FE7344FD2533264720"),
        }),
        _ if algorithm.is_symmetric() => json!({
            "kty": "oct",
            "k": b64([b"a secret for tests that is long enough, of ", name.as_bytes(), &[b'.'; 21]].concat()),
        }),
        _ => keys["rsa"].clone(),
    };
    jwk["kid"] = json!(name);
    jwk["alg"] = json!(name);
    jwk
}

pub(crate) fn key(algorithm: Algorithm) -> Key {
    Key::from_jwk(&private_jwk(algorithm).to_string()).unwrap()
}

/// One key of each algorithm.
pub(crate) fn ring() -> KeyRing {
    KeyRing::new(Algorithm::ALL.iter().copied().map(key)).unwrap()
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

fn hex(digits: &str) -> String {
    b64(unhex(digits))
}

pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// A request with any field lines.
pub(crate) struct Request<'b> {
    pub(crate) method: &'static str,
    pub(crate) lines: Vec<(&'static str, &'b [u8])>,
}

impl<'b> Request<'b> {
    pub(crate) fn get(name: &'static str, lines: impl IntoIterator<Item = &'b [u8]>) -> Self {
        Self {
            method: "GET",
            lines: lines.into_iter().map(|line| (name, line)).collect(),
        }
    }
}

impl RequestView for Request<'_> {
    fn method(&self) -> &str {
        self.method
    }

    fn path(&self) -> &str {
        "/auth/refresh"
    }

    fn target(&self) -> &str {
        self.path()
    }

    fn authority(&self) -> Option<&str> {
        Some("app.example")
    }

    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        for (_, line) in self.lines.iter().filter(|(own, _)| *own == name) {
            visit(line);
        }
    }
}

/// The field lines in an input: they are apart by line feeds, which no field line can contain.
pub(crate) fn lines(data: &[u8]) -> Vec<&[u8]> {
    data.split(|byte| *byte == b'\n').collect()
}

/// Runs a future to its end, on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let build = || Builder::new_current_thread().enable_time().build().unwrap();
    RUNTIME.get_or_init(build).block_on(future)
}
