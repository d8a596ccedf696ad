//! A request of a case, and what was answered, without any framework.

use http::HeaderMap;
use serde_json::Value;

/// A request.
#[derive(Default)]
pub struct Ask {
    pub method: Option<String>,
    pub query: Option<String>,
    pub lines: Vec<(String, Vec<u8>)>,
}

impl Ask {
    /// The request of a case of `bearer.json`.
    pub fn of(case: &Value, fill: impl Fn(&str) -> String) -> Self {
        let line = |line: &Value| {
            let name = line[0].as_str().unwrap_or_default().to_ascii_lowercase();
            (
                name,
                fill(line[1].as_str().unwrap_or_default()).into_bytes(),
            )
        };
        let lines = case["headers"].as_array().expect("lines");
        Self {
            method: case["method"].as_str().map(str::to_owned),
            query: case["query"].as_str().map(&fill),
            lines: lines.iter().map(line).collect(),
        }
    }

    pub(super) fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("/me?{query}"),
            None => "/me".to_owned(),
        }
    }

    pub(super) fn method(&self) -> &str {
        self.method.as_deref().unwrap_or("GET")
    }
}

/// An answer.
pub struct Told {
    pub status: u16,
    pub challenge: Option<String>,
}

impl Told {
    pub(super) fn new(status: u16, challenge: Option<&[u8]>) -> Self {
        let challenge = challenge.map(|text| String::from_utf8_lossy(text).into_owned());
        Self { status, challenge }
    }

    pub(super) fn of(status: u16, headers: &HeaderMap) -> Self {
        let challenge = headers.get("www-authenticate");
        Self::new(status, challenge.map(|value| value.as_bytes()))
    }
}
