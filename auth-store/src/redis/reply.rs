//! Parsers for the replies of scripts. A reply in any other form is an error.

use auth_core::Timestamp;
use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::{Revoked, StoreError};
use redis::Value;

use super::error::corrupt;
use super::row::{self, moment};

pub(super) fn array(value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(corrupt()),
    }
}

/// An array of exactly `N` values.
pub(super) fn tuple<const N: usize>(value: Value) -> Result<[Value; N], StoreError> {
    array(value)?.try_into().map_err(|_| corrupt())
}

pub(super) fn bytes(value: Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(corrupt()),
    }
}

pub(super) fn text(value: Value) -> Result<String, StoreError> {
    String::from_utf8(bytes(value)?).map_err(|_| corrupt())
}

pub(super) fn integer(value: &Value) -> Result<i64, StoreError> {
    match value {
        Value::Int(number) => Ok(*number),
        _ => Err(corrupt()),
    }
}

/// A number that a script wrote as text, so that no digit is lost.
pub(super) fn number<N: std::str::FromStr>(value: Value) -> Result<N, StoreError> {
    text(value)?.parse().map_err(|_| corrupt())
}

pub(super) fn time(value: Value) -> Result<Timestamp, StoreError> {
    number(value).map(moment)
}

pub(super) fn session_id(value: Value) -> Result<SessionId, StoreError> {
    let id: [u8; 16] = bytes(value)?.try_into().map_err(|_| corrupt())?;
    Ok(SessionId::from_bytes(id))
}

/// The mark and the reason of a revoked row, and the end of its listing.
pub(super) fn revoked(value: Value) -> Result<Option<Revoked>, StoreError> {
    if value == Value::Nil {
        return Ok(None);
    }
    let [mark, reason, listed_until] = tuple(value)?;
    Ok(Some(Revoked {
        mark: row::mark(&text(mark)?)?,
        reason: RevokeReason::parse(&text(reason)?)?,
        listed_until: time(listed_until)?,
    }))
}
