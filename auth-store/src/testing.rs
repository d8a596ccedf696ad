//! The row readers of the stores, without a store. Feature `testing`.
//!
//! For tests with the contents of a damaged or foreign database.

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
use auth_core::store::{SessionRecord, StoreError};

/// The columns of a session in SQLite and Postgres. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct SqlRow {
    /// The session id: 16 bytes.
    pub id: Vec<u8>,
    /// The subject.
    pub subject: String,
    /// The subject's version at login.
    pub subject_version: i64,
    /// The current generation.
    pub generation: i64,
    /// The previous generation, if any.
    pub predecessor: Option<i64>,
    /// Number of consecutive late recoveries.
    pub recovered: i16,
    /// The time of the login.
    pub created_at: i64,
    /// The time of the last rotation.
    pub rotated_at: i64,
    /// The time of the last write for its client.
    pub last_used_at: i64,
    /// The end of the session if it is not refreshed.
    pub idle_expires_at: i64,
    /// The absolute end of the session.
    pub absolute_expires_at: i64,
    /// The time of the revocation, if any.
    pub revoked_at: Option<i64>,
    /// The reason of the revocation, if any.
    pub reason: Option<String>,
    /// The encoded `SessionDetails`.
    pub details: String,
}

/// Reads a row of SQLite or Postgres.
///
/// # Errors
/// [`StoreErrorKind::Corrupt`](auth_core::store::StoreErrorKind::Corrupt) for a row that no store
/// of this crate has written.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub fn read_sql_row(row: SqlRow) -> Result<SessionRecord, StoreError> {
    let row = crate::sql::SessionRow {
        id: row.id,
        subject: row.subject,
        subject_version: row.subject_version,
        generation: row.generation,
        predecessor: row.predecessor,
        recovered: row.recovered,
        created_at: row.created_at,
        rotated_at: row.rotated_at,
        last_used_at: row.last_used_at,
        idle_expires_at: row.idle_expires_at,
        absolute_expires_at: row.absolute_expires_at,
        revoked_at: row.revoked_at,
        reason: row.reason,
        details: row.details,
    };
    row.into_record()
}

/// Reads the value of the key of the session `id` in Redis.
///
/// # Errors
/// [`StoreErrorKind::Corrupt`](auth_core::store::StoreErrorKind::Corrupt) for a value that no
/// store of this crate has written.
#[cfg(feature = "redis")]
pub fn read_redis_row(
    id: auth_core::session::SessionId,
    row: &[u8],
) -> Result<SessionRecord, StoreError> {
    crate::redis::read_row(id, row)
}
