//! [`TokenVerifier`]: verifies a token, or finds it in the cache, and checks its revocation.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::base::clock::{Clock, Timestamp};
use crate::base::error::AuthError;
use crate::keys::remote::FetchEnded;
use crate::observe::metrics;
use crate::revocation::Revocations;
use crate::session::{Sessions, is_reference};
use crate::token::cache::TokenCache;
use crate::token::claims::{RegisteredClaims, Verified};
use crate::token::verify::{TimeRules, TrustedIssuers, Unverified};

/// The part of an authenticator that verifies tokens: issuers with their keys, the cache, and the
/// checks that every use repeats.
#[derive(Debug)]
pub(crate) struct TokenVerifier<T> {
    pub(super) issuers: TrustedIssuers,
    pub(super) validity: Arc<Validity>,
    pub(super) reference_tokens: Option<Sessions>,
    pub(super) cache: Option<TokenCache<T>>,
}

/// The checks of a verified token that every use repeats: its times and its revocation.
#[derive(Debug)]
pub(crate) struct Validity {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) times: TimeRules,
    pub(super) revocations: Option<Revocations>,
}

impl Validity {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time until the token expires, leeway included.
    pub(super) fn time_left(&self, claims: &RegisteredClaims) -> Duration {
        let end = claims.expires_at().saturating_add(self.times.leeway);
        end.saturating_since(self.now())
    }

    pub(super) fn check_revoked(
        &self,
        claims: &RegisteredClaims,
        now: Timestamp,
    ) -> Result<(), AuthError> {
        match &self.revocations {
            Some(revocations) => revocations.check(claims, now),
            None => Ok(()),
        }
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> TokenVerifier<T> {
    /// Verifies a token, if that is possible without waiting.
    pub(crate) fn verify(&self, token: &str) -> Result<Arc<Verified<T>>, Unverified> {
        if self.reference_tokens.is_some() && is_reference(token) {
            return Err(Unverified::NeedsClaims);
        }
        self.verify_signed(token, None)
    }

    /// Verifies a token, and waits if necessary.
    pub(crate) async fn verify_any(&self, token: &str) -> Result<Arc<Verified<T>>, AuthError> {
        match self.verify(token) {
            Ok(verified) => Ok(verified),
            Err(unverified) => self.resume(unverified, token).await,
        }
    }

    /// Waits for the missing part of a token, and verifies it then.
    pub(crate) async fn resume(
        &self,
        unverified: Unverified,
        token: &str,
    ) -> Result<Arc<Verified<T>>, AuthError> {
        match unverified {
            Unverified::Refused(error) => Err(error),
            Unverified::NeedsKey(wait) => {
                let ended = wait.ended().await;
                Ok(self.verify_signed(token, Some(ended))?)
            }
            Unverified::NeedsClaims => {
                let verified = self.resolve(token).await;
                match &verified {
                    Ok(_) => metrics::accepted(),
                    Err(error) => metrics::rejected(error.cause()),
                }
                verified
            }
        }
    }

    /// Verifies an opaque token with the claims in the session store.
    async fn resolve(&self, token: &str) -> Result<Arc<Verified<T>>, AuthError> {
        let sessions = self.reference_tokens.as_ref();
        let sessions = sessions.ok_or_else(AuthError::misconfigured)?;
        let resolved = sessions.resolve(token).await?;
        let Validity { clock, times, .. } = &*self.validity;
        let (payload, version) = (&resolved.payload, resolved.subject_version);
        let now = clock.now();
        let verified = self.issuers.verify_kept(payload, version, now, times);
        let verified = verified.map_err(AuthError::invalid_token)?;
        self.validity.check_revoked(&verified.registered, now)?;
        Ok(verified)
    }

    fn verify_signed(
        &self,
        token: &str,
        fetched: Option<FetchEnded>,
    ) -> Result<Arc<Verified<T>>, Unverified> {
        let verified = self.verify_or_recall(token, fetched);
        if let Err(Unverified::Refused(error)) = &verified {
            metrics::rejected(error.cause());
        }
        verified
    }

    fn verify_or_recall(
        &self,
        token: &str,
        fetched: Option<FetchEnded>,
    ) -> Result<Arc<Verified<T>>, Unverified> {
        let now = self.validity.now();
        let times = &self.validity.times;
        if let Some(cache) = &self.cache
            && let Some(known) = cache.get(token, &self.issuers, times, now)
        {
            let verified = known?;
            self.validity.check_revoked(&verified.registered, now)?;
            cache.count_hit();
            return Ok(verified);
        }
        let (verified, verified_under) = self.issuers.verify(token, now, times, fetched)?;
        self.validity.check_revoked(&verified.registered, now)?;
        metrics::accepted();
        if let Some(cache) = &self.cache {
            cache.insert(token, Arc::clone(&verified), verified_under);
        }
        Ok(verified)
    }
}
