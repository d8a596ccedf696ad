//! What was acknowledged, what was measured, what was wrong.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::client::Client;
use super::load::Bystander;
use super::machine::{Chance, Cluster, Node};

/// Requests at a time of a check.
const CHECKERS: usize = 4;
/// Violations that are kept in words.
const KEPT: usize = 20;

/// A token that no node may accept any more.
#[derive(Clone)]
pub(super) struct Revoked {
    pub(super) access: Arc<str>,
    /// The wall clock in milliseconds when the answer was there.
    pub(super) acknowledged_at: i64,
    pub(super) how: &'static str,
}

#[derive(Default)]
pub(super) struct Book {
    revoked: Mutex<Vec<Revoked>>,
    /// Acknowledged logout to the end of the first refused request, on the slowest of the nodes
    /// that were measured.
    pub(super) latencies: Mutex<Vec<Duration>>,
    pub(super) catch_ups: Mutex<Vec<Duration>>,
    pub(super) verified: AtomicU64,
    pub(super) checks: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) violations: AtomicU64,
    pub(super) unacknowledged: AtomicU64,
    pub(super) words: Mutex<Vec<String>>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Book {
    pub(super) fn acknowledged(&self, revoked: Revoked) {
        locked(&self.revoked).push(revoked);
    }

    pub(super) fn revoked(&self) -> Vec<Revoked> {
        locked(&self.revoked).clone()
    }

    /// Something other than an accepted token was wrong.
    pub(super) fn violation(&self, words: String) {
        count(&self.violations);
        self.note(words);
    }

    /// A revoked token was accepted.
    pub(super) fn miss(&self, words: String) {
        count(&self.misses);
        self.note(words);
    }

    fn note(&self, words: String) {
        let mut kept = locked(&self.words);
        if kept.len() < KEPT {
            kept.push(words);
        }
    }

    /// All that was acknowledged from `from` to `to`, and some of what was before.
    pub(super) fn sample(&self, from: i64, to: i64, chance: &mut Chance) -> Vec<Revoked> {
        let revoked = locked(&self.revoked);
        let of_old = |chance: &mut Chance| chance.below(revoked.len() as u64) < 300;
        revoked
            .iter()
            .filter(|one| one.acknowledged_at <= to)
            .filter(|one| one.acknowledged_at >= from || of_old(chance))
            .cloned()
            .collect()
    }

    /// Every one of them must be refused by a node to which nothing is done meanwhile.
    pub(super) async fn check(&self, node: &Node, revoked: &[Revoked], when: &str) {
        let next = AtomicUsize::new(0);
        let checker = || async {
            let mut client = Client::new();
            while let Some(one) = revoked.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.check_one(&mut client, node, one, when).await;
            }
        };
        let mut all = Vec::new();
        all.resize_with(CHECKERS, checker);
        futures_util::future::join_all(all).await;
    }

    async fn check_one(&self, client: &mut Client, node: &Node, one: &Revoked, when: &str) {
        count(&self.checks);
        let (name, how) = (node.name, one.how);
        let Some(address) = node.address() else {
            return self.violation(format!("{name} is gone, {when}"));
        };
        match client.get(address, "/me", &one.access).await {
            Ok(reply) if reply.status == 401 => {}
            Ok(reply) if reply.status == 200 => {
                self.miss(format!("{name} accepted a token after {how}, {when}"));
            }
            Ok(reply) => self.violation(format!("{name}: {} {when}", reply.status)),
            Err(_) => self.violation(format!("{name} did not answer, {when}")),
        }
    }

    /// The end: everything that was ever revoked is refused by all, and nobody else is.
    pub(super) async fn check_all(&self, cluster: &Cluster, bystanders: &[Bystander]) {
        let revoked = self.revoked();
        for node in &cluster.nodes {
            self.check(node, &revoked, "at the end").await;
            let mut client = Client::new();
            for bystander in bystanders {
                let Some(address) = node.address() else {
                    continue;
                };
                let reply = client.get(address, "/me", &bystander.access).await;
                if !reply.is_ok_and(|reply| reply.status == 200) {
                    self.violation(format!("{} refused a good token at the end", node.name));
                }
            }
        }
    }
}
