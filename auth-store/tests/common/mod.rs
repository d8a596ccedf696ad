//! Common helpers of the stores' tests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code
)]

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use auth_core::session::{
    ClientInfo, LoginRequest, RefreshKey, RefreshKeys, RefreshOutcome, RevokeReason, SessionId,
    Sessions,
};
use auth_core::store::{
    Cursor, Generation, Listing, NewSession, RefreshStore, RevocationFeed, RevocationMark,
    RevokeSession, RevokeSubject, RotateSession, SessionDetails,
};
use auth_core::{Issuer, Key};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(crate) const MARK: RevocationMark = RevocationMark::from_bytes([7; 16]);
pub(crate) const LISTING: Listing = Listing {
    lifetime: HOUR,
    margin: Duration::ZERO,
};

/// The address of the server in `variable`. Without one the caller's test is skipped, which CI does
/// not accept. The skip is reported past the test harness, which captures the output of passing
/// tests.
pub(crate) fn server(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} is not set");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {variable} is not set");
    }
    url
}

pub(crate) fn session<'a>(
    id: SessionId,
    subject: &'a str,
    details: &'a SessionDetails,
) -> NewSession<'a> {
    NewSession {
        id,
        subject,
        subject_version: 0,
        idle: HOUR,
        absolute: DAY,
        details,
        limit: None,
        replaces: None,
        mark: MARK,
        listing: LISTING,
    }
}

/// The rotation that follows a generation.
pub(crate) fn step<'a>(
    id: SessionId,
    subject: &'a str,
    from: u32,
    details: &'a SessionDetails,
) -> RotateSession<'a> {
    RotateSession {
        id,
        subject,
        from_generation: Generation::new(from),
        from_predecessor: from.checked_sub(1).map(Generation::new),
        subject_version: 0,
        generation: Generation::new(from + 1),
        predecessor: Some(Generation::new(from)),
        recovered: 0,
        idle: HOUR,
        details,
    }
}

pub(crate) fn logout(id: SessionId) -> RevokeSession {
    RevokeSession {
        id,
        reason: RevokeReason::Logout,
        mark: MARK,
        listing: LISTING,
    }
}

/// Three sessions of one subject: the second ends the others, observed through another handle on
/// the same database. Returns the earlier cursor of that handle's feed.
pub(crate) async fn end_the_others<S: RefreshStore + RevocationFeed>(
    store: &S,
    other: &S,
) -> Cursor {
    let sid = |n: u8| SessionId::from_bytes([n; 16]);
    let details = SessionDetails::default();
    for n in 1..=3 {
        let made = store.insert(&session(sid(n), "alice", &details)).await;
        made.unwrap();
    }
    let before = other.snapshot().await.unwrap();
    assert!(before.revocations.is_empty());
    let end = RevokeSubject {
        subject: "alice",
        keep: Some(sid(2)),
        reason: RevokeReason::Others,
        listing: LISTING,
    };
    let raised = store.end_all(&end).await.unwrap().unwrap();
    assert_eq!(raised.subject_version, 1);
    let live = other.list("alice", 10).await.unwrap();
    assert_eq!(live.iter().map(|row| row.id).collect::<Vec<_>>(), [sid(2)]);
    let ended = RevokeSubject {
        keep: Some(sid(1)),
        ..end
    };
    assert_eq!(store.end_all(&ended).await.unwrap(), None);
    before.cursor
}

/// Logs in and refreshes over `store`, and returns every credential, and every secret that yields
/// one, in all forms in which a dump might contain it.
pub(crate) async fn presentable(store: Arc<dyn RefreshStore>) -> Vec<Vec<u8>> {
    let secret: [u8; 32] = std::array::from_fn(|n| (n as u8).wrapping_mul(37) ^ 0xA7);
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap();
    let keys = RefreshKeys::new(RefreshKey::new(1, &secret).unwrap());
    let sessions = Sessions::builder(issuer, store, keys)
        .without_revocations()
        .build()
        .unwrap();
    let login = sessions
        .login(LoginRequest::for_subject("alice"))
        .await
        .unwrap();
    let first = login.refresh().unwrap().expose().to_owned();
    let RefreshOutcome::Granted(next) = sessions.refresh(&first, &ClientInfo::new()).await else {
        panic!("the first refresh is granted")
    };
    let second = next.refresh().unwrap().expose().to_owned();
    assert_ne!(first, second);
    let mut needles = vec![secret.to_vec()];
    for token in [first, second] {
        let body = token.strip_prefix("rt1_").unwrap();
        let raw = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(body).unwrap();
        let (session_secret, mac) = (&raw[1..33], &raw[37..]);
        for bytes in [session_secret, mac] {
            needles.push(bytes.to_vec());
            for upper in [false, true] {
                let hex = bytes.iter().map(|byte| match upper {
                    true => format!("{byte:02X}"),
                    false => format!("{byte:02x}"),
                });
                needles.push(hex.collect::<String>().into_bytes());
            }
            needles.push(base64_simd::STANDARD.encode_to_string(bytes).into_bytes());
            needles.push(
                base64_simd::URL_SAFE_NO_PAD
                    .encode_to_string(bytes)
                    .into_bytes(),
            );
        }
        needles.push(token.into_bytes());
    }
    for access in [login.access(), next.access()] {
        needles.push(access.expose().as_bytes().to_vec());
    }
    needles
}

/// Fails if the dump contains one of the needles.
pub(crate) fn assert_absent(dump: &[u8], needles: &[Vec<u8>]) {
    assert!(!dump.is_empty());
    for needle in needles {
        assert!(
            !dump
                .windows(needle.len())
                .any(|window| window == &needle[..])
        );
    }
}

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
#[allow(unused_imports)]
pub(crate) use postgres::{PostgresFixture, database};
