//! Config → the other issuers whose tokens are accepted.

use std::sync::Arc;

use auth_core::remote::RemoteKeys;
use auth_core::{Algorithm, Clock, ConfigError, RequiredClaims, TokenType, TrustedIssuer};
use auth_jwks::RemoteIssuer;

use super::Failure;
use super::config::{Grant, IssuerConfig, Load};

/// The other issuers, with keys that are fetched.
#[derive(Debug, Default)]
pub(super) struct Issuers(Vec<(TrustedIssuer, RemoteKeys)>);

impl Issuers {
    pub(super) async fn start(
        configs: &[IssuerConfig],
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let mut issuers = Vec::with_capacity(configs.len());
        for config in configs {
            let keys = keys(config, clock)?;
            if config.load == Load::Before {
                keys.load().await?;
            }
            issuers.push((trusted(config, &keys), keys));
        }
        Ok(Self(issuers))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.0.iter().map(|(issuer, _)| issuer)
    }

    /// Fetches so far, of all issuers together.
    pub(super) fn fetches(&self) -> u64 {
        self.0.iter().map(|(_, keys)| keys.status().fetches).sum()
    }
}

fn keys(config: &IssuerConfig, clock: &Arc<dyn Clock>) -> Result<RemoteKeys, ConfigError> {
    let named = config.algs.iter().map(|name| {
        Algorithm::parse(name).ok_or(ConfigError::new("algs", "no such algorithm is supported"))
    });
    let algorithms = named.collect::<Result<Vec<_>, _>>()?;
    match &config.jwks_url {
        Some(url) => RemoteIssuer::jwks(&config.issuer, url),
        None => RemoteIssuer::discover(&config.issuer),
    }
    .algorithms(algorithms)
    .with_clock(Arc::clone(clock))
    .start()
}

/// Tokens with a `typ` of their own need not have all the claims of RFC 9068 either.
fn trusted(config: &IssuerConfig, keys: &RemoteKeys) -> TrustedIssuer {
    let issuer = TrustedIssuer::for_issuer(&config.issuer)
        .audience(&config.audience)
        .keys(keys.clone());
    let issuer = config
        .without
        .iter()
        .fold(issuer, |issuer, kept| match kept {
            Grant::Roles => issuer.without_roles(),
            Grant::Scopes => issuer.without_scopes(),
        });
    let other = match config.typ.as_deref() {
        None | Some("at+jwt") => return issuer,
        Some("any") => TokenType::Any,
        Some(name) => TokenType::Named(name.to_owned()),
    };
    issuer
        .with_token_type(other)
        .with_required_claims(RequiredClaims::Subject)
}
