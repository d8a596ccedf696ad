//! A resource server: an API that accepts tokens of another service. Its settings are the issuer and
//! the audience; it fetches the public keys and keeps them up to date.
//!
//! ```text
//! cargo run -p example-resource-server             on axum
//! cargo run -p example-resource-server -- actix    on actix-web
//! cargo run -p example-resource-server -- --once   both, with tokens of example-axum; exit status
//! ```
//!
//! Without settings it accepts the tokens of `example-axum` at its usual port. `ISSUER` and
//! `AUDIENCE` set another issuer. Its keys are then found by OpenID Connect discovery, unless
//! `JWKS_URL` is set.
//!
//! It does not learn of logouts, which would need a store shared with the issuer. A token is
//! accepted until it expires, so access tokens must be short-lived.

mod on_actix;
mod on_axum;
mod once;

use std::net::TcpListener;
use std::sync::Arc;

use auth_core::remote::RemoteKeys;
use auth_core::{Algorithm, Authenticated, Authenticator, ConfigError};
use auth_jwks::RemoteIssuer;
use serde::Deserialize;
use serde_json::{Value, json};

/// An error for the terminal.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The claims that this API uses.
#[derive(Clone, Debug, Deserialize)]
struct Caller {
    #[serde(default)]
    name: Option<String>,
}

/// The accepted tokens.
#[derive(Clone, Debug)]
struct Trust {
    /// The required `iss`.
    issuer: String,
    /// The required `aud`: the name of this API.
    audience: String,
    /// The URL of the key set. Default: found by discovery.
    jwks: Option<String>,
}

impl Trust {
    fn from_env() -> Self {
        let text = |name| std::env::var(name).ok();
        let issuer = text("ISSUER");
        Self {
            jwks: text("JWKS_URL").or_else(|| match issuer {
                Some(_) => None,
                None => Some("http://localhost:3000/.well-known/jwks.json".to_owned()),
            }),
            issuer: issuer.unwrap_or_else(|| "https://issuer.example".to_owned()),
            audience: text("AUDIENCE").unwrap_or_else(|| "https://app.example".to_owned()),
        }
    }

    /// The keys, kept up to date by a task, and the authenticator that uses them.
    fn start(&self) -> Result<(RemoteKeys, Arc<Authenticator<Caller>>), ConfigError> {
        let issuer = match &self.jwks {
            Some(jwks) => RemoteIssuer::jwks(&self.issuer, jwks),
            None => RemoteIssuer::discover(&self.issuer),
        };
        let keys = issuer
            .algorithms([Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa])
            .start()?;
        let auth = Authenticator::for_issuer(&self.issuer)
            .audience(&self.audience)
            .keys(keys.clone())
            .build()?;
        Ok((keys, auth))
    }
}

/// The identity of the caller.
fn identity(user: &Authenticated<Caller>) -> Value {
    json!({
        "subject": user.subject(),
        "issuer": user.issuer(),
        "name": user.name,
        "scope": user.scope().iter().collect::<Vec<_>>(),
    })
}

/// Readiness probe: whether tokens can be verified, and the status of the keys.
fn health(keys: &RemoteKeys) -> (u16, Value) {
    let status = keys.status();
    let report = json!({
        "usable": status.usable,
        "keys": status.keys,
        "fetches": status.fetches,
        "failures": status.failures,
    });
    (if status.usable { 200 } else { 503 }, report)
}

fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let framework = std::env::args().nth(1).unwrap_or("axum".to_owned());
    if framework == "--once" {
        return tokio::runtime::Runtime::new()?.block_on(once::play());
    }
    let port = match std::env::var("PORT") {
        Ok(port) => port.parse()?,
        Err(_) => 3002,
    };
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let trust = Trust::from_env();
    welcome(&trust, listener.local_addr()?.port());
    match framework.as_str() {
        "axum" => tokio::runtime::Runtime::new()?.block_on(on_axum::serve(trust, listener)),
        "actix" => actix_web::rt::System::new().block_on(on_actix::serve(trust, listener)),
        _ => Err("usage: axum | actix | --once".into()),
    }
}

fn welcome(trust: &Trust, port: u16) {
    println!("listening http://localhost:{port}\n");
    println!(
        "accepting tokens of {} for {}",
        trust.issuer, trust.audience
    );
    match &trust.jwks {
        Some(jwks) => println!("keys from {jwks}\n"),
        None => println!("keys found by discovery\n"),
    }
    println!("Get a $TOKEN from example-axum, then:");
    println!(r#"  curl -i http://localhost:{port}/whoami -H "Authorization: Bearer $TOKEN""#);
    println!("\nPress Ctrl-C to stop.");
}
