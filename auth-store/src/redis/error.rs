//! Conversion of the driver's errors to errors without texts from outside.

use auth_core::session::{StoreError, StoreErrorKind};
use redis::RedisError;

pub(super) fn corrupt() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt)
}

pub(super) fn timed_out() -> StoreError {
    StoreError::new(StoreErrorKind::Timeout)
}

/// Converts the driver's error to one without texts from outside.
pub(super) fn store_error(error: RedisError) -> StoreError {
    let kind = match error.code() {
        // CORRUPT is the error code of the scripts.
        Some("CORRUPT" | "WRONGTYPE") => StoreErrorKind::Corrupt,
        Some("OOM") => StoreErrorKind::Full,
        _ if error.is_timeout() => StoreErrorKind::Timeout,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind).with_source(error)
}
