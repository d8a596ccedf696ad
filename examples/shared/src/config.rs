//! Configuration from the environment.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use auth_core::rotation::{KeySchedule, RefreshKeySchedule};
use auth_core::session::SessionPolicy;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// Settings of an example app.
#[derive(Clone)]
pub struct Config {
    /// `HOST`: the address to listen on. Default: `127.0.0.1`.
    pub host: String,
    /// `PORT`: the port. 0 selects a free one.
    pub port: u16,
    /// `TLS=on`: serves HTTPS with a certificate generated at start. Default: off. Needed for
    /// Safari, which drops `Secure` cookies on `http://localhost`.
    pub tls: bool,
    /// `DATA_DIR`: the directory of the keys or of the key-encryption key. Default: `example-data`.
    /// Apps that share it accept each other's tokens.
    pub data_dir: PathBuf,
    /// `DATABASE_URL`: `sqlite:FILE`, `postgres://…?sslmode=verify-full` or `rediss://…`, or
    /// without TLS `postgres://…` or `redis://…`. Default: `sessions.db` in the data directory.
    pub database_url: String,
    /// `ACCESS_SECONDS`: the lifetime of access tokens in seconds. Default: 30, to make refreshes
    /// visible. In production use 600.
    pub access: Duration,
    /// `KEY_SECONDS`: the time for which a key signs, in seconds. Default: 30 days. 720 makes
    /// rotations visible.
    pub key_period: Duration,
    /// `KEY_ENCRYPTION_KEY`: encrypts the keys in a shared store; 32 random bytes in base64url.
    /// Default: a file in the data directory.
    pub key_encryption_key: Option<String>,
    /// `CACHE_TOKENS`: the number of verified access tokens in the cache. Default: 10,000.
    pub cache_tokens: usize,
    /// `METRICS=on`: serves `/metrics` for Prometheus without a guard, for demonstrations. Default:
    /// off.
    pub metrics: bool,
    /// `RETRY_WINDOW_SECONDS`: the reuse interval in seconds, within which a used refresh token
    /// gets the same successor again. Default: 5.
    pub reuse_interval: Duration,
    /// `SETTLE_SECONDS`: the minimum time between two rotations of a session, in seconds. Default:
    /// 15.
    pub min_rotation_interval: Duration,
    /// `DEMO_PASSWORD`: the password of all demo users. Default: a random one per user at every
    /// start.
    pub demo_password: Option<String>,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// If a number cannot be parsed.
    pub fn from_env(default_port: u16) -> Result<Self, String> {
        let data_dir = PathBuf::from(text("DATA_DIR").unwrap_or_else(|| "example-data".to_owned()));
        let database_url = text("DATABASE_URL")
            .unwrap_or_else(|| format!("sqlite:{}", data_dir.join("sessions.db").display()));
        Ok(Self {
            host: text("HOST").unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: number("PORT", default_port)?,
            tls: text("TLS").as_deref() == Some("on"),
            data_dir,
            database_url,
            access: Duration::from_secs(number("ACCESS_SECONDS", 30)?),
            key_period: Duration::from_secs(number("KEY_SECONDS", 30 * DAY)?),
            key_encryption_key: text("KEY_ENCRYPTION_KEY"),
            cache_tokens: number("CACHE_TOKENS", 10_000)?,
            metrics: text("METRICS").as_deref() == Some("on"),
            reuse_interval: Duration::from_secs(number("RETRY_WINDOW_SECONDS", 5)?),
            min_rotation_interval: Duration::from_secs(number("SETTLE_SECONDS", 15)?),
            demo_password: text("DEMO_PASSWORD"),
        })
    }

    /// The session policy of the demonstration, with shorter intervals than
    /// `SessionPolicy::default()`, which is for production.
    pub fn policy(&self) -> SessionPolicy {
        SessionPolicy::default()
            .with_reuse_interval(self.reuse_interval)
            .with_min_rotation_interval(self.min_rotation_interval)
            .with_request_deadline(
                self.min_rotation_interval
                    .saturating_sub(self.reuse_interval)
                    / 2,
            )
    }

    /// The rotation schedule of the signing keys. A key is published 12 minutes before it signs.
    pub fn key_schedule(&self) -> KeySchedule {
        KeySchedule::for_lifetime(self.access)
            .with_leeway(Duration::ZERO)
            .with_max_age(Duration::from_secs(5 * MINUTE))
            .with_period(self.key_period)
    }

    /// The rotation schedule of the refresh keys.
    pub fn refresh_key_schedule(&self) -> RefreshKeySchedule {
        RefreshKeySchedule::for_longest_idle(self.policy().idle())
    }

    /// A configuration with files in `data_dir`, sessions in SQLite, and a free port.
    #[cfg(test)]
    pub(crate) fn for_tests(data_dir: &std::path::Path) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 0,
            tls: false,
            data_dir: data_dir.to_owned(),
            database_url: format!("sqlite:{}", data_dir.join("sessions.db").display()),
            access: Duration::from_secs(30),
            key_period: Duration::from_secs(30 * DAY),
            key_encryption_key: None,
            cache_tokens: 10_000,
            metrics: false,
            reuse_interval: Duration::from_secs(5),
            min_rotation_interval: Duration::from_secs(15),
            demo_password: None,
        }
    }
}

/// Omits the secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number<N: FromStr>(name: &str, default: N) -> Result<N, String> {
    let Some(text) = text(name) else {
        return Ok(default);
    };
    text.parse()
        .map_err(|_| format!("{name}: {text:?} is not a number in range"))
}
