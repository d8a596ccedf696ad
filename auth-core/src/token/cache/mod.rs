//! Tokens that were verified a moment ago, so that the next request with the same one need not be.
//!
//! 1. A token gets in when every check has passed, and never before: what is refused leaves no
//!    trace here.
//! 2. Found is a token whose bytes are all the same. The hash that says where to look is seeded
//!    with randomness of this process.
//! 3. Only what cannot change is remembered: the signature, the form, issuer and audience, and what
//!    the token says. Every request checks anew
//!    - that the issuer's keys are those which the token was verified with: another [`KeyRing`], or
//!      another set fetched from afar, and it must be verified again;
//!    - that keys fetched from afar are not too old;
//!    - the time: `exp`, `nbf`, `iat`, the total lifetime;
//!    - revocation;
//!    - what the route asks: that happens outside of here and is never remembered.
//! 4. Each authenticator has its own. None sees what another one has accepted.
//! 5. It holds at most so many tokens, and so many bytes. Whoever wants more room than there is
//!    takes it from tokens that were not used lately.
//! 6. Looking takes no lock and writes nothing that another core reads, so a token that everybody
//!    uses at once is no queue.
//!
//! [`KeyRing`]: crate::KeyRing

pub(crate) mod table;

use std::fmt;
use std::sync::Arc;

use self::table::Table;
use crate::base::clock::Timestamp;
use crate::base::config::ConfigError;
use crate::base::error::AuthError;
use crate::token::claims::Verified;
use crate::token::verify::{TimeRules, TrustedIssuers, VerifiedUnder, check_times};

/// How many tokens an authenticator remembers unless it is told otherwise.
pub(crate) const DEFAULT_TOKENS: usize = 10_000;

/// The most that it can be told.
const MAX_TOKENS: usize = 1 << 24;

/// Room for a token and its claims, on the average: about what a token of a kilobyte takes.
const BYTES_PER_TOKEN: usize = 2 * 1024;

/// How full the cache of an [`Authenticator`](crate::Authenticator) is, for health checks and
/// metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStatus {
    /// Tokens held, dead ones included that nobody has asked for since.
    pub tokens: usize,
    /// Bytes that they are counted as: twice their length, and 256 each.
    pub bytes: usize,
}

/// The tokens that an authenticator has verified.
pub(crate) struct TokenCache<T>(Table<Known<T>>);

/// What is remembered of a token.
struct Known<T> {
    verified: Arc<Verified<T>>,
    verified_under: VerifiedUnder,
}

impl<T> TokenCache<T> {
    /// A cache for `tokens` tokens; none if that is zero.
    pub(crate) fn new(tokens: usize) -> Result<Option<Self>, ConfigError> {
        if tokens > MAX_TOKENS {
            return Err(ConfigError::new("cache", "at most 16,777,216 tokens"));
        }
        let bytes = tokens.saturating_mul(BYTES_PER_TOKEN);
        Ok((tokens > 0).then(|| Self(Table::new(tokens, bytes))))
    }

    /// What `token` says, if it was verified before and is still good by rule 3 but for
    /// revocation; `None` if it must be verified.
    ///
    /// # Errors
    /// Why the token is no longer, or not yet again, good: verifying it would say the same.
    pub(crate) fn get(
        &self,
        token: &str,
        issuers: &TrustedIssuers,
        times: &TimeRules,
        now: Timestamp,
    ) -> Option<Result<Arc<Verified<T>>, AuthError>> {
        self.0.find(token, |known| {
            if !issuers.is_current(known.verified_under, now) {
                return None;
            }
            let timely = check_times(&known.verified.registered, now, times);
            Some(match timely {
                Ok(()) => Ok(Arc::clone(&known.verified)),
                Err(cause) => Err(AuthError::invalid_token(cause)),
            })
        })
    }

    /// Remembers a token that has passed every check.
    pub(crate) fn insert(
        &self,
        token: &str,
        verified: Arc<Verified<T>>,
        verified_under: VerifiedUnder,
    ) {
        self.0.insert(
            token,
            Known {
                verified,
                verified_under,
            },
        );
    }

    pub(crate) fn status(&self) -> CacheStatus {
        CacheStatus {
            tokens: self.0.len(),
            bytes: self.0.bytes(),
        }
    }
}

impl<T> fmt::Debug for TokenCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
