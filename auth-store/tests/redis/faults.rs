//! Servers that restart, change roles, stall or stop.

use std::time::Duration;

use auth_core::session::{GrantKind, RevokeReason, SessionPolicy};
use auth_core::store::{
    Generation, InsertOutcome, RefreshStore, RevocationFeed, RevokeSession, SessionDetails,
    StoreErrorKind,
};
use auth_core::testing::{Decision, decide};
use auth_store::{RedisStore, StoreOptions};

use super::proxy::Proxy;
use super::servers::{Server, free_port, pause, wanted, words_of};
use super::{LISTING, MARK, logout, new_id, session, step};

#[tokio::test]
async fn e07_scripts_are_sent_again_after_a_restart_and_a_script_flush() {
    if !wanted() {
        return;
    }
    let port = free_port();
    let server = Server::start_at(port, &[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let details = SessionDetails::default();
    let id = new_id();
    store.insert(&session(id, "alice", &details)).await.unwrap();
    server.tell("SCRIPT FLUSH").await;
    let moved = store.advance(&step(id, "alice", 0, &details)).await;
    assert!(moved.unwrap().is_some());
    drop(server);
    let error = store.load(&id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let _server = Server::start_at(port, &[]).await;
    assert!(store.load(&id).await.unwrap().is_none());
    store.insert(&session(id, "alice", &details)).await.unwrap();
}

#[tokio::test]
async fn e07_a_replica_is_an_error_even_for_reading() {
    if !wanted() {
        return;
    }
    let master = Server::start(&[]).await;
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let details = SessionDetails::default();
    let id = new_id();
    store.insert(&session(id, "alice", &details)).await.unwrap();
    server
        .tell(&format!("REPLICAOF 127.0.0.1 {}", master.port))
        .await;
    let errors = [
        store.load(&id).await.unwrap_err(),
        store.subject_version("alice").await.unwrap_err(),
        store.list("alice", 9).await.unwrap_err(),
        store.revoke(&logout(id)).await.unwrap_err(),
        store
            .insert(&session(new_id(), "alice", &details))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
    assert!(RedisStore::connect(&server.url()).await.is_err());
    server.tell("REPLICAOF NO ONE").await;
    store
        .insert(&session(new_id(), "alice", &details))
        .await
        .unwrap();
}

#[tokio::test]
async fn e07_after_a_failover_the_new_master_is_found_through_sentinel() {
    if !wanted() {
        return;
    }
    let old = Server::start(&[]).await;
    let new = Server::start(&["--replicaof", &format!("127.0.0.1 {}", old.port)]).await;
    let sentinel = Server::sentinel(old.port).await;
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port);
    let store = RedisStore::connect(&url).await.unwrap();
    let details = SessionDetails::default();
    let id = new_id();
    store.insert(&session(id, "alice", &details)).await.unwrap();
    old.await_replica().await;
    // Sentinel searches for replicas every ten seconds, or on request.
    loop {
        let replicas: redis::Value = sentinel.ask(&words_of("SENTINEL REPLICAS main")).await;
        if matches!(replicas, redis::Value::Array(all) if !all.is_empty()) {
            break;
        }
        pause().await;
    }
    drop(old);
    let mut answered = false;
    for _ in 0..1500 {
        match store.advance(&step(id, "alice", 0, &details)).await {
            // `None` if an earlier attempt took effect although its reply was lost.
            Ok(_) => {
                answered = true;
                break;
            }
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    StoreErrorKind::Unavailable | StoreErrorKind::Timeout
                ),
                "{error:?}"
            ),
        }
        pause().await;
    }
    assert!(answered, "nobody became master");
    let loaded = store.load(&id).await.unwrap().unwrap();
    assert_eq!(loaded.record.generation.get(), 1);
    let role: redis::Value = new.ask(&words_of("ROLE")).await;
    assert!(format!("{role:?}").contains("master"), "{role:?}");
}

/// The cost of asynchronous replication: a replaced master acknowledges writes for a moment, and
/// those writes are lost.
#[tokio::test]
async fn e13_a_failover_loses_acknowledged_writes_and_clients_get_on_all_the_same() {
    if !wanted() {
        return;
    }
    let old = Server::start(&[]).await;
    let new = Server::start(&["--replicaof", &format!("127.0.0.1 {}", old.port)]).await;
    let store = RedisStore::connect(&old.url()).await.unwrap();
    let details = SessionDetails::default();
    let (moving, ended) = (new_id(), new_id());
    for id in [moving, ended] {
        store.insert(&session(id, "alice", &details)).await.unwrap();
    }
    old.await_replica().await;
    new.tell("REPLICAOF NO ONE").await;
    let moved = store.advance(&step(moving, "alice", 0, &details)).await;
    assert!(moved.unwrap().is_some(), "acknowledged");
    let logout = RevokeSession {
        id: ended,
        reason: RevokeReason::Logout,
        mark: MARK,
        listing: LISTING,
    };
    let revoked = store.revoke(&logout).await.unwrap();
    assert!(revoked.is_some(), "acknowledged");
    drop(old);
    let store = RedisStore::connect(&new.url()).await.unwrap();
    let loaded = store.load(&moving).await.unwrap().unwrap();
    assert_eq!(loaded.record.generation.get(), 0, "the rotation is lost");
    let held = Generation::new(1);
    let decision = decide(Some(&loaded), held, &SessionPolicy::default());
    let Decision::Grant(grant) = decision else {
        panic!("{decision:?}");
    };
    assert_eq!(grant.kind, GrantKind::Resumed);
    let loaded = store.load(&ended).await.unwrap().unwrap();
    assert!(
        loaded.record.revoked.is_none(),
        "the logout is lost: use Postgres if that matters"
    );
}

#[tokio::test]
async fn e11_a_server_that_stands_still_costs_no_more_than_the_bound() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let bound = Duration::from_millis(300);
    let options = StoreOptions::new().with_timeout(bound);
    let store = RedisStore::connect_with(&server.url(), options)
        .await
        .unwrap();
    let details = SessionDetails::default();
    let id = new_id();
    store.insert(&session(id, "alice", &details)).await.unwrap();
    server.signal("STOP");
    let begin = tokio::time::Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        calls.spawn(async move { store.load(&id).await });
    }
    while let Some(call) = calls.join_next().await {
        let error = call.unwrap().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Timeout);
    }
    // A call after the connection was dropped must not wait longer either.
    let error = store.load(&id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Timeout);
    let took = begin.elapsed();
    // Far less than the sum of the calls, with a margin for a busy machine.
    assert!(took < bound * 10, "{took:?}");
    server.signal("CONT");
    assert!(store.load(&id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_full_server_refuses_logins_and_keeps_sessions() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let details = SessionDetails::default();
    let id = new_id();
    store.insert(&session(id, "alice", &details)).await.unwrap();
    server.tell("CONFIG SET maxmemory 1").await;
    let error = store.insert(&session(new_id(), "alice", &details)).await;
    assert_eq!(error.unwrap_err().kind(), StoreErrorKind::Full);
    server.tell("CONFIG SET maxmemory 0").await;
    let made = store.insert(&session(new_id(), "alice", &details)).await;
    assert!(matches!(made.unwrap(), InsertOutcome::Done { .. }));
    assert!(store.load(&id).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_no_server_is_an_error_that_quotes_nothing() {
    let closed = format!("redis://u:marked@127.0.0.1:{}", free_port());
    for url in [
        "marked",
        "http://marked",
        "redis+sentinel://marked",
        "redis+cluster://marked",
        &closed,
    ] {
        let error = RedisStore::connect(url).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("marked"));
    }
}

#[tokio::test]
async fn h10_a_revocation_whose_answer_was_lost_is_known_by_its_mark() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let proxy = Proxy::start(server.port).await;
    let store = RedisStore::connect(&format!("redis://127.0.0.1:{}", proxy.port))
        .await
        .unwrap();
    let details = SessionDetails::default();
    let mut listed = 0;
    for plan in [None, Some(b"logout")] {
        let id = new_id();
        store.insert(&session(id, "alice", &details)).await.unwrap();
        if let Some(bytes) = plan {
            proxy.lose_answer(bytes);
        }
        let revoked = store.revoke(&logout(id)).await.unwrap().unwrap();
        assert!(proxy.has_happened());
        assert_eq!(revoked.mark, Some(MARK));
        listed += 1;
        let feed = store.snapshot().await.unwrap();
        assert_eq!(feed.revocations.len(), listed, "once");
    }
}
