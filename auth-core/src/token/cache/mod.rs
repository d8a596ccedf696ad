//! [`TokenCache`]: recently verified tokens, which are not verified again.
//!
//! 1. A token is inserted only after every check has passed. A refused token leaves no trace.
//! 2. A lookup matches only if all bytes of the token are equal. The hash covers the end of a token,
//!    its signature: an attacker cannot choose that for a token that verifies, and only verified
//!    tokens are inserted. The hash is keyed SipHash, so colliding tokens cannot be searched for.
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
//!    recently (S3-FIFO).
//! 6. A lookup shares the lock of one of [`SHARDS`] parts. Concurrent lookups do not wait for each
//!    other, only for the insertion of a token into the same part.
//!
//! [`KeyRing`]: crate::KeyRing

use std::fmt;
use std::hash::{Hash, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::config::ConfigError;
use crate::base::error::AuthError;
use crate::observe::metrics;
use crate::token::claims::Verified;
use crate::token::verify::{TimeRules, TrustedIssuers, VerifiedUnder, check_times};

/// Default capacity of an authenticator's cache, in tokens.
pub(crate) const DEFAULT_TOKENS: usize = 10_000;

/// Maximum capacity, in tokens.
const MAX_TOKENS: usize = 1 << 24;

/// Bytes for each token of the capacity, and minimum size that a token counts for: about that of a
/// token of 1 KiB with its claims.
const BYTES_PER_TOKEN: usize = 2 * 1024;

/// Number of parts with a lock of their own. Small caches have fewer.
const SHARDS: usize = 32;

/// Number of hashed characters at the end of a token: 192 bits.
const HASHED: usize = 32;

/// Number of hits passed on to the metric at a time.
const HITS_PER_LOT: u64 = 64;

/// The fill level and the hits of an [`Authenticator`](crate::Authenticator)'s cache, for health
/// checks and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStatus {
    /// Number of cached tokens, including expired ones that were not looked up since.
    pub tokens: usize,
    /// Estimated size in bytes: twice the length of each token plus 256 bytes, and at least 2 KiB
    /// each.
    pub bytes: usize,
    /// Number of requests that were answered from the cache since it was built.
    pub hits: u64,
}

/// The verified tokens of an authenticator.
pub(crate) struct TokenCache<T> {
    known: Cache<CachedToken, Known<T>, BySize, RandomState>,
    hits: AtomicU64,
}

/// The cached result of one token: its claims, and the keys under which it was verified.
type Known<T> = (Arc<Verified<T>>, VerifiedUnder);

/// The text of a cached token: a credential, zeroized on drop.
struct CachedToken(Zeroizing<Box<str>>);

/// The text of a token that is looked up.
struct Lookup<'t>(&'t str);

impl Hash for Lookup<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let bytes = self.0.as_bytes();
        let end = bytes.len().saturating_sub(HASHED);
        state.write(bytes.get(end..).unwrap_or_default());
    }
}

impl Hash for CachedToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Lookup(&self.0).hash(state);
    }
}

impl PartialEq for CachedToken {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Eq for CachedToken {}

impl Equivalent<CachedToken> for Lookup<'_> {
    fn equivalent(&self, key: &CachedToken) -> bool {
        *self.0 == **key.0
    }
}

/// The estimated size of a token in bytes. The parsed claims take about as much memory as the token.
#[derive(Clone)]
struct BySize;

impl<V> Weighter<CachedToken, V> for BySize {
    fn weight(&self, token: &CachedToken, _: &V) -> u64 {
        let bytes = token.0.len().saturating_mul(2).saturating_add(256);
        bytes.max(BYTES_PER_TOKEN) as u64
    }
}

impl<T> TokenCache<T> {
    /// Creates a cache for `tokens` tokens. Returns `None` for zero, and for one, which is less than
    /// the cache can manage.
    pub(crate) fn new(tokens: usize) -> Result<Option<Self>, ConfigError> {
        if tokens > MAX_TOKENS {
            return Err(ConfigError::new(
                "cache",
                "must be at most 16,777,216 tokens",
            ));
        }
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(tokens)
            .weight_capacity((tokens * BYTES_PER_TOKEN) as u64)
            .build()
            .map_err(|error| ConfigError::new("cache", error.to_string()))?;
        Ok((tokens > 1).then(|| Self {
            known: Cache::with_options(
                options,
                BySize,
                RandomState::new(),
                DefaultLifecycle::default(),
            ),
            hits: AtomicU64::new(0),
        }))
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
        let (verified, verified_under) = self.known.get(&Lookup(token))?;
        if !issuers.is_current(verified_under, now) {
            return None;
        }
        Some(match check_times(&verified.registered, now, times) {
            Ok(()) => Ok(verified),
            Err(cause) => Err(AuthError::invalid_token(cause)),
        })
    }

    /// Inserts a token that has passed every check.
    pub(crate) fn insert(
        &self,
        token: &str,
        verified: Arc<Verified<T>>,
        verified_under: VerifiedUnder,
    ) {
        let token = CachedToken(Zeroizing::new(token.into()));
        self.known.insert(token, (verified, verified_under));
    }

    /// Counts a request that was answered from the cache.
    pub(crate) fn count_hit(&self) {
        let before = self.hits.fetch_add(1, Ordering::Relaxed);
        if before % HITS_PER_LOT == HITS_PER_LOT - 1 {
            metrics::hit(HITS_PER_LOT);
        }
    }

    pub(crate) fn status(&self) -> CacheStatus {
        CacheStatus {
            tokens: self.known.len(),
            bytes: usize::try_from(self.known.weight()).unwrap_or(usize::MAX),
            hits: self.hits.load(Ordering::Relaxed),
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

#[cfg(test)]
mod tests;
