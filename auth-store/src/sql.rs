//! Code shared by the SQL stores: reading rows, and the driver's errors.

use std::time::Duration;

use auth_core::Timestamp;
use auth_core::revocation::Revocation;
use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::{
    Generation, RevocationMark, Revoked, SessionDetails, SessionRecord, SessionRevocation,
    StoreError, StoreErrorKind,
};

/// A row that is read by the names of its columns. `=` maps a field to a column with another name;
/// `..` reads a part of the row as another row type.
///
/// Equivalent to sqlx's derive macro, which would make every app build the drivers and SQLite a
/// second time for use at compile time.
macro_rules! row {
    (@column $field:ident) => {
        stringify!($field)
    };
    (@column $field:ident $column:literal) => {
        $column
    };
    (
        $(#[$meta:meta])*
        $visible:vis struct $row:ident {
            $($field_visible:vis $field:ident: $type:ty $(= $column:literal)?,)*
            $(..$part:ident: $part_type:ty,)?
        }
    ) => {
        $(#[$meta])*
        $visible struct $row {
            $($field_visible $field: $type,)*
            $($part: $part_type,)?
        }

        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $row
        where
            &'static str: sqlx::ColumnIndex<R>,
            $($type: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,)*
            $($part_type: sqlx::FromRow<'r, R>,)?
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                Ok(Self {
                    $($field: row.try_get($crate::sql::row!(@column $field $($column)?))?,)*
                    $($part: <$part_type as sqlx::FromRow<'r, R>>::from_row(row)?,)?
                })
            }
        }
    };
}
pub(crate) use row;

row! {
    /// A row of `auth_sessions`. Times are milliseconds since the Unix epoch.
    pub(crate) struct SessionRow {
        pub(crate) id: Vec<u8>,
        pub(crate) subject: String,
        pub(crate) subject_version: i64 = "epoch",
        pub(crate) generation: i64,
        pub(crate) predecessor: Option<i64>,
        pub(crate) recovered: i16,
        pub(crate) created_at: i64,
        pub(crate) rotated_at: i64,
        pub(crate) last_used_at: i64,
        pub(crate) idle_expires_at: i64,
        pub(crate) absolute_expires_at: i64,
        pub(crate) revoked_at: Option<i64>,
        pub(crate) reason: Option<String>,
        pub(crate) details: String,
    }
}

impl SessionRow {
    pub(crate) fn into_record(self) -> Result<SessionRecord, StoreError> {
        let revoked = match (self.revoked_at, self.reason) {
            (Some(at), Some(reason)) => Some(SessionRevocation {
                at: Timestamp::from_millis(at),
                reason: RevokeReason::parse(&reason)?,
            }),
            (None, None) => None,
            _ => return Err(corrupt()),
        };
        Ok(SessionRecord {
            id: session_id(&self.id)?,
            subject: self.subject.into_boxed_str(),
            subject_version: unsigned(self.subject_version)?,
            generation: generation(self.generation)?,
            predecessor: self.predecessor.map(generation).transpose()?,
            recovered: u8::try_from(self.recovered).map_err(|_| corrupt())?,
            created_at: Timestamp::from_millis(self.created_at),
            rotated_at: Timestamp::from_millis(self.rotated_at),
            last_used_at: Timestamp::from_millis(self.last_used_at),
            idle_expires_at: Timestamp::from_millis(self.idle_expires_at),
            absolute_expires_at: Timestamp::from_millis(self.absolute_expires_at),
            revoked,
            details: SessionDetails::decode(&self.details)?,
        })
    }
}

row! {
    /// The reason of a revocation, and the mark of the revoking call.
    pub(crate) struct RevokedRow {
        pub(crate) reason: String,
        pub(crate) mark: Option<Vec<u8>>,
    }
}

impl RevokedRow {
    pub(crate) fn into_revoked(self, listed_until: Timestamp) -> Result<Revoked, StoreError> {
        let mark = match self.mark {
            Some(bytes) => Some(bytes.try_into().map_err(|_| corrupt())?),
            None => None,
        };
        Ok(Revoked {
            mark: mark.map(RevocationMark::from_bytes),
            reason: RevokeReason::parse(&self.reason)?,
            listed_until,
        })
    }
}

row! {
    /// A row of `auth_revocations`, without its number.
    pub(crate) struct ListedRow {
        pub(crate) sid: Option<Vec<u8>>,
        pub(crate) subject: Option<String>,
        pub(crate) lowest_subject_version: Option<i64> = "lowest_epoch",
        pub(crate) until: i64,
    }
}

impl ListedRow {
    pub(crate) fn into_revocation(self) -> Result<Revocation, StoreError> {
        let until = Timestamp::from_millis(self.until);
        match (self.sid, self.subject, self.lowest_subject_version) {
            (Some(sid), None, None) => Ok(Revocation::Session {
                id: session_id(&sid)?,
                until,
            }),
            (None, Some(subject), Some(lowest_subject_version)) => Ok(Revocation::Subject {
                subject: subject.into_boxed_str(),
                lowest_subject_version: unsigned(lowest_subject_version)?,
                until,
            }),
            _ => Err(corrupt()),
        }
    }
}

pub(crate) fn corrupt() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt)
}

pub(crate) fn timed_out() -> StoreError {
    StoreError::new(StoreErrorKind::Timeout)
}

pub(crate) fn session_id(bytes: &[u8]) -> Result<SessionId, StoreError> {
    bytes
        .try_into()
        .map(SessionId::from_bytes)
        .map_err(|_| corrupt())
}

pub(crate) fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| corrupt())
}

/// Converts a subject version for storage. Versions rise by one, so one that does not fit is
/// corrupt.
pub(crate) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| corrupt())
}

/// A lifetime for storage, in milliseconds, short enough to be added to any time.
pub(crate) fn lifetime(lifetime: Duration) -> i64 {
    const LONGEST: i64 = i64::MAX / 4;
    i64::try_from(lifetime.as_millis())
        .unwrap_or(LONGEST)
        .min(LONGEST)
}

/// The longest access token lifetime in the store. No value is zero.
pub(crate) fn longest(known: Option<i64>) -> Result<Duration, StoreError> {
    Ok(Duration::from_millis(unsigned(known.unwrap_or(0))?))
}

fn generation(number: i64) -> Result<Generation, StoreError> {
    u32::try_from(number)
        .map(Generation::new)
        .map_err(|_| corrupt())
}

/// The time `by` after `now`, in milliseconds, saturating.
#[cfg(feature = "sqlite")]
pub(crate) fn after(now: i64, by: std::time::Duration) -> i64 {
    Timestamp::from_millis(now).saturating_add(by).as_millis()
}

/// Converts the driver's error to one without texts from outside. A row that cannot be parsed is
/// corrupt; every other error may be retried.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    let kind = match error {
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::TypeNotFound { .. } => StoreErrorKind::Corrupt,
        sqlx::Error::PoolTimedOut => StoreErrorKind::Timeout,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind).with_source(error)
}
