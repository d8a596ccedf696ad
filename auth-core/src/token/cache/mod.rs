//! [`TokenCache`]: recently verified tokens, which are not verified again.
//!
//! 1. A token is inserted only after every check has passed. A refused token leaves no trace.
//! 2. A lookup matches only if all bytes of the token are equal. The hash for the position is seeded
//!    with randomness of this process.
//! 3. Only results that cannot change are cached: the signature, the form, issuer and audience, and
//!    the claims. Every request checks again
//!    - that the issuer still has the keys under which the token was verified: with another
//!      [`KeyRing`], or another fetched set, the token must be verified again;
//!    - that fetched keys are not too old;
//!    - the times: `exp`, `nbf`, `iat`, the total lifetime;
//!    - revocation;
//!    - the requirements of the route, which are checked elsewhere and never cached.
//! 4. Each authenticator has its own cache. It never contains tokens that another one accepted.
//! 5. The cache is bounded in tokens and in bytes. A new token displaces tokens that were not used
//!    recently.
//! 6. A lookup takes no lock and writes no memory that another core reads. Concurrent requests with
//!    the same token do not wait for each other.
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

/// Default capacity of an authenticator's cache, in tokens.
pub(crate) const DEFAULT_TOKENS: usize = 10_000;

/// Maximum capacity, in tokens.
const MAX_TOKENS: usize = 1 << 24;

/// Average size of a token with its claims, in bytes: about that of a token of 1 KiB.
const BYTES_PER_TOKEN: usize = 2 * 1024;

/// The fill level of an [`Authenticator`](crate::Authenticator)'s cache, for health checks and
/// metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStatus {
    /// Number of cached tokens, including expired ones that were not looked up since.
    pub tokens: usize,
    /// Estimated size in bytes: twice the length of each token, plus 256 bytes each.
    pub bytes: usize,
}

/// The verified tokens of an authenticator.
pub(crate) struct TokenCache<T>(Table<Known<T>>);

/// The cached results of one token.
struct Known<T> {
    verified: Arc<Verified<T>>,
    verified_under: VerifiedUnder,
}

impl<T> TokenCache<T> {
    /// Creates a cache for `tokens` tokens. Returns `None` for zero.
    pub(crate) fn new(tokens: usize) -> Result<Option<Self>, ConfigError> {
        if tokens > MAX_TOKENS {
            return Err(ConfigError::new(
                "cache",
                "must be at most 16,777,216 tokens",
            ));
        }
        let bytes = tokens.saturating_mul(BYTES_PER_TOKEN);
        Ok((tokens > 0).then(|| Self(Table::new(tokens, bytes))))
    }

    /// The claims of `token`, if it is cached and still valid by rule 3, revocation aside. `None`
    /// if it must be verified.
    ///
    /// # Errors
    /// The check that now fails; verification would fail the same way.
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

    /// Inserts a token that has passed every check.
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
