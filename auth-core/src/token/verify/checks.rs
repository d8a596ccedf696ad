//! The checks of a token against the configuration of its [`TrustedIssuer`].

use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base::error::Cause;
use crate::base::scope::Scope;
use crate::token::claims::{Audience, RegisteredClaims};
use crate::token::verify::header::{Header, is_media_type};
use crate::token::verify::trusted::{RequiredClaims, TokenType, TrustedIssuer};

impl TrustedIssuer {
    pub(crate) fn check_length(&self, token: &str) -> Result<(), Cause> {
        if token.len() > self.max_token_bytes {
            Err(Cause::TooLong)
        } else {
            Ok(())
        }
    }

    /// Logs each claim, once, that counts as absent because of its form.
    pub(crate) fn report_unread(&self, claims: &RegisteredClaims) {
        if claims.unread == 0 {
            return;
        }
        let before = self.reported.fetch_or(claims.unread, Ordering::Relaxed);
        for claim in claims.unread() {
            if before & claim.bit() == 0 {
                tracing::warn!(
                    target: "auth::token",
                    issuer = &*self.issuer,
                    claim = claim.name(),
                    "a claim in an unknown form counts as absent"
                );
            }
        }
    }

    /// Reads audience and subject from the claims that replace `aud` and `sub`.
    pub(crate) fn take_named(
        &self,
        payload: &[u8],
        claims: &mut RegisteredClaims,
    ) -> Result<(), Cause> {
        if self.audience_claim.is_none() && self.subject_claims.is_none() {
            return Ok(());
        }
        let all: Map<String, Value> =
            serde_json::from_slice(payload).map_err(|_| Cause::Malformed)?;
        if let Some(name) = self.audience_claim.as_deref() {
            // A token with a different `aud` is not meant for this API, regardless of the client.
            if claims.audience.is_some() {
                self.check_audience(claims)?;
            }
            claims.audience = match all.get(name) {
                None | Some(Value::Null) => None,
                Some(value) => Some(Audience::deserialize(value).map_err(|_| Cause::Audience)?),
            };
        }
        if let Some(names) = &self.subject_claims {
            claims.subject = first_text(names, &all)?;
        }
        Ok(())
    }

    /// Whether the `typ` of this crate's own header, compared as bytes, is accepted.
    pub(crate) fn takes_own_header(&self) -> bool {
        match &self.token_type {
            TokenType::AccessToken | TokenType::Any => true,
            TokenType::Named(name) => is_media_type(name, "at+jwt"),
        }
    }

    pub(crate) fn check_type(&self, header: &Header) -> Result<(), Cause> {
        let named = |name: &str| {
            header
                .typ
                .as_deref()
                .is_some_and(|typ| is_media_type(typ, name))
        };
        let fits = match &self.token_type {
            TokenType::AccessToken => named("at+jwt"),
            TokenType::Named(name) => named(name.strip_prefix("application/").unwrap_or(name)),
            TokenType::Any => true,
        };
        if fits { Ok(()) } else { Err(Cause::Type) }
    }

    pub(crate) fn check_names(&self, claims: &RegisteredClaims) -> Result<(), Cause> {
        if claims.issuer() != Some(&*self.issuer) {
            return Err(Cause::Issuer);
        }
        if claims.audience.is_none() {
            return Err(Cause::MissingAudience);
        }
        self.check_audience(claims)
    }

    fn check_audience(&self, claims: &RegisteredClaims) -> Result<(), Cause> {
        let named = |name: &str| claims.audience().any(|own| own == name);
        if self.audiences.iter().any(|name| named(name)) {
            Ok(())
        } else {
            Err(Cause::Audience)
        }
    }

    /// Maps the issuer's own claims from `payload`, which has been verified, and removes the roles
    /// and scopes that it may not grant.
    pub(crate) fn map(&self, payload: &[u8], claims: &mut RegisteredClaims) -> Result<(), Cause> {
        self.mappings
            .iter()
            .try_for_each(|mapping| mapping.apply(payload, claims))?;
        if !self.grants_roles {
            claims.roles = Vec::new();
        }
        if !self.grants_scopes {
            claims.scope = Scope::empty();
        }
        Ok(())
    }

    pub(crate) fn check_required(&self, claims: &RegisteredClaims) -> Result<(), Cause> {
        let present = |claim: Option<&str>, missing: Cause| match claim {
            Some(text) if !text.trim().is_empty() => Ok(()),
            _ => Err(missing),
        };
        present(claims.subject(), Cause::MissingSubject)?;
        if self.required == RequiredClaims::Subject {
            return Ok(());
        }
        present(claims.client_id(), Cause::MissingClientId)?;
        present(claims.token_id(), Cause::MissingTokenId)?;
        claims.issued_at().map(|_| ()).ok_or(Cause::MissingIssuedAt)
    }
}

/// The first of these claims that is present and not empty.
fn first_text(names: &[Box<str>], all: &Map<String, Value>) -> Result<Option<Box<str>>, Cause> {
    for name in names {
        match all.get(&**name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.trim().is_empty() => {}
            Some(Value::String(text)) => return Ok(Some(text.as_str().into())),
            Some(_) => return Err(Cause::Claims),
        }
    }
    Ok(None)
}
