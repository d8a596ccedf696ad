//! Rows of stores: what is read is what the row says, or the row is corrupt.

use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::{SessionDetails, SessionRecord, StoreErrorKind};
use auth_store::testing::{SqlRow, read_redis_row, read_sql_row};

const ID: SessionId = SessionId::from_bytes([7; 16]);

const DETAILS: &str = concat!(
    r#"{"i":1209600000,"at":1800000000,"am":["pwd"],"ac":"aal2","s":"a b","l":"Ada's phone","#,
    r#""u":"Mozilla/5.0","ip":"2001:db8::1","t":true,"d":{"tenant":7},"#,
    r#""r":{"c":"x","p":"y","j":"{}","e":5},"zz":[1]}"#,
);

/// The details are a text of the core's; whoever keeps it gets the same back.
pub(super) fn details(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match SessionDetails::decode(text) {
        Ok(details) => again(&details),
        Err(error) => assert_eq!(error.kind(), StoreErrorKind::Corrupt),
    }
}

fn again(details: &SessionDetails) {
    let text = details.encode().expect("what was read can be written");
    let read = SessionDetails::decode(&text).expect("what was written can be read");
    assert!(read == *details, "the same details");
}

pub(super) fn detail_seeds() -> Vec<Vec<u8>> {
    [
        DETAILS,
        r#"{"i":0}"#,
        "{}",
        "[1]",
        r#"{"i":1,"i":2}"#,
        r#"{"i":1,"d":null}"#,
        r#"{"i":1,"d":118446744073709551616}"#,
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

pub(super) fn redis(data: &[u8]) {
    match read_redis_row(ID, data) {
        Ok(record) => {
            assert!(record.id == ID && !record.subject.is_empty());
            let bytes = |from: usize, to: usize| {
                data[from..to]
                    .iter()
                    .fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
            };
            assert_eq!(u64::from(record.generation.get()), bytes(5, 9));
            assert_eq!(record.subject_version, bytes(13, 19));
            let subject = &data[54..54 + usize::from(data[3])];
            assert_eq!(record.subject.as_bytes(), subject);
            assert_eq!(record.revoked.is_some(), data[4] != 0);
            check(&record);
        }
        Err(error) => assert_eq!(error.kind(), StoreErrorKind::Corrupt),
    }
}

fn check(record: &SessionRecord) {
    again(&record.details);
    let ends_at = record.ends_at();
    assert!(ends_at <= record.idle_expires_at && ends_at <= record.absolute_expires_at);
    assert!(!record.is_live(record.subject_version.wrapping_add(1), record.created_at));
    if let Some(revoked) = record.revoked {
        let again = RevokeReason::parse(revoked.reason.as_str());
        assert_eq!(again.ok(), Some(revoked.reason));
        assert!(!record.is_live(record.subject_version, record.created_at));
    }
}

pub(super) fn redis_seeds() -> Vec<Vec<u8>> {
    let row = |subject: &str, reason: &str, ends: i64| {
        let lengths = [subject.len(), reason.len()].map(|length| u8::try_from(length).unwrap());
        let mut row = vec![1, 1, 2, lengths[0], lengths[1]];
        row.extend([0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 0, 0, 3]);
        for moment in [1_800_000_000_000_i64, -2, ends, 1 << 53, 5] {
            row.extend(&moment.to_be_bytes()[1..]);
        }
        row.extend([subject, reason, DETAILS].concat().into_bytes());
        row
    };
    vec![
        row("ada", "", 1_800_000_600_000),
        row("ada", "logout", i64::MIN >> 8),
        row("ünï", "recent_predecessor", 1 << 53),
        row("", "nonsense", 0),
    ]
}

/// Numbers first, then subject, reason and details, one a line.
pub(super) fn sql(data: &[u8]) {
    const NUMBERS: usize = 16 + 11 * 8;
    let Some((numbers, texts)) = data.split_at_checked(NUMBERS) else {
        return;
    };
    let number = |at: usize| {
        let bytes = numbers[16 + at * 8..].first_chunk().copied();
        i64::from_le_bytes(bytes.unwrap_or_default())
    };
    let Ok(texts) = std::str::from_utf8(texts) else {
        return;
    };
    let mut texts = texts.splitn(3, '\n').map(str::to_owned);
    let row = SqlRow {
        // Of other lengths, too.
        id: numbers[..16 - usize::from(numbers[0] == 255)].to_vec(),
        subject: texts.next().unwrap_or_default(),
        subject_version: number(0),
        generation: number(1),
        predecessor: (number(2) != 0).then_some(number(2)),
        recovered: i16::try_from(number(3)).unwrap_or(i16::MAX),
        created_at: number(4),
        rotated_at: number(5),
        last_used_at: number(6),
        idle_expires_at: number(7),
        absolute_expires_at: number(8),
        revoked_at: (number(9) != 0).then_some(number(10)),
        reason: texts.next().filter(|reason| !reason.is_empty()),
        details: texts.next().unwrap_or_default(),
    };
    match read_sql_row(row.clone()) {
        Ok(record) => {
            assert_eq!(record.id.as_bytes().as_slice(), row.id);
            assert_eq!(*record.subject, *row.subject);
            assert_eq!(
                i64::try_from(record.subject_version),
                Ok(row.subject_version)
            );
            assert_eq!(i64::from(record.generation.get()), row.generation);
            assert_eq!(record.created_at.as_millis(), row.created_at);
            assert_eq!(record.revoked.is_some(), row.reason.is_some());
            check(&record);
        }
        Err(error) => assert_eq!(error.kind(), StoreErrorKind::Corrupt),
    }
}

pub(super) fn sql_seeds() -> Vec<Vec<u8>> {
    let row = |numbers: [i64; 11], reason: &str| {
        let mut row = vec![7; 16];
        numbers
            .iter()
            .for_each(|number| row.extend(number.to_le_bytes()));
        row.extend(format!("ada\n{reason}\n{DETAILS}").into_bytes());
        row
    };
    let now = 1_800_000_000_000;
    vec![
        row([0, 0, 0, 0, now, now, now, now + 9, now + 99, 0, 0], ""),
        row(
            [3, 9, 8, 2, now, now, now, now + 9, now + 99, 1, now],
            "logout",
        ),
        row(
            [-1, 1 << 32, -1, 256, 0, 0, 0, i64::MIN, i64::MAX, 1, 0],
            "",
        ),
        row(
            [i64::MAX, u32::MAX.into(), 1, 255, 0, 0, 0, 0, 0, 0, 0],
            "stale",
        ),
    ]
}
