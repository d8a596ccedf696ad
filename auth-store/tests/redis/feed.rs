//! The feed: no entry is missed after faults of the server or the connection.

use std::time::Duration;

use auth_core::revocation::Revocation;
use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::{FeedError, RefreshStore, RevocationFeed, SessionDetails};
use auth_store::{RedisStore, StoreOptions};

use super::servers::{Server, free_port, wanted, words_of};
use super::{HOUR, end_all, logout, new_id, session};

fn sessions(revocations: &[Revocation]) -> Vec<SessionId> {
    revocations
        .iter()
        .filter_map(|revocation| match revocation {
            Revocation::Session { id, .. } => Some(*id),
            Revocation::Subject { .. } => None,
        })
        .collect()
}

async fn revoke_new(store: &RedisStore, details: &SessionDetails) -> SessionId {
    let id = new_id();
    store.insert(&session(id, "alice", details)).await.unwrap();
    store.revoke(&logout(id)).await.unwrap().unwrap();
    id
}

#[tokio::test]
async fn every_kind_of_end_is_told_to_other_nodes() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let [store, other] = [
        RedisStore::connect(&server.url()).await.unwrap(),
        RedisStore::connect(&server.url()).await.unwrap(),
    ];
    let details = SessionDetails::default();
    let begin = other.snapshot().await.unwrap();
    assert!(begin.revocations.is_empty());
    let nothing = other.follow(&begin.cursor, Duration::ZERO).await.unwrap();
    assert!(nothing.revocations.is_empty());

    let revoked = revoke_new(&store, &details).await;
    // A repeated revocation adds no entry.
    store.revoke(&logout(revoked)).await.unwrap().unwrap();
    let [old, new] = [new_id(), new_id()];
    store
        .insert(&session(old, "alice", &details))
        .await
        .unwrap();
    let mut replacing = session(new, "alice", &details);
    (replacing.replaces, replacing.limit) = (Some(old), std::num::NonZeroU32::new(1));
    store.insert(&replacing).await.unwrap();
    let newest = new_id();
    let mut limited = session(newest, "alice", &details);
    limited.limit = std::num::NonZeroU32::new(1);
    store.insert(&limited).await.unwrap();
    store.end_all(&end_all("alice", None)).await.unwrap();
    let own = Revocation::Session {
        id: new_id(),
        until: store
            .load(&old)
            .await
            .unwrap()
            .unwrap()
            .now
            .saturating_add(HOUR),
    };
    store.append(&own).await.unwrap();

    let batch = other.follow(&nothing.cursor, HOUR).await.unwrap();
    let Revocation::Session { id: own, .. } = own else {
        unreachable!()
    };
    assert_eq!(sessions(&batch.revocations), [revoked, old, new, own]);
    let ends: Vec<_> = batch
        .revocations
        .iter()
        .filter_map(|revocation| match revocation {
            Revocation::Subject {
                subject,
                lowest_subject_version,
                ..
            } => Some((&**subject, *lowest_subject_version)),
            Revocation::Session { .. } => None,
        })
        .collect();
    assert_eq!(ends, [("alice", 1)]);
    // A node that starts now reads the same entries.
    let late = store.snapshot().await.unwrap();
    assert_eq!(late.revocations, batch.revocations);
    let reason = store.load(&new).await.unwrap().unwrap().record.revoked;
    assert_eq!(reason.unwrap().reason, RevokeReason::Limit);
}

#[tokio::test]
async fn a_follower_that_waits_hears_at_once_and_holds_up_nobody() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let details = SessionDetails::default();
    let begin = store.snapshot().await.unwrap();
    // Several followers on one store: all but one poll instead of waiting.
    let mut followers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (store, cursor) = (store.clone(), begin.cursor.clone());
        followers.spawn(async move { store.follow(&cursor, HOUR).await });
    }
    tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let blocked: String = server.ask(&words_of("INFO clients")).await;
            if blocked.contains("blocked_clients:1") {
                break;
            }
        }
        let id = revoke_new(&store, &details).await;
        while let Some(batch) = followers.join_next().await {
            assert_eq!(sessions(&batch.unwrap().unwrap().revocations), [id]);
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn nothing_is_missed_over_cut_connections() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let node = RedisStore::connect(&server.url()).await.unwrap();
    let details = SessionDetails::default();
    let mut cursor = node.snapshot().await.unwrap().cursor;
    let follower = tokio::spawn(async move {
        let mut heard = Vec::new();
        while heard.len() < 100 {
            match node.follow(&cursor, Duration::from_millis(50)).await {
                Ok(batch) => {
                    heard.extend(sessions(&batch.revocations));
                    cursor = batch.cursor;
                }
                Err(FeedError::CursorLost) => panic!("the history is the same"),
                Err(_) => {}
            }
        }
        heard
    });
    let mut told = Vec::new();
    for round in 0..100 {
        let id = new_id();
        store.insert(&session(id, "alice", &details)).await.unwrap();
        if round % 5 == 0 {
            server.tell("CLIENT KILL TYPE normal SKIPME yes").await;
        }
        store.revoke(&logout(id)).await.unwrap().unwrap();
        told.push(id);
    }
    let heard = tokio::time::timeout(Duration::from_secs(30), follower);
    assert_eq!(heard.await.unwrap().unwrap(), told);
}

#[tokio::test]
async fn a_cursor_of_another_history_is_lost() {
    if !wanted() {
        return;
    }
    let port = free_port();
    let server = Server::start_at(port, &[]).await;
    let options = StoreOptions::new().with_timeout(Duration::from_secs(2));
    let store = RedisStore::connect_with(&server.url(), options)
        .await
        .unwrap();
    let details = SessionDetails::default();
    let lost = async |cursor| {
        let followed = store.follow(&cursor, Duration::ZERO).await;
        assert!(matches!(followed, Err(FeedError::CursorLost)));
    };
    // Emptied and filled again: the ids continue, and the entry in between is lost.
    let begin = store.snapshot().await.unwrap().cursor;
    revoke_new(&store, &details).await;
    server.tell("FLUSHALL").await;
    let id = revoke_new(&store, &details).await;
    lost(begin).await;
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(sessions(&snapshot.revocations), [id]);
    // Another master, which has not received all entries.
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {port}")]).await;
    server.await_replica().await;
    drop(server);
    replica.tell("REPLICAOF NO ONE").await;
    let failed_over = RedisStore::connect(&replica.url()).await.unwrap();
    let followed = failed_over.follow(&snapshot.cursor, Duration::ZERO).await;
    assert!(matches!(followed, Err(FeedError::CursorLost)));
    // The server restarts empty.
    let _server = Server::start_at(port, &[]).await;
    lost(snapshot.cursor).await;
    let words = "what somebody made up";
    lost(auth_core::store::Cursor::new(words)).await;
}

#[tokio::test]
async fn entries_go_when_nobody_needs_them_and_take_no_cursor_with_them() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let over = |id| Revocation::Session {
        id,
        until: auth_core::Timestamp::from_secs(1),
    };
    let length = async || -> u32 { server.ask(redis::cmd("XLEN").arg("auth:{feed}")).await };
    for _ in 0..100 {
        store.append(&over(new_id())).await.unwrap();
    }
    assert!(length().await < 5);
    store.purge(HOUR * 24, 100).await.unwrap();
    assert_eq!(length().await, 0);
    // An empty stream that had entries before is a valid position.
    let cursor = store.snapshot().await.unwrap().cursor;
    let batch = store.follow(&cursor, Duration::ZERO).await.unwrap();
    assert!(batch.revocations.is_empty());
    let details = SessionDetails::default();
    let id = revoke_new(&store, &details).await;
    let batch = store.follow(&batch.cursor, HOUR).await.unwrap();
    assert_eq!(sessions(&batch.revocations), [id]);
}

#[tokio::test]
async fn a_long_feed_is_read_whole() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let begin = store.snapshot().await.unwrap().cursor;
    let mut expected = Vec::new();
    for _ in 0..2500 {
        let id = new_id();
        let until = auth_core::Timestamp::from_secs(99_999_999_999);
        store
            .append(&Revocation::Session { id, until })
            .await
            .unwrap();
        expected.push(id);
    }
    let batch = store.follow(&begin, Duration::ZERO).await.unwrap();
    assert_eq!(sessions(&batch.revocations), expected);
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(sessions(&snapshot.revocations), expected);
    assert_eq!(snapshot.cursor, batch.cursor);
}
