//! The configuration file.

use serde::Deserialize;
use serde_json::Value;

/// What a shim is started with. Left-out keys take the library's defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    #[serde(default = "any_port")]
    pub listen: String,
    /// The issuer, compared with `iss`.
    pub issuer: String,
    /// The audience, compared with `aud`.
    pub audience: String,
    /// JWKs, private ones where they sign; each names its `alg`.
    pub keys: Vec<Value>,
    /// The `kid` of the key that signs.
    pub sign_with: Option<String>,
    /// Leeway in seconds.
    pub leeway_s: Option<u64>,
    /// Cap on a token's lifetime, in seconds.
    pub max_lifetime_s: Option<u64>,
    /// The Unix second at which a manual clock starts; the system clock without it.
    pub now: Option<i64>,
    /// Where tokens are looked for.
    pub sources: Option<Vec<Source>>,
    /// How cookies are written.
    pub cookies: Option<CookiePreset>,
    /// Further origins whose cookie-carried requests are trusted.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Where sessions are kept; without it there are only access tokens.
    pub store: Option<String>,
    /// Whether real CORS preflights pass.
    #[serde(default)]
    pub preflight: bool,
}

/// A place where tokens are looked for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// `Authorization: Bearer`.
    Bearer,
    /// The access cookie.
    Cookie,
}

/// A cookie preset: its name, or the name with what it needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CookiePreset {
    /// One site whose pages and API share an origin.
    SameOriginSpa,
    /// Pages rendered by the server, reached by links from elsewhere.
    ServerRendered,
    /// Pages of another site.
    CrossSite,
    /// All subdomains of a domain.
    Subdomains(String),
}

fn any_port() -> String {
    "127.0.0.1:0".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_errors() {
        let config = |extra: &str| {
            serde_json::from_str::<Config>(&format!(
                r#"{{"issuer":"i","audience":"a","keys":[]{extra}}}"#
            ))
        };
        assert!(config("").is_ok());
        assert!(config(r#","cookies":{"subdomains":"example.test"}"#).is_ok());
        assert!(config(r#","cookies":"cross_site","store":null,"now":null"#).is_ok());
        for extra in [
            r#","colour":1"#,
            r#","cookies":"subdomains""#,
            r#","cookies":"best""#,
            r#","sources":["query"]"#,
            r#","leeway_s":-1"#,
        ] {
            assert!(config(extra).is_err(), "{extra}");
        }
    }
}
