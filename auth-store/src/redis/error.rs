//! What went wrong, in words that say nothing from outside.

use auth_core::store::{StoreError, StoreErrorKind};
use redis::RedisError;

pub(super) fn corrupt() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt)
}

pub(super) fn timed_out() -> StoreError {
    StoreError::new(StoreErrorKind::Timeout)
}

/// The driver's error, as one that says nothing from outside.
pub(super) fn store_error(error: RedisError) -> StoreError {
    let kind = match error.code() {
        // The first is what our scripts say.
        Some("CORRUPT" | "WRONGTYPE") => StoreErrorKind::Corrupt,
        Some("OOM") => StoreErrorKind::Full,
        _ if error.is_timeout() => StoreErrorKind::Timeout,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind).with_source(error)
}
