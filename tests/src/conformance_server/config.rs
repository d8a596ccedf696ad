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
    /// Other issuers whose tokens are accepted.
    #[serde(default)]
    pub issuers: Vec<IssuerConfig>,
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
    /// How sessions live.
    #[serde(default)]
    pub session: SessionConfig,
    /// The keys of refresh tokens, the signing one first; without them one that ends with the
    /// process.
    #[serde(default)]
    pub refresh_keys: Vec<RefreshKeyConfig>,
    /// Whether access tokens die with their session; without it they live on until they expire.
    pub revocation: Option<RevocationConfig>,
    /// Whether real CORS preflights pass.
    #[serde(default)]
    pub preflight: bool,
    /// How many verified tokens are remembered; 0 for none.
    pub cache: Option<usize>,
    /// The endpoints for OAuth clients; none without it.
    pub oauth: Option<OAuthConfig>,
    /// What the session routes ask for beyond a good token.
    pub sessions_guard: Option<GuardConfig>,
    /// What browsers are told to forget at sign-out.
    #[serde(default)]
    pub clear_site_data: Vec<SiteDataKind>,
    /// The field in which the proxy puts the client's address.
    pub client_ip_field: Option<String>,
}

/// What a guard asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardConfig {
    /// How old a login may be, in seconds.
    pub max_age_s: Option<u64>,
    /// A scope.
    pub scope: Option<String>,
}

/// What `Clear-Site-Data` may name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteDataKind {
    /// Responses.
    Cache,
    /// Cookies.
    Cookies,
    /// Open pages.
    ExecutionContexts,
    /// What pages keep.
    Storage,
}

/// `/.well-known/…` and `/oauth/…`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuthConfig {
    /// The URL of this API, whose metadata the challenges name.
    pub resource: String,
    /// The scope of whoever may introspect.
    pub introspect: String,
    /// The client that may revoke, by its name and secret; without it, the public client
    /// `first-party`.
    pub client: Option<(String, String)>,
}

/// Another issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// Its name, compared with `iss`.
    pub issuer: String,
    /// Our name to it, compared with `aud`.
    pub audience: String,
    /// Where its keys are; without it, where its metadata say.
    pub jwks_url: Option<String>,
    /// The `typ` of its tokens, or `any`; without it `at+jwt`, and the claims of RFC 9068.
    pub typ: Option<String>,
    /// What it signs with.
    pub algs: Vec<String>,
    /// When its keys are fetched first.
    #[serde(default)]
    pub load: Load,
    /// What its tokens do not grant.
    #[serde(default)]
    pub without: Vec<Grant>,
}

/// What an issuer may be kept from granting.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// Roles.
    Roles,
    /// Scopes.
    Scopes,
}

/// When keys are fetched first.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Before the server is ready.
    Before,
    /// With the first token that needs them.
    #[default]
    Lazy,
}

/// The numbers and choices of sessions; times in seconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionConfig {
    /// Lifetime of access tokens.
    pub access_s: Option<u64>,
    /// By how many percent it may be shorter, at random.
    pub access_jitter: Option<u8>,
    /// End without a refresh.
    pub idle_s: Option<u64>,
    /// End in any case.
    pub absolute_s: Option<u64>,
    /// How long a used token is answered again; 0 is strict mode.
    pub retry_window_s: Option<u64>,
    /// How long after a rotation there is no other.
    pub settle_s: Option<u64>,
    /// The longest life of a request.
    pub request_deadline_s: Option<u64>,
    /// Whether clients recover whose answer was lost long ago.
    pub late_recovery: Option<bool>,
    /// What a token means whose rotation the store has lost.
    pub on_rollback: Option<Rollback>,
    /// Sessions per subject.
    pub max_per_subject: Option<std::num::NonZeroU32>,
    /// Whether the layer refreshes by itself.
    #[serde(default)]
    pub silent_refresh: bool,
    /// What access tokens are.
    #[serde(default)]
    pub access_token: AccessTokenKind,
    /// Whose clock the store goes by.
    pub store_clock: Option<StoreTime>,
}

/// What a token from the future means.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rollback {
    /// The store lost writes; the session goes on.
    Resume,
    /// It is refused.
    Refuse,
}

/// What access tokens are.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenKind {
    /// Signed, and verified without asking anybody.
    #[default]
    Jwt,
    /// Opaque, and loaded from the store.
    Reference,
}

/// Whose clock the store goes by.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum StoreTime {
    /// The manual clock.
    Manual,
    /// Its own.
    Store,
}

/// A refresh key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshKeyConfig {
    /// Its id.
    pub id: u8,
    /// 32 bytes in base64url.
    pub k: String,
}

/// What a node does that cannot know of the latest revocations.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationConfig {
    /// Which way it fails.
    pub stale: Stale,
    /// When it does, in seconds; only for `fail_closed`.
    pub after_s: Option<u64>,
}

/// Which way a node fails that is stale.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stale {
    /// It refuses.
    FailClosed,
    /// It goes on with what it knows.
    FailOpen,
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
        assert!(config(r#","issuers":[{"issuer":"i","audience":"a","algs":[]}]"#).is_ok());
        assert!(config(r#","cookies":"cross_site","store":null,"now":null,"cache":0"#).is_ok());
        for extra in [
            r#","colour":1"#,
            r#","cookies":"subdomains""#,
            r#","cookies":"best""#,
            r#","sources":["query"]"#,
            r#","leeway_s":-1"#,
            r#","issuers":[{"issuer":"i","audience":"a","algs":[],"colour":1}]"#,
            r#","issuers":[{"issuer":"i","audience":"a","algs":[],"load":"later"}]"#,
            r#","issuers":[{"issuer":"i","audience":"a"}]"#,
        ] {
            assert!(config(extra).is_err(), "{extra}");
        }
    }
}
