//! Another service: it knows the issuer by its JWKS document alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::remote::RemoteKeys;
use auth_core::{Algorithm, Authenticator};
use auth_jwks::RemoteIssuer;

use super::node::Settings;
use super::{Counts, add};
use crate::cluster::Failure;

pub(super) struct OtherService {
    keys: RemoteKeys,
    auth: Arc<Authenticator<()>>,
}

impl OtherService {
    pub(super) async fn start(settings: &Settings, issuer: SocketAddr) -> Result<Self, Failure> {
        let jwks = format!("http://{issuer}/.well-known/jwks.json");
        let keys = RemoteIssuer::jwks("https://issuer.example", jwks)
            .algorithms([Algorithm::Es256])
            .with_clock(settings.clock())
            .start()?;
        keys.load().await?;
        let auth = Authenticator::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(keys.clone())
            .with_clock(settings.clock())
            .build()?;
        Ok(Self { keys, auth })
    }

    /// Looks at a token that lives. Nothing must have to be fetched for it.
    pub(super) fn verify(&self, token: &str, counts: &Counts) {
        match self.auth.guard().check(&Bearer(format!("Bearer {token}"))) {
            Step::Done(Verdict::Pass(_)) => add(&counts.verified),
            Step::Done(_) => add(&counts.not_verified),
            Step::Wait(_) => add(&counts.unknown),
        }
    }

    pub(super) fn end(&self, counts: &Counts) {
        let status = self.keys.status();
        counts.fetches.store(status.fetches, Ordering::Relaxed);
        self.keys.shutdown();
    }
}

/// A request with a token and nothing else.
struct Bearer(String);

impl RequestView for Bearer {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        "/"
    }

    fn target(&self) -> &str {
        self.path()
    }

    fn authority(&self) -> Option<&str> {
        None
    }

    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if name == "authorization" {
            visit(self.0.as_bytes());
        }
    }
}
