//! The errors of opening: the remedy and the server's message.

use auth_core::store::StoreErrorKind;
use auth_store::RedisStore;

#[cfg(feature = "redis-cluster")]
use super::servers::{Cluster, can_start};
use super::servers::{Server, free_port, wanted};

/// The text of a failed opening. No text contains the password.
async fn refusal(url: &str) -> String {
    let error = RedisStore::connect(url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let texts = format!("{error} {error:?}");
    assert!(!texts.contains("never-shown"), "{texts}");
    error.to_string()
}

#[track_caller]
fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn j03_an_opening_of_redis_says_what_is_wrong_and_what_the_server_said() {
    if !wanted() {
        return;
    }
    let server = Server::start(&[]).await;
    let address = format!("127.0.0.1:{}", server.port);
    server
        .tell("ACL SETUSER app on >never-shown ~auth:* +ping")
        .await;
    let text = refusal(&format!("redis://app:never-shown@{address}")).await;
    assert_says(&text, &["lacks rights", "evalsha"]);
    let text = refusal(&format!("redis://other:never-shown@{address}")).await;
    assert_says(
        &text,
        &[
            "refuses the user name or the password",
            "authentication failed",
        ],
    );

    let master = free_port();
    server.tell(&format!("REPLICAOF 127.0.0.1 {master}")).await;
    let text = refusal(&server.url()).await;
    assert_says(&text, &["is read-only", "ReadOnly"]);

    server.tell("CONFIG SET requirepass another").await;
    let text = refusal(&server.url()).await;
    assert_says(&text, &["the URL lacks", "NOAUTH"]);

    let text = refusal(&format!("redis://app:never-shown@127.0.0.1:{master}")).await;
    assert_says(&text, &["connection to Redis failed", "refused"]);
}

#[tokio::test]
async fn j03_an_opening_through_sentinel_says_that_the_master_is_unknown() {
    if !wanted() {
        return;
    }
    let master = Server::start(&[]).await;
    let sentinel = Server::sentinel(master.port).await;
    let url = format!("redis+sentinel://127.0.0.1:{}/other", sentinel.port);
    assert_says(&refusal(&url).await, &["Sentinel knows no such master"]);
}

#[tokio::test]
async fn j03_a_url_that_cannot_be_read_is_explained_and_not_shown() {
    for url in [
        "never-shown",
        "http://never-shown",
        "redis://app:never/shown@db",
        "redis+sentinel://never-shown",
    ] {
        let text = refusal(url).await;
        assert_says(&text, &["URL cannot be read", "percent-encoded"]);
        assert!(!text.contains("never"), "{text}");
    }
}

#[cfg(feature = "redis-cluster")]
#[tokio::test]
async fn j03_an_opening_of_one_node_of_a_cluster_names_the_other_url() {
    if !can_start() {
        return;
    }
    let cluster = Cluster::start().await;
    let mut texts = Vec::new();
    for node in &cluster.nodes()[..3] {
        if let Err(error) = RedisStore::connect(&node.url()).await {
            texts.push(error.to_string());
        }
    }
    // One of them happens to have the key that is asked for.
    assert_eq!(texts.len(), 2);
    for text in texts {
        assert_says(&text, &["redis+cluster://", "Moved"]);
    }
}
