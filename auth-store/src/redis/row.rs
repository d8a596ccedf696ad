//! The layout of a row, and the names of the keys.
//!
//! 1. A row is one string: 54 bytes of numbers, then subject, reason and details. A hash would take
//!    three times as much memory.
//! 2. Times take 7 bytes. The largest number that Lua represents exactly, 2⁵³, is "never".
//! 3. Lua writes rows, this file parses them. Every other value is an error.
//! 4. The mark of the call that ended a session is a member of the details, inserted by Lua as the
//!    first one. Earlier versions skip it.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1 | version of the layout, 1 |
//! | 1 | 1 | bit 0: has a predecessor; bit 1: has a mark |
//! | 2 | 1 | recovered |
//! | 3 | 1 | length of the subject |
//! | 4 | 1 | length of the reason, 0 while not revoked |
//! | 5 | 4 | generation |
//! | 9 | 4 | predecessor |
//! | 13 | 6 | subject version |
//! | 19 | 5 × 7 | created, last used, idle end, absolute end, revoked |

use auth_core::Timestamp;
use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::{
    Generation, RevocationMark, SessionDetails, SessionRecord, SessionRevocation, StoreError,
};

use super::error::corrupt;

const VERSION: u8 = 1;
const HAS_PREDECESSOR: u8 = 1;
/// The time "never". Also the maximum argument of a script.
pub(super) const FOREVER: i64 = 1 << 53;

pub(super) const FEED: &[u8] = b"auth:{feed}";
pub(super) const FEED_BIRTH: &[u8] = b"auth:{feed}:birth";
/// The longest access token lifetime of each issuer, in the slot of the feed, where it is used.
pub(super) const LIFETIMES: &[u8] = b"auth:{feed}:lifetimes";
pub(super) const EVERY_ROW: &[u8] = b"auth:s:*";

pub(super) fn row_key(id: &SessionId) -> Vec<u8> {
    [b"auth:s:".as_slice(), id.as_bytes()].concat()
}

pub(super) fn subject_version_key(subject: &str) -> Vec<u8> {
    format!("auth:e:{}", in_braces(subject)).into_bytes()
}

/// The key of the session that stayed when the version was raised.
pub(super) fn kept_key(subject: &str) -> Vec<u8> {
    format!("auth:k:{}", in_braces(subject)).into_bytes()
}

/// The key of the mark of the call that last raised the version.
#[cfg(feature = "redis-cluster")]
pub(super) fn raiser_key(subject: &str) -> Vec<u8> {
    format!("auth:r:{}", in_braces(subject)).into_bytes()
}

pub(super) fn index_key(subject: &str) -> Vec<u8> {
    format!("auth:l:{}", in_braces(subject)).into_bytes()
}

/// The mark in the form of the details.
pub(super) fn mark_text(mark: &RevocationMark) -> String {
    let number = u128::from_be_bytes(*mark.as_bytes());
    format!("{number:032x}")
}

/// Parses the output of [`mark_text`]. An empty text is that of a row without a mark.
pub(super) fn mark(text: &str) -> Result<Option<RevocationMark>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = u128::from_str_radix(text, 16).map_err(|_| corrupt())?;
    Ok(Some(RevocationMark::from_bytes(number.to_be_bytes())))
}

/// The subject as the hash tag of a key, which determines its slot in a cluster. All keys of a
/// subject are in one slot, and no subject can close the tag early.
fn in_braces(subject: &str) -> String {
    let escaped = subject
        .replace('%', "%25")
        .replace('{', "%7B")
        .replace('}', "%7D");
    format!("{{{escaped}}}")
}

/// Converts a time of a script.
pub(super) fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millis(if millis >= FOREVER { i64::MAX } else { millis })
}

/// Parses a row.
pub(crate) fn decode(id: SessionId, bytes: &[u8]) -> Result<SessionRecord, StoreError> {
    read(id, bytes).ok_or_else(corrupt)?
}

/// Parses a row. `None` if the bytes are too few or of another version.
fn read(id: SessionId, bytes: &[u8]) -> Option<Result<SessionRecord, StoreError>> {
    let mut rest = bytes;
    let version = number(&mut rest, 1)?;
    let flags = number(&mut rest, 1)?;
    let recovered = number(&mut rest, 1)?;
    let subject_len = number(&mut rest, 1)?;
    let reason_len = number(&mut rest, 1)?;
    let generation = number(&mut rest, 4)?;
    let predecessor = number(&mut rest, 4)?;
    let subject_version = number(&mut rest, 6)?;
    let created_at = signed_7(&mut rest)?;
    let last_used_at = signed_7(&mut rest)?;
    let idle_expires_at = signed_7(&mut rest)?;
    let absolute_expires_at = signed_7(&mut rest)?;
    let revoked_at = signed_7(&mut rest)?;
    let subject = text(&mut rest, subject_len)?;
    let reason = text(&mut rest, reason_len)?;
    let details = std::str::from_utf8(rest).ok()?;
    if version != u64::from(VERSION) || subject.is_empty() {
        return None;
    }
    let has_predecessor = flags & u64::from(HAS_PREDECESSOR) != 0;
    let predecessor = generation_of(predecessor)?;
    let record = SessionRecord {
        id,
        subject: subject.into(),
        subject_version,
        generation: generation_of(generation)?,
        predecessor: has_predecessor.then_some(predecessor),
        recovered: u8::try_from(recovered).ok()?,
        created_at: moment(created_at),
        // Every write for the client is a rotation, so the two times are equal.
        rotated_at: moment(last_used_at),
        last_used_at: moment(last_used_at),
        idle_expires_at: moment(idle_expires_at),
        absolute_expires_at: moment(absolute_expires_at),
        revoked: None,
        details: SessionDetails::default(),
    };
    Some(with_texts(record, reason, moment(revoked_at), details))
}

fn with_texts(
    mut record: SessionRecord,
    reason: &str,
    revoked_at: Timestamp,
    details: &str,
) -> Result<SessionRecord, StoreError> {
    if !reason.is_empty() {
        record.revoked = Some(SessionRevocation {
            at: revoked_at,
            reason: RevokeReason::parse(reason)?,
        });
    }
    record.details = SessionDetails::decode(details)?;
    Ok(record)
}

fn generation_of(number: u64) -> Option<Generation> {
    u32::try_from(number).ok().map(Generation::new)
}

/// Reads an unsigned big-endian number of `width` bytes.
fn number(rest: &mut &[u8], width: usize) -> Option<u64> {
    let (bytes, after) = rest.split_at_checked(width)?;
    *rest = after;
    Some(
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

fn signed_7(rest: &mut &[u8]) -> Option<i64> {
    let unsigned = i64::try_from(number(rest, 7)?).ok()?;
    // The sign is the top bit of the seven bytes.
    Some(unsigned << 8 >> 8)
}

fn text<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a str> {
    let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SessionId = SessionId::from_bytes([7; 16]);

    fn row() -> Vec<u8> {
        let mut row = vec![1, 1, 2, 2, 6, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 0, 0, 3];
        for moment in [1_i64, -2, 3, FOREVER, 5] {
            row.extend(&moment.to_be_bytes()[1..]);
        }
        row.extend(b"meLOGOUT".map(|byte| byte.to_ascii_lowercase()));
        row.extend(br#"{"i":7}"#);
        row
    }

    #[test]
    fn a_row_is_read_field_by_field() {
        let record = decode(ID, &row()).unwrap();
        assert_eq!(record.id, ID);
        assert_eq!(&*record.subject, "me");
        assert_eq!(record.subject_version, 3);
        assert_eq!(record.generation.get(), 9);
        assert_eq!(record.predecessor, Some(Generation::new(8)));
        assert_eq!(record.recovered, 2);
        assert_eq!(record.created_at.as_millis(), 1);
        assert_eq!(record.rotated_at.as_millis(), -2);
        assert_eq!(record.idle_expires_at.as_millis(), 3);
        assert_eq!(record.absolute_expires_at.as_millis(), i64::MAX);
        let revoked = record.revoked.unwrap();
        assert_eq!(revoked.reason, RevokeReason::Logout);
        assert_eq!(revoked.at.as_millis(), 5);
        assert_eq!(record.details.idle().as_millis(), 7);
    }

    #[test]
    fn what_is_no_row_is_an_error_and_no_panic() {
        let whole = row();
        for length in 0..whole.len() {
            assert!(decode(ID, &whole[..length]).is_err(), "{length}");
        }
        for (at, value) in [(0, 2), (3, 0), (3, 255), (4, 5), (60, 0xff)] {
            let mut row = row();
            row[at] = value;
            assert!(decode(ID, &row).is_err(), "{at}");
        }
    }

    #[test]
    fn no_two_subjects_share_a_key_or_leave_their_slot() {
        assert_eq!(subject_version_key("alice"), b"auth:e:{alice}");
        assert_eq!(subject_version_key("}{%"), b"auth:e:{%7D%7B%25}");
        assert_ne!(subject_version_key("a}"), subject_version_key("a%7D"));
    }
}
