//! Configuration from the environment.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use auth_core::rotation::{KeySchedule, RefreshKeySchedule};
use auth_core::session::SessionPolicy;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// Where to listen and where to keep files.
#[derive(Clone)]
pub struct Config {
    /// `HOST`: the address to listen on, default `127.0.0.1`.
    pub host: String,
    /// `PORT`: the port, 0 for any free one.
    pub port: u16,
    /// `TLS=on`: serves HTTPS, with a certificate made at start. Off by default; for Safari, which
    /// keeps no cookies of these on `http://localhost`.
    pub tls: bool,
    /// `DATA_DIR`: where the keys are kept, or what seals them; default `example-data`. Apps that
    /// share it accept each other's tokens.
    pub data_dir: PathBuf,
    /// `DATABASE_URL`: `sqlite:FILE`, `postgres://…?sslmode=verify-full` or `rediss://…`, and
    /// without TLS `postgres://…` or `redis://…`; default: `sessions.db` in the data directory.
    pub database_url: String,
    /// `ACCESS_SECONDS`: how long access tokens live. 30 by default, so that there is something to
    /// watch; 600 in production.
    pub access: Duration,
    /// `KEY_SECONDS`: for how long a key signs. 30 days by default; 720 to see them come and go.
    pub key_period: Duration,
    /// `KEY_ENCRYPTION_KEY`: what the keys in a shared store are sealed with, 32 random bytes in
    /// base64url; by default a file in the data directory.
    pub key_encryption_key: Option<String>,
    /// `CACHE_TOKENS`: how many verified access tokens are remembered. 10,000 by default.
    pub cache_tokens: usize,
    /// `METRICS=on`: serves `/metrics` for Prometheus, to everybody: for a demonstration.
    pub metrics: bool,
    /// `RETRY_WINDOW_SECONDS`: for how long a refresh token that was just used gets the same
    /// answer again. 5 by default.
    pub reuse_interval: Duration,
    /// `SETTLE_SECONDS`: for how long after a rotation there is no other. 15 by default.
    pub min_rotation_interval: Duration,
    /// `DEMO_PASSWORD`: the password of all demo users; by default each gets a random one at every
    /// start.
    pub demo_password: Option<String>,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// If a number is none.
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

    /// The numbers of a demonstration: everything goes faster. `SessionPolicy::default()` is for
    /// production.
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

    /// When signing keys come and go: a key is known to other services for 12 minutes before it
    /// signs.
    pub fn key_schedule(&self) -> KeySchedule {
        KeySchedule::for_lifetime(self.access)
            .with_leeway(Duration::ZERO)
            .with_max_age(Duration::from_secs(5 * MINUTE))
            .with_period(self.key_period)
    }

    /// When the keys of refresh tokens do.
    pub fn refresh_key_schedule(&self) -> RefreshKeySchedule {
        RefreshKeySchedule::for_longest_idle(self.policy().idle())
    }

    /// Files in `data_dir`, sessions in SQLite, and any free port.
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

/// Without what could open something.
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
        .map_err(|_| format!("{name} is {text:?}, which is no number that fits"))
}
