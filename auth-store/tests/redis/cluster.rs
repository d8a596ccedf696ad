//! Operations of several writes in a cluster.

use std::num::NonZeroU32;
use std::time::Duration;

use auth_core::revocation::Revocation;
use auth_core::session::RevokeReason;
use auth_core::store::{NewSession, RefreshStore, RevocationFeed, SessionDetails};
use auth_store::{RedisStore, StoreOptions};

use super::servers::{Cluster, Server, ask, can_start};
use super::{HOUR, end_all, logout, new_id, session, step};

/// The node that has a key.
async fn holder<'a>(cluster: &'a Cluster, key: &[u8]) -> &'a Server {
    &cluster.nodes()[cluster.master_of(key).await]
}

#[tokio::test]
async fn a_session_that_was_kept_survives_a_crash_before_its_row_is_moved() {
    if !can_start() {
        return;
    }
    let cluster = Cluster::start().await;
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let details = SessionDetails::default();
    let (kept, other) = (new_id(), new_id());
    for id in [kept, other] {
        store.insert(&session(id, "alice", &details)).await.unwrap();
    }
    let key = [b"auth:s:".as_slice(), kept.as_bytes()].concat();
    let node = holder(&cluster, &key).await;
    let before: Vec<u8> = node.ask(redis::cmd("GET").arg(&key)).await;
    let raised = store.end_all(&end_all("alice", Some(kept))).await.unwrap();
    assert_eq!(raised.unwrap().subject_version, 1);
    // Earlier versions read this form too.
    let noted: Vec<u8> = holder(&cluster, b"auth:k:{alice}")
        .await
        .ask(redis::cmd("GET").arg("auth:k:{alice}"))
        .await;
    assert_eq!(noted, kept.as_bytes());
    // The state after a crash of the caller right after the version was raised.
    node.ask::<()>(redis::cmd("SET").arg(&key).arg(&before))
        .await;
    assert_eq!(store.list("alice", 9).await.unwrap()[0].subject_version, 1);
    let loaded = store.load(&kept).await.unwrap().unwrap();
    assert!(
        loaded
            .record
            .is_live(loaded.current_subject_version, loaded.now)
    );
    let mut next = step(kept, "alice", 0, &details);
    next.subject_version = 1;
    assert!(store.advance(&next).await.unwrap().is_some());
    // A session that stayed once may end the next time.
    node.ask::<()>(redis::cmd("SET").arg(&key).arg(&before))
        .await;
    store.end_all(&end_all("alice", None)).await.unwrap();
    let loaded = store.load(&kept).await.unwrap().unwrap();
    assert!(
        !loaded
            .record
            .is_live(loaded.current_subject_version, loaded.now)
    );
}

#[tokio::test]
async fn a_login_that_died_half_way_takes_nobodys_place_for_long() {
    if !can_start() {
        return;
    }
    let cluster = Cluster::start().await;
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let details = SessionDetails::default();
    let limited = |id| NewSession {
        limit: NonZeroU32::new(2),
        ..session(id, "alice", &details)
    };
    let [old, condemned, ghost, fresh] = [new_id(), new_id(), new_id(), new_id()];
    store.insert(&limited(old)).await.unwrap();
    store.insert(&limited(condemned)).await.unwrap();
    let index = b"auth:l:{alice}";
    let node = holder(&cluster, index).await;
    // A login whose row was never created, and a session that it was to end.
    for (score, id) in [("-10000000000000001", ghost), ("-inf", condemned)] {
        let mut add = redis::cmd("ZADD");
        add.arg(index).arg(score).arg(id.as_bytes());
        node.ask::<()>(&add).await;
    }
    let made = store.insert(&limited(fresh)).await.unwrap();
    let auth_core::store::InsertOutcome::Done { evicted, .. } = made else {
        panic!("{made:?}")
    };
    assert_eq!(evicted, [condemned]);
    let ended = store.load(&condemned).await.unwrap().unwrap().record;
    assert_eq!(ended.revoked.unwrap().reason, RevokeReason::Limit);
    let members: u32 = node.ask(redis::cmd("ZCARD").arg(index)).await;
    assert_eq!(members, 2);
    assert_eq!(store.list("alice", 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn e07_the_feed_of_a_cluster_tells_every_node_of_ours() {
    if !can_start() {
        return;
    }
    let cluster = Cluster::start().await;
    // Each store knows another node of the cluster, and follows redirections to the others.
    let stores: Vec<_> = {
        let mut stores = Vec::new();
        for node in cluster.nodes() {
            let url = format!("redis+cluster://127.0.0.1:{}", node.port);
            stores.push(RedisStore::connect(&url).await.unwrap());
        }
        stores
    };
    let details = SessionDetails::default();
    let begin = stores[2].snapshot().await.unwrap();
    let follower = {
        let (store, cursor) = (stores[2].clone(), begin.cursor.clone());
        tokio::spawn(async move { store.follow(&cursor, HOUR).await })
    };
    let id = new_id();
    stores[0]
        .insert(&session(id, "alice", &details))
        .await
        .unwrap();
    for node in cluster.nodes() {
        ask::<()>(&node.url(), &super::servers::words_of("SCRIPT FLUSH")).await;
    }
    stores[1].revoke(&logout(id)).await.unwrap().unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(20), follower);
    let batch = heard.await.unwrap().unwrap().unwrap();
    assert!(
        matches!(batch.revocations[..], [Revocation::Session { id: heard, .. }] if heard == id)
    );
}

#[tokio::test]
async fn an_epoch_is_raised_once_although_the_answer_was_lost() {
    if !can_start() {
        return;
    }
    let (cluster, proxies) = Cluster::behind_proxies().await;
    let node = &proxies[cluster.master_of(b"auth:e:{alice}").await];
    let url = format!("redis+cluster://127.0.0.1:{}", node.port);
    let store = RedisStore::connect(&url).await.unwrap();
    // From now on the server has the script.
    store.end_all(&end_all("alice", None)).await.unwrap();
    node.lose_answer(b"auth:r:{alice}");
    let raised = store.end_all(&end_all("alice", None)).await.unwrap();
    assert!(node.has_happened());
    assert_eq!(raised.unwrap().subject_version, 2);
    assert_eq!(store.subject_version("alice").await.unwrap(), 2);
}

#[tokio::test]
async fn h07_a_lifetime_that_is_raised_before_the_row_is_marked_counts() {
    if !can_start() {
        return;
    }
    let (cluster, proxies) = Cluster::behind_proxies().await;
    let url = format!("redis+cluster://127.0.0.1:{}", proxies[0].port);
    let options = StoreOptions::new().with_timeout(HOUR);
    let store = RedisStore::connect_with(&url, options).await.unwrap();
    let starting = RedisStore::connect(&url).await.unwrap();
    let details = SessionDetails::default();
    let id = new_id();
    store.insert(&session(id, "alice", &details)).await.unwrap();
    let now = store.load(&id).await.unwrap().unwrap().now;
    let key = [b"auth:s:".as_slice(), id.as_bytes()].concat();
    let node = &proxies[cluster.master_of(&key).await];
    node.hold(b"logout");
    let revoking = {
        let store = store.clone();
        tokio::spawn(async move { store.revoke(&logout(id)).await })
    };
    // The entry exists and the row is unchanged: a token with a longer lifetime may be issued now.
    node.holds().await;
    let feed = starting.snapshot().await.unwrap();
    assert_eq!(feed.revocations.len(), 1);
    let longer = HOUR * 9;
    starting
        .raise_access_lifetime("issuer", longer)
        .await
        .unwrap();
    node.let_go();
    let revoked = revoking.await.unwrap().unwrap().unwrap();
    let until = now.saturating_add(longer);
    assert!(revoked.listed_until >= until);
    let feed = store.snapshot().await.unwrap();
    assert!(feed.revocations.iter().any(|entry| entry.until() >= until));
}
