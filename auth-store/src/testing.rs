//! Rows, read as the stores read them, without a store. Feature `testing`.
//!
//! For tests that give the readers whatever a damaged or foreign database may hold.

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
use auth_core::session::{SessionRecord, StoreError};

/// The columns of a session, as SQLite or Postgres give them.
#[derive(Clone, Debug, Default)]
pub struct SqlRow {
    /// The session id: 16 bytes.
    pub id: Vec<u8>,
    /// Whose session it is.
    pub subject: String,
    /// The subject's epoch at login.
    pub subject_version: i64,
    /// The current generation.
    pub generation: i64,
    /// The one before.
    pub predecessor: Option<i64>,
    /// Late recoveries in a row.
    pub recovered: i16,
    /// When the login was, as all moments in milliseconds since 1970.
    pub created_at: i64,
    /// When the generation was made.
    pub rotated_at: i64,
    /// When it was last written for its client.
    pub last_used_at: i64,
    /// When it ends if it is not refreshed.
    pub idle_expires_at: i64,
    /// When it ends in any case.
    pub absolute_expires_at: i64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// Why.
    pub reason: Option<String>,
    /// The rest, as one text.
    pub details: String,
}

/// Reads a row of SQLite or Postgres.
///
/// # Errors
/// [`StoreErrorKind::Corrupt`](auth_core::session::StoreErrorKind::Corrupt) for what no store of
/// ours has written.
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

/// Reads the bytes that Redis keeps under the key of the session `id`.
///
/// # Errors
/// [`StoreErrorKind::Corrupt`](auth_core::session::StoreErrorKind::Corrupt) for what no store of
/// ours has written.
#[cfg(feature = "redis")]
pub fn read_redis_row(
    id: auth_core::session::SessionId,
    row: &[u8],
) -> Result<SessionRecord, StoreError> {
    crate::redis::read_row(id, row)
}
