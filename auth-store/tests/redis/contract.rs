//! The contents of the store, and their expiry.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use auth_core::Timestamp;
use auth_core::session::RevokeReason;
use auth_core::store::{
    InsertOutcome, NewSession, RefreshStore, SessionDetails, StoreClock, StoreErrorKind,
};
use auth_core::testing::ManualClock;
use auth_store::{RedisStore, StoreOptions};

use super::common;
use super::servers::{Server, ask, shared_url, wanted};
use super::{DAY, HOUR, end_all, logout, new_id, session, step, subject};

fn row_key(id: auth_core::session::SessionId) -> Vec<u8> {
    [b"auth:s:".as_slice(), id.as_bytes()].concat()
}

#[tokio::test]
async fn a_session_moves_on_once_a_generation_and_ends_for_good() {
    let Some(url) = shared_url() else { return };
    let store = RedisStore::connect(&url).await.unwrap();
    let details = SessionDetails::default();
    let (id, alice) = (new_id(), subject("alice"));
    let made = store.insert(&session(id, &alice, &details)).await.unwrap();
    assert!(matches!(made, InsertOutcome::Done { replaced: None, .. }));
    let again = store.insert(&session(id, &alice, &details)).await;
    assert_eq!(again.unwrap_err().kind(), StoreErrorKind::Corrupt);
    let row = store.load(&id).await.unwrap().unwrap();
    assert_eq!(&*row.record.subject, alice);
    assert_eq!(row.current_subject_version, 0);
    assert!(row.record.is_live(0, row.now));
    let moved = store.advance(&step(id, &alice, 0, &details)).await.unwrap();
    let moved = moved.unwrap();
    assert_eq!(moved.idle_expires_at, moved.now.saturating_add(HOUR));
    let lost = store.advance(&step(id, &alice, 0, &details)).await.unwrap();
    assert_eq!(lost, None);
    for _ in 0..2 {
        let revoked = store.revoke(&logout(id)).await.unwrap().unwrap();
        assert_eq!(revoked.reason, RevokeReason::Logout);
    }
    let dead = store.advance(&step(id, &alice, 1, &details)).await.unwrap();
    assert_eq!(dead, None);
    let loaded = store.load(&id).await.unwrap().unwrap();
    assert_eq!(loaded.record.generation.get(), 1);
    assert_eq!(loaded.record.rotated_at, moved.now);
    assert_eq!(loaded.record.revoked.unwrap().reason, RevokeReason::Logout);
    assert!(store.load(&new_id()).await.unwrap().is_none());
}

#[tokio::test]
async fn keys_outlive_what_they_hold_by_a_day_and_no_more() {
    let Some(url) = shared_url() else { return };
    let store = RedisStore::connect(&url).await.unwrap();
    let details = SessionDetails::default();
    let (id, bob) = (new_id(), subject("bob"));
    store.insert(&session(id, &bob, &details)).await.unwrap();
    let ttl = async |key: Vec<u8>| {
        let millis: i64 = ask(&url, redis::cmd("PTTL").arg(key)).await;
        Duration::from_millis(u64::try_from(millis).unwrap())
    };
    let minute = Duration::from_secs(60);
    // In both directions: the clock of the expiry is not that of the script.
    let about = |found: Duration, expected: Duration| {
        assert!(found.abs_diff(expected) < minute, "{found:?}");
    };
    about(ttl(row_key(id)).await, HOUR + DAY);
    let mut longer = step(id, &bob, 0, &details);
    longer.idle = HOUR * 5;
    store.advance(&longer).await.unwrap().unwrap();
    about(ttl(row_key(id)).await, HOUR * 5 + DAY);
    store.revoke(&logout(id)).await.unwrap();
    about(ttl(row_key(id)).await, DAY);
    // The row lives longer if access tokens live longer than a day.
    let long = new_id();
    let mut listed = session(long, &bob, &details);
    listed.listing.lifetime = DAY * 3;
    store.insert(&listed).await.unwrap();
    about(ttl(row_key(long)).await, HOUR + DAY * 3);
    // A subject version is kept as long as the last session that it may end.
    store.end_all(&end_all(&bob, None)).await.unwrap();
    let subject_version = format!("auth:e:{{{bob}}}").into_bytes();
    about(ttl(subject_version.clone()).await, DAY + DAY * 3);
    let mut year = session(new_id(), &bob, &details);
    (year.subject_version, year.absolute) = (1, DAY * 365);
    store.insert(&year).await.unwrap();
    about(ttl(subject_version).await, DAY * 366);
}

#[tokio::test]
async fn a_login_beyond_the_limit_ends_the_least_recently_used() {
    let Some(url) = shared_url() else { return };
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let options = StoreOptions::new().with_clock(StoreClock::driven(clock.clone()));
    let store = RedisStore::connect_with(&url, options).await.unwrap();
    let details = SessionDetails::default();
    let eve = subject("eve");
    let ids = [new_id(), new_id(), new_id()];
    let limited = |id| NewSession {
        limit: NonZeroU32::new(2),
        ..session(id, &eve, &details)
    };
    for id in &ids[..2] {
        store.insert(&limited(*id)).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    store
        .advance(&step(ids[0], &eve, 0, &details))
        .await
        .unwrap()
        .unwrap();
    let made = store.insert(&limited(ids[2])).await.unwrap();
    let InsertOutcome::Done { evicted, .. } = made else {
        panic!("{made:?}")
    };
    assert_eq!(evicted, [ids[1]]);
    let listed = store.list(&eve, 10).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|row| row.id).collect();
    assert_eq!(listed, [ids[2], ids[0]]);
}

#[tokio::test]
async fn ending_the_others_keeps_one() {
    let Some(url) = shared_url() else { return };
    let store = RedisStore::connect(&url).await.unwrap();
    let details = SessionDetails::default();
    let mallory = subject("mallory");
    let ids = [new_id(), new_id(), new_id()];
    for id in ids {
        store
            .insert(&session(id, &mallory, &details))
            .await
            .unwrap();
    }
    let ended = store.end_all(&end_all(&mallory, Some(ids[1]))).await;
    assert_eq!(ended.unwrap().map(|raised| raised.subject_version), Some(1));
    let listed = store.list(&mallory, 10).await.unwrap();
    assert_eq!(
        listed.iter().map(|row| row.id).collect::<Vec<_>>(),
        [ids[1]]
    );
    assert_eq!(listed[0].subject_version, 1);
    let dead = store.load(&ids[0]).await.unwrap().unwrap();
    assert_eq!(dead.record.revoked.unwrap().reason, RevokeReason::All);
    let ended = store.end_all(&end_all(&mallory, Some(ids[0]))).await;
    assert_eq!(ended.unwrap(), None);
    let late = store.insert(&session(new_id(), &mallory, &details)).await;
    assert_eq!(late.unwrap(), InsertOutcome::SubjectVersionChanged);
}

#[tokio::test]
async fn e17_moments_far_away_are_kept_to_the_millisecond() {
    let Some(url) = shared_url() else { return };
    let details = SessionDetails::default();
    // The years 1901, 1969, 2038, 2106 and 9999.
    for secs in [
        -2_150_000_000,
        -1,
        2_147_483_648,
        4_294_967_296,
        253_402_300_799,
    ] {
        let now = Timestamp::from_millis(secs * 1000 + 7);
        let clock = Arc::new(ManualClock::at(now));
        let options = StoreOptions::new().with_clock(StoreClock::driven(clock));
        let store = RedisStore::connect_with(&url, options).await.unwrap();
        let id = new_id();
        store
            .insert(&session(id, &subject("far"), &details))
            .await
            .unwrap();
        let loaded = store.load(&id).await.unwrap().unwrap();
        assert_eq!(loaded.now, now);
        assert_eq!(loaded.record.created_at, now);
        assert_eq!(loaded.record.idle_expires_at, now.saturating_add(HOUR));
    }
    let store = RedisStore::connect(&url).await.unwrap();
    let id = new_id();
    let mut endless = session(id, "endless", &details);
    (endless.idle, endless.absolute) = (Duration::MAX, Duration::MAX);
    store.insert(&endless).await.unwrap();
    let record = store.load(&id).await.unwrap().unwrap().record;
    assert_eq!(record.ends_at().as_millis(), i64::MAX);
    store.revoke(&logout(id)).await.unwrap();
}

#[tokio::test]
async fn garbage_in_a_key_is_an_error_and_no_panic() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let details = SessionDetails::default();
    let id = new_id();
    store.insert(&session(id, "alice", &details)).await.unwrap();
    let good: Vec<u8> = server.ask(redis::cmd("GET").arg(row_key(id))).await;
    let mut other_version = good.clone();
    other_version[0] = 9;
    let mut no_details = good.clone();
    no_details.truncate(good.len() - 1);
    for bad in [b"".as_slice(), b"garbage", &other_version, &no_details] {
        server
            .ask::<()>(redis::cmd("SET").arg(row_key(id)).arg(bad))
            .await;
        let error = store.load(&id).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{bad:?}");
        let error = store.list("alice", 9).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{bad:?}");
    }
    for wrong_type in [row_key(id), b"auth:e:{alice}".to_vec()] {
        server.ask::<()>(redis::cmd("DEL").arg(&wrong_type)).await;
        server
            .ask::<()>(redis::cmd("LPUSH").arg(&wrong_type).arg("x"))
            .await;
        let error = store.advance(&step(id, "alice", 0, &details)).await;
        assert_eq!(error.unwrap_err().kind(), StoreErrorKind::Corrupt);
    }
    let error = store.subject_version("alice").await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    // An unreadable row of a subject does not lock the user out.
    let limited = NewSession {
        limit: NonZeroU32::new(1),
        ..session(new_id(), "bob", &details)
    };
    server
        .ask::<()>(redis::cmd("DEL").arg("auth:l:{bob}"))
        .await;
    store.insert(&limited).await.unwrap();
    let key = row_key(limited.id);
    server.ask::<()>(redis::cmd("SET").arg(&key).arg("x")).await;
    let next = NewSession {
        id: new_id(),
        replaces: Some(limited.id),
        ..limited
    };
    assert!(matches!(
        store.insert(&next).await.unwrap(),
        InsertOutcome::Done { replaced: None, .. }
    ));
}

#[tokio::test]
async fn purging_early_removes_ended_rows_and_their_names() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let details = SessionDetails::default();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = new_id();
        store.insert(&session(id, "alice", &details)).await.unwrap();
        ids.push(id);
    }
    for id in &ids[..4] {
        store.revoke(&logout(*id)).await.unwrap();
    }
    assert_eq!(store.purge(DAY, 100).await.unwrap(), 0);
    assert_eq!(store.purge(Duration::ZERO, 3).await.unwrap(), 3);
    assert_eq!(store.purge(Duration::ZERO, 3).await.unwrap(), 1);
    assert!(store.load(&ids[0]).await.unwrap().is_none());
    assert!(store.load(&ids[4]).await.unwrap().is_some());
    let names: u32 = server.ask(redis::cmd("ZCARD").arg("auth:l:{alice}")).await;
    assert_eq!(names, 1);
}

#[tokio::test]
async fn d01_the_server_holds_nothing_that_can_be_presented() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let needles = common::presentable(Arc::new(store)).await;
    let dump = server.dump().await;
    assert!(dump.windows(5).any(|window| window == b"alice"));
    common::assert_absent(&dump, &needles);
}

#[tokio::test]
async fn a_row_without_app_data_takes_at_most_400_bytes() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let subject = "0b0f3a39-2f2e-4c3b-9a53-3f5a2d9d2f10";
    let details = r#"{"i":1209600000,"at":1800000000,"am":["pwd","otp"],"l":"Ada's laptop",
        "u":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36",
        "ip":"203.0.113.77"}"#;
    let details = SessionDetails::decode(details).unwrap();
    let id = new_id();
    store.insert(&session(id, subject, &details)).await.unwrap();
    store
        .advance(&step(id, subject, 0, &details))
        .await
        .unwrap()
        .unwrap();
    let mut usage = redis::cmd("MEMORY");
    usage.arg("USAGE").arg(row_key(id));
    let live: u32 = server.ask(&usage).await;
    store.revoke(&logout(id)).await.unwrap();
    let revoked: u32 = server.ask(&usage).await;
    eprintln!("a session takes {live} bytes in Redis, {revoked} once revoked");
    // Sizes with the mark of the revoking call, which is kept for a day.
    assert!(live <= 400 && revoked <= 460, "{live} {revoked}");
}

#[tokio::test]
async fn e14_rows_with_and_without_a_mark_are_there_side_by_side() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let details = SessionDetails::decode(r#"{"i":7,"l":"Ada's laptop"}"#).unwrap();
    let id = new_id();
    store.insert(&session(id, "alice", &details)).await.unwrap();
    let moved = store.advance(&step(id, "alice", 0, &details)).await;
    moved.unwrap().unwrap();
    let get = || async {
        server
            .ask::<Vec<u8>>(redis::cmd("GET").arg(row_key(id)))
            .await
    };
    let live = get().await;
    let revoked = store.revoke(&logout(id)).await.unwrap().unwrap();
    assert_eq!(revoked.mark, Some(common::MARK));
    let marked = get().await;
    // The position that an earlier version reads: layout 1, a predecessor, the reason after the
    // subject, then details whose first member it skips.
    assert_eq!((marked[0], marked[1] & 1), (1, 1));
    assert_eq!((marked[3], marked[4]), (5, 6));
    let (texts, rest) = marked[54..].split_at(11);
    assert_eq!(texts, b"alicelogout");
    let rest = std::str::from_utf8(rest).unwrap();
    assert_eq!(SessionDetails::decode(rest).unwrap(), details);
    // A row that an earlier version revoked.
    let mut unmarked = marked.clone();
    unmarked[1] = live[1];
    unmarked.truncate(54 + 11);
    unmarked.extend(details.encode().unwrap().into_bytes());
    server
        .ask::<()>(redis::cmd("SET").arg(row_key(id)).arg(&unmarked))
        .await;
    let found = store.revoke(&logout(id)).await.unwrap().unwrap();
    assert_eq!((found.mark, found.reason), (None, RevokeReason::Logout));
    assert_eq!(get().await, unmarked, "revoked once");
    let record = store.load(&id).await.unwrap().unwrap().record;
    assert_eq!(record.details, details);
}
