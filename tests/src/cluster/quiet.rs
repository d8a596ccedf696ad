//! What a verified request costs the network: nothing.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Failure;
use super::book::Book;
use super::client::Client;
use super::load::Bystander;
use super::machine::Cluster;

const EACH: Duration = Duration::from_secs(2);
/// Followers wait about a second, so equal spans may differ by a few polls.
const SPARE: u64 = 30;
/// What all followers together may send in that time: they wait for news, and look about once a
/// second if there are none.
const FOLLOWING: u64 = 100;

/// What was counted while nobody signed in or out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quiet {
    pub(super) requests: u64,
    /// Calls for sessions during them.
    pub(super) session_calls: u64,
    /// Messages from the nodes to the store during them.
    pub(super) sent: u64,
    /// The same in as much time without requests.
    pub(super) sent_idle: u64,
}

pub(super) async fn measure(
    cluster: &Cluster,
    bystanders: &[Bystander],
    book: &Book,
) -> Result<Quiet, Failure> {
    let (calls_before, sent_before) = totals(cluster).await;
    tokio::time::sleep(EACH).await;
    let (_, sent_between) = totals(cluster).await;
    let requests = ask_for(cluster, bystanders).await;
    let (calls_after, sent_after) = totals(cluster).await;
    let quiet = Quiet {
        requests,
        session_calls: calls_after - calls_before,
        sent: sent_after - sent_between,
        sent_idle: sent_between - sent_before,
    };
    if quiet.session_calls != 0 || quiet.sent > quiet.sent_idle * 2 + SPARE {
        book.violation(format!("requests reached the store: {quiet:?}"));
    }
    if quiet.sent_idle > FOLLOWING {
        book.violation(format!("followers ask without end: {quiet:?}"));
    }
    Ok(quiet)
}

async fn totals(cluster: &Cluster) -> (u64, u64) {
    let (mut calls, mut sent) = (0, 0);
    for node in &cluster.nodes {
        calls += node.status().await.map_or(0, |status| status.session_calls);
        sent += node.proxy.sent();
    }
    (calls, sent)
}

async fn ask_for(cluster: &Cluster, bystanders: &[Bystander]) -> u64 {
    let mut tasks = JoinSet::new();
    let deadline = Instant::now() + EACH;
    for node in &cluster.nodes {
        let Some(address) = node.address() else {
            continue;
        };
        let tokens: Vec<_> = bystanders
            .iter()
            .map(|bystander| bystander.access.clone())
            .collect();
        tasks.spawn(async move {
            let mut client = Client::new();
            let mut served = 0;
            for token in tokens.iter().cycle() {
                if Instant::now() >= deadline {
                    break;
                }
                let reply = client.get(address, "/me", token).await;
                served += u64::from(reply.is_ok_and(|reply| reply.status == 200));
            }
            served
        });
    }
    tasks.join_all().await.into_iter().sum()
}
