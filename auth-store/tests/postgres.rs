//! Postgres: the conformance kit, and tests beyond it.

#![cfg(feature = "postgres")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use auth_core::Timestamp;
use auth_core::testing::{ManualClock, prove_store};

use auth_core::revocation::Revocation;
use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::{
    InsertOutcome, NewSession, RefreshStore, RevocationFeed, RevocationMark, RevokeSession,
    SessionDetails,
};
use auth_store::{PostgresStore, StoreOptions};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use common::{
    HOUR, MARK, PostgresFixture as Fixture, database, end_the_others, logout, session, step,
};

fn sid(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

#[tokio::test]
async fn a_session_moves_on_once_a_generation_and_ends_for_good() {
    let Some(url) = database("moves").await else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    let details = SessionDetails::default();
    let made = store
        .insert(&session(sid(1), "alice", &details))
        .await
        .unwrap();
    assert!(matches!(made, InsertOutcome::Done { replaced: None, .. }));
    assert!(
        store
            .insert(&session(sid(1), "alice", &details))
            .await
            .is_err()
    );
    let step = |from| step(sid(1), "alice", from, &details);
    assert!(store.advance(&step(0)).await.unwrap().is_some());
    assert!(store.advance(&step(0)).await.unwrap().is_none());
    let revoke = logout(sid(1));
    let another = RevokeSession {
        mark: RevocationMark::from_bytes([8; 16]),
        reason: RevokeReason::App,
        ..revoke
    };
    for revoke in [&revoke, &another, &revoke] {
        let revoked = store.revoke(revoke).await.unwrap().unwrap();
        assert_eq!(
            (revoked.mark, revoked.reason),
            (Some(MARK), RevokeReason::Logout)
        );
    }
    assert!(store.advance(&step(1)).await.unwrap().is_none());
    let loaded = store.load(&sid(1)).await.unwrap().unwrap();
    assert_eq!(loaded.record.generation.get(), 1);
    assert_eq!(loaded.record.revoked.unwrap().reason, RevokeReason::Logout);
}

#[tokio::test]
async fn a_login_beyond_the_limit_ends_the_least_recently_used() {
    let Some(url) = database("limit").await else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    let details = SessionDetails::default();
    let limit = std::num::NonZeroU32::new(2);
    for n in 1..=2 {
        store
            .insert(&NewSession {
                limit,
                ..session(sid(n), "alice", &details)
            })
            .await
            .unwrap();
    }
    let third = NewSession {
        limit,
        ..session(sid(3), "alice", &details)
    };
    let InsertOutcome::Done { evicted, .. } = store.insert(&third).await.unwrap() else {
        panic!()
    };
    assert_eq!(evicted, [sid(1)]);
    let listed = store.snapshot().await.unwrap().revocations;
    assert!(matches!(&listed[..], [Revocation::Session { id, .. }] if *id == sid(1)));
}

#[tokio::test]
async fn ending_the_others_keeps_one_and_wakes_the_followers() {
    let Some(url) = database("others").await else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    let other = PostgresStore::connect(&url).await.unwrap();
    let mut cursor = end_the_others(&store, &other).await;
    loop {
        let batch = other.follow(&cursor, HOUR).await.unwrap();
        if let [
            Revocation::Subject {
                lowest_subject_version: 1,
                ..
            },
        ] = &batch.revocations[..]
        {
            break;
        }
        cursor = batch.cursor;
    }
}

#[tokio::test]
async fn a_cursor_does_not_pass_a_transaction_that_commits_late() {
    let Some(url) = database("late").await else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    let details = SessionDetails::default();
    store
        .insert(&session(sid(1), "alice", &details))
        .await
        .unwrap();
    // An older transaction has written its entry, and has not committed yet.
    let pool = PgPoolOptions::new().connect(&url).await.unwrap();
    let mut late = pool.begin().await.unwrap();
    let entry = "INSERT INTO auth_revocations (sid, until) VALUES ($1, 9000000000000)";
    sqlx::query(entry)
        .bind([9_u8; 16].as_slice())
        .execute(&mut *late)
        .await
        .unwrap();
    // A younger transaction commits, and the follower reads it.
    let revoke = logout(sid(1));
    store.revoke(&revoke).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.revocations.len(), 1);
    late.commit().await.unwrap();
    let batch = store
        .follow(&snapshot.cursor, Duration::from_millis(10))
        .await
        .unwrap();
    let late = batch
        .revocations
        .iter()
        .any(|entry| matches!(entry, Revocation::Session { id, .. } if *id == sid(9)));
    assert!(late, "{:?}", batch.revocations);
    // Transactions of other databases on the server may hold the cursor back for a moment. After
    // that there are no entries left to read.
    let mut batch = batch;
    while !batch.revocations.is_empty() {
        batch = store
            .follow(&batch.cursor, Duration::from_millis(10))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn e11_lookups_use_an_index() {
    let Some(url) = database("explain").await else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    drop(store);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for lookup in [
        "SELECT * FROM auth_sessions WHERE id = '\\x00'",
        "SELECT * FROM auth_sessions WHERE subject = 'a'",
        "SELECT * FROM auth_sessions
         WHERE least(coalesce(revoked_at, idle_expires_at), idle_expires_at) <= 0",
        "SELECT * FROM auth_subjects WHERE subject = 'a'",
        "SELECT * FROM auth_revocations WHERE xid >= '5'::xid8",
        "SELECT * FROM auth_revocations WHERE until <= 0",
    ] {
        connection
            .execute("SET enable_seqscan = off")
            .await
            .unwrap();
        let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("EXPLAIN {lookup}")))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("Index"), "{plan}");
    }
}

#[tokio::test]
async fn e14_eight_nodes_at_once_make_one_schema() {
    let Some(url) = database("schema").await else {
        return;
    };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = url.clone();
        tasks.spawn(async move { PostgresStore::connect(&url).await.map(drop) });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_postgres_passes_the_conformance_kit() {
    let Some(url) = database("kit").await else {
        return;
    };
    let clock = Some(Arc::new(ManualClock::at(Timestamp::from_secs(
        1_800_000_000,
    ))));
    let report = prove_store(&Fixture { url, clock }).await.unwrap();
    assert!(report.skipped().is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_postgres_passes_the_kit_by_its_own_clock() {
    let Some(url) = database("own_clock").await else {
        return;
    };
    prove_store(&Fixture { url, clock: None }).await.unwrap();
}

#[tokio::test]
async fn d01_the_tables_hold_nothing_that_can_be_presented() {
    let Some(url) = database("dump").await else {
        return;
    };
    let store = Arc::new(PostgresStore::connect(&url).await.unwrap());
    let needles = common::presentable(store).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut dump = String::new();
    for table in [
        "auth_sessions",
        "auth_subjects",
        "auth_revocations",
        "auth_schema",
    ] {
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM {table} t")))
                .fetch_all(&mut connection)
                .await
                .unwrap();
        dump.push_str(&rows.join("\n"));
    }
    assert!(dump.contains("alice"));
    common::assert_absent(dump.as_bytes(), &needles);
}

#[tokio::test]
async fn a_row_without_app_data_takes_at_most_400_bytes() {
    let Some(url) = database("size").await else {
        return;
    };
    let store = Arc::new(PostgresStore::connect(&url).await.unwrap());
    common::presentable(store).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let bytes: i32 = sqlx::query_scalar("SELECT pg_column_size(t) FROM auth_sessions t")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    eprintln!("a session takes {bytes} bytes in Postgres");
    assert!(bytes <= 400, "{bytes}");
}

#[tokio::test]
async fn a_follower_waits_for_news_instead_of_asking_without_end() {
    let Some(url) = database("waits").await else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    let start = store.snapshot().await.unwrap().cursor;
    let entry = Revocation::Session {
        id: sid(1),
        until: Timestamp::from_secs(4_000_000_000),
    };
    store.append(&entry).await.unwrap();
    let mut cursor = store.follow(&start, HOUR).await.unwrap().cursor;
    // The follower may be woken a few times more before it is idle.
    for _ in 0..10 {
        let asked = store.follow(&cursor, HOUR);
        match tokio::time::timeout(Duration::from_secs(1), asked).await {
            Ok(batch) => cursor = batch.unwrap().cursor,
            Err(_) => return,
        }
    }
    panic!("nothing is new, and yet it does not wait");
}

#[tokio::test]
async fn a_single_connection_is_not_the_listeners_alone() {
    let Some(url) = database("single").await else {
        return;
    };
    let options = StoreOptions::new().with_connections(1);
    let store = PostgresStore::connect_with(&url, options).await.unwrap();
    let start = store.snapshot().await.unwrap().cursor;
    let mut watched = PgConnection::connect(&url).await.unwrap();
    let listeners = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    loop {
        let listening: i64 = sqlx::query_scalar(listeners)
            .fetch_one(&mut watched)
            .await
            .unwrap();
        if listening == 1 {
            break;
        }
    }
    let details = SessionDetails::default();
    store
        .insert(&session(sid(1), "alice", &details))
        .await
        .unwrap();
    store.revoke(&logout(sid(1))).await.unwrap();
    let batch = store.follow(&start, HOUR).await.unwrap();
    assert_eq!(batch.revocations.len(), 1);
}

/// A node of an earlier version: its statements are prepared before the migration.
#[tokio::test]
async fn e14_an_earlier_version_works_on_beside_this_one() {
    use sqlx::Row as _;
    let Some(url) = database("beside").await else {
        return;
    };
    drop(PostgresStore::connect(&url).await.unwrap());
    let mut earlier = PgConnection::connect(&url).await.unwrap();
    for back in [
        "DROP TABLE auth_marks",
        "DROP TABLE auth_lifetimes",
        "DELETE FROM auth_schema WHERE step = 3",
        "INSERT INTO auth_sessions SELECT id, 'alice', 0, 0, NULL, 0, 1, 1, 1, 9000000000000,
            9000000000000, NULL, NULL, '{\"i\":1}'
            FROM (VALUES (decode(repeat('01', 16), 'hex')), (decode(repeat('02', 16), 'hex'))) v (id)",
    ] {
        earlier.execute(back).await.unwrap();
    }
    let load = "SELECT s.*, coalesce(j.epoch, 0) AS subject_epoch
         FROM auth_sessions s LEFT JOIN auth_subjects j ON j.subject = s.subject
         WHERE s.id = $1";
    let loaded = sqlx::query(load)
        .bind([1_u8; 16].as_slice())
        .fetch_one(&mut earlier)
        .await;
    assert_eq!(loaded.unwrap().get::<i64, _>("subject_epoch"), 0);

    let store = PostgresStore::connect(&url).await.unwrap();
    // Revoked by the earlier version: no mark.
    sqlx::query("UPDATE auth_sessions SET revoked_at = 2, reason = 'logout' WHERE id = $1")
        .bind([1_u8; 16].as_slice())
        .execute(&mut earlier)
        .await
        .unwrap();
    let found = store.revoke(&logout(sid(1))).await.unwrap().unwrap();
    assert_eq!((found.mark, found.reason), (None, RevokeReason::Logout));
    // Revoked by this version: the earlier one reads it, and removes the row with its mark.
    let found = store.revoke(&logout(sid(2))).await.unwrap().unwrap();
    assert_eq!(found.mark, Some(MARK));
    let loaded = sqlx::query(load)
        .bind([2_u8; 16].as_slice())
        .fetch_one(&mut earlier)
        .await
        .unwrap();
    assert_eq!(loaded.get::<String, _>("reason"), "logout");
    earlier.execute("DELETE FROM auth_sessions").await.unwrap();
    let marks: i64 = sqlx::query_scalar("SELECT count(*) FROM auth_marks")
        .fetch_one(&mut earlier)
        .await
        .unwrap();
    assert_eq!(marks, 0);
}

/// A lifetime rises during a revocation: a revocation with the shorter one commits before the first
/// longer token exists.
#[tokio::test]
async fn h07_a_lifetime_rises_after_those_who_revoke_with_the_shorter_one() {
    let Some(url) = database("rises").await else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    store.raise_access_lifetime("a", HOUR / 6).await.unwrap();
    let pool = PgPoolOptions::new().connect(&url).await.unwrap();
    let mut revoking = pool.begin().await.unwrap();
    let read: i64 = sqlx::query_scalar("SELECT max(longest) FROM auth_lifetimes")
        .fetch_one(&mut *revoking)
        .await
        .unwrap();
    assert_eq!(read, 600_000);
    // A known lifetime needs no lock.
    let known = store.raise_access_lifetime("a", HOUR / 6).await.unwrap();
    assert_eq!(known, HOUR / 6);
    let raising = tokio::spawn({
        let store = store.clone();
        async move { store.raise_access_lifetime("b", HOUR).await }
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    loop {
        let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&pool).await.unwrap();
        if waiting == 1 {
            break;
        }
    }
    assert!(!raising.is_finished());
    revoking.commit().await.unwrap();
    assert_eq!(raising.await.unwrap().unwrap(), HOUR);
}
