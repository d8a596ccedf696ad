//! Conversion of the driver's errors to errors without texts from outside, except for those of
//! opening.

use std::error::Error;

use auth_core::store::{StoreError, StoreErrorKind};
use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::OpenError;

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

/// The error of the first call, with its remedy.
pub(super) fn open_error(error: StoreError) -> OpenError {
    let cause = error.source().and_then(|source| source.downcast_ref());
    let advice = match cause.map(RedisError::kind) {
        _ if error.kind() == StoreErrorKind::Timeout => {
            "Redis did not respond within the timeout of the store"
        }
        Some(ErrorKind::AuthenticationFailed) => "Redis refuses the user name or the password",
        Some(ErrorKind::MasterNameNotFoundBySentinel) => {
            "Sentinel knows no such master: its name is the path of the URL"
        }
        Some(ErrorKind::Server(ServerErrorKind::ReadOnly)) => {
            "the Redis server is read-only: the address must lead to a master"
        }
        Some(ErrorKind::Server(ServerErrorKind::Moved)) => {
            "the Redis server belongs to a cluster: the URL must be redis+cluster://…, with the \
             feature `redis-cluster`"
        }
        Some(ErrorKind::Server(ServerErrorKind::NoPerm)) => {
            "the Redis user lacks rights that the store needs: scripts, and keys that begin with auth:"
        }
        Some(ErrorKind::Server(ServerErrorKind::ResponseError)) => {
            "Redis cannot run the scripts of the store: it must be version 7.0 or later"
        }
        _ if cause.and_then(RedisError::code) == Some("NOAUTH") => {
            "the URL lacks the user name or the password that the Redis server needs"
        }
        _ => "the connection to Redis failed",
    };
    let said = cause.map(said);
    OpenError::new(advice, said, error)
}

/// The server's message, without quoted arguments.
fn said(error: &RedisError) -> String {
    let text = error.to_string();
    match text.split_once(", with args") {
        Some((before, _)) => before.to_owned(),
        None => text,
    }
}
