//! [`TrustedIssuers`]: the issuers of an authenticator.
//!
//! With several issuers, the token's `iss` selects one of them first; then the keys and rules of
//! that issuer apply, and `iss` is compared again.

use crate::base::config::ConfigError;
use crate::base::error::Cause;
use crate::token::verify::peek;
use crate::token::verify::trusted::TrustedIssuer;

/// The issuers of an authenticator, at least one.
#[derive(Debug)]
pub(crate) struct TrustedIssuers(Box<[TrustedIssuer]>);

impl TrustedIssuers {
    pub(crate) fn new(
        first: TrustedIssuer,
        others: Vec<TrustedIssuer>,
    ) -> Result<Self, ConfigError> {
        let mut all: Vec<TrustedIssuer> = Vec::with_capacity(others.len() + 1);
        for issuer in std::iter::once(first).chain(others) {
            issuer.check()?;
            if all.iter().any(|other| other.issuer == issuer.issuer) {
                return Err(ConfigError::new(
                    "issuer",
                    "an issuer is configured twice; set all its audiences and keys at once",
                ));
            }
            all.push(issuer);
        }
        Ok(Self(all.into()))
    }

    /// The maximum token length over all issuers, in bytes.
    pub(crate) fn longest_token(&self) -> usize {
        let lengths = self.0.iter().map(|issuer| issuer.max_token_bytes);
        lengths.max().unwrap_or_default()
    }

    /// The issuer that the token names, and its number. A single issuer needs no choice: its
    /// identifier is compared after the signature.
    pub(crate) fn choose(&self, payload: &str) -> Result<(usize, &TrustedIssuer), Cause> {
        if let [only] = &*self.0 {
            return Ok((0, only));
        }
        let name = peek::issuer(payload)?;
        let mut numbered = self.0.iter().enumerate();
        numbered
            .find(|(_, issuer)| *issuer.issuer == *name)
            .ok_or(Cause::Issuer)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&TrustedIssuer> {
        self.0.iter().find(|issuer| *issuer.issuer == *name)
    }

    pub(crate) fn get(&self, number: usize) -> Option<&TrustedIssuer> {
        self.0.get(number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.0.iter()
    }
}
