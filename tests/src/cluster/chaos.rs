//! What is done to the nodes and to the store, one thing at a time, and what is looked at
//! afterwards.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::book::{Book, locked};
use super::client::Client;
use super::load::Bystander;
use super::machine::{BOUND, Chance, Cluster, Node};
use super::proxy::Weather;
use super::{Failure, Plan, now_ms};

/// What was measured just before a fault is looked at again after it.
const OVERLAP_MS: i64 = 6_000;
/// Clocks are read one after the other.
const MARGIN_MS: i64 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// SIGKILL, and started again.
    Kill,
    /// The connections to the store break, shortly.
    Cut,
    /// Nothing passes between node and store, shortly.
    Stall,
    /// Cut off for longer than the bound.
    Long,
    /// The store itself dies and comes back.
    StoreRestart,
    /// SIGKILL, and started again while the store cannot be reached.
    BlindStart,
}

impl Fault {
    pub(super) const ALL: [Self; 6] = [
        Self::Kill,
        Self::Cut,
        Self::Stall,
        Self::StoreRestart,
        Self::BlindStart,
        Self::Long,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "node killed",
            Self::Cut => "node cut off",
            Self::Stall => "node's network stalled",
            Self::Long => "node cut off beyond its bound",
            Self::StoreRestart => "store killed",
            Self::BlindStart => "node killed and started without its store",
        }
    }

    /// Each kind once first, then by chance; what takes long less often.
    fn nth(turn: usize, chance: &mut Chance) -> Self {
        if let Some(fault) = Self::ALL.get(turn) {
            return *fault;
        }
        match chance.below(20) {
            0..8 => Self::Kill,
            8..13 => Self::Cut,
            13..16 => Self::Stall,
            16..18 => Self::StoreRestart,
            18 => Self::BlindStart,
            _ => Self::Long,
        }
    }
}

struct Chaos<'a> {
    cluster: &'a Cluster,
    book: &'a Book,
    bystanders: &'a [Bystander],
    chance: Chance,
}

/// Does harm until the time is over; answers what was done. Each kind is done at least once.
pub(super) async fn run(
    cluster: &Arc<Cluster>,
    book: &Arc<Book>,
    bystanders: &Arc<Vec<Bystander>>,
    plan: Plan,
) -> Result<Vec<Fault>, Failure> {
    let mut chaos = Chaos {
        cluster,
        book,
        bystanders,
        chance: Chance::new(plan.seed),
    };
    let mut done = Vec::new();
    let deadline = Instant::now() + plan.faults_for;
    while done.len() < Fault::ALL.len() || Instant::now() < deadline {
        tokio::time::sleep(chaos.chance.millis(200, 1_000)).await;
        let fault = Fault::nth(done.len(), &mut chaos.chance);
        chaos.one(fault).await?;
        done.push(fault);
    }
    Ok(done)
}

/// Waits until all nodes know everything up to now.
pub(super) async fn min_rotation_interval(cluster: &Cluster, book: &Book) -> Result<(), Failure> {
    let now = now_ms();
    for node in &cluster.nodes {
        node.caught_up(now + MARGIN_MS).await?;
        if node.stamp().is_none() {
            book.violation(format!("{} was left broken", node.name));
        }
    }
    Ok(())
}

impl Chaos<'_> {
    async fn one(&mut self, fault: Fault) -> Result<(), Failure> {
        let began = now_ms();
        let harmed: Vec<Arc<Node>> = match fault {
            Fault::StoreRestart => self.cluster.nodes.to_vec(),
            _ => vec![Arc::clone(self.cluster.pick(&mut self.chance))],
        };
        for node in &harmed {
            node.harm();
        }
        if let [node, ..] = harmed.as_slice() {
            match fault {
                Fault::Kill => self.kill(node).await?,
                Fault::Cut => self.weather(node, Weather::Cut).await,
                Fault::Stall => self.weather(node, Weather::Stalled).await,
                Fault::Long => self.long(node).await,
                Fault::StoreRestart => self.restart_store().await?,
                Fault::BlindStart => self.blind_start(node).await?,
            }
        }
        self.heal(&harmed, began, fault).await
    }

    /// Rule 2 of the cluster's.
    async fn heal(
        &mut self,
        harmed: &[Arc<Node>],
        began: i64,
        fault: Fault,
    ) -> Result<(), Failure> {
        let healed = Instant::now();
        let all_until = now_ms();
        let sample = self
            .book
            .sample(began - OVERLAP_MS, all_until, &mut self.chance);
        for node in harmed {
            node.caught_up(all_until + MARGIN_MS).await?;
            locked(&self.book.catch_ups).push(healed.elapsed());
            let when = format!("after {}", fault.name());
            self.book.check(node, &sample, &when).await;
            node.mend();
        }
        Ok(())
    }

    async fn kill(&mut self, node: &Node) -> Result<(), Failure> {
        node.kill().await?;
        tokio::time::sleep(self.chance.millis(0, 300)).await;
        node.set_fails_closed(self.chance.below(2) == 0);
        let all_until = now_ms();
        let sample = self.book.sample(i64::MAX, all_until, &mut self.chance);
        node.launch().await?;
        // What was revoked before it started, it refuses from its first request on.
        self.book
            .check(node, &sample, "right after its start")
            .await;
        Ok(())
    }

    async fn weather(&mut self, node: &Node, weather: Weather) {
        node.proxy.set(weather);
        tokio::time::sleep(self.chance.millis(300, 2_000)).await;
        node.proxy.set(Weather::Fair);
    }

    async fn restart_store(&mut self) -> Result<(), Failure> {
        let mut store = self.cluster.store.lock().await;
        store.kill().await?;
        tokio::time::sleep(self.chance.millis(100, 1_000)).await;
        store.restart().await
    }

    /// Before the bound it serves by what it knows; beyond, as its policy says.
    async fn long(&mut self, node: &Node) {
        node.proxy.set(Weather::Cut);
        let cut = Instant::now();
        let mut client = Client::new();
        self.expect(&mut client, node, 200, "cut off a moment ago")
            .await;
        // It was complete at most a poll before the cut.
        tokio::time::sleep_until(cut + BOUND + Duration::from_millis(300)).await;
        self.expect_policy(&mut client, node, "cut off beyond its bound")
            .await;
        node.proxy.set(Weather::Fair);
    }

    async fn blind_start(&mut self, node: &Node) -> Result<(), Failure> {
        node.kill().await?;
        node.proxy.set(Weather::Cut);
        node.set_fails_closed(self.chance.below(2) == 0);
        node.log_text();
        node.launch().await?;
        let mut client = Client::new();
        self.expect_policy(&mut client, node, "started without its store")
            .await;
        let log = node.log_text();
        if !log.contains("the revocation feed is not available") {
            self.book
                .violation(format!("{} did not say that it starts blind", node.name));
        }
        node.proxy.set(Weather::Fair);
        Ok(())
    }

    async fn expect_policy(&self, client: &mut Client, node: &Node, when: &str) {
        let expected = if node.fails_closed() { 503 } else { 200 };
        self.expect(client, node, expected, when).await;
        if !node.fails_closed() {
            return;
        }
        // Least of all may it accept what was revoked.
        for one in self.book.revoked().iter().rev().take(20) {
            let Some(address) = node.address() else {
                return;
            };
            let reply = client.get(address, "/me", &one.access).await;
            if reply.is_ok_and(|reply| reply.status == 200) {
                self.book
                    .miss(format!("{} accepted a revoked token, {when}", node.name));
            }
        }
    }

    /// What good tokens get.
    async fn expect(&self, client: &mut Client, node: &Node, expected: u16, when: &str) {
        for bystander in self.bystanders {
            let Some(address) = node.address() else {
                return;
            };
            let reply = client.get(address, "/me", &bystander.access).await;
            let status = reply.map(|reply| reply.status.as_u16());
            if status != Ok(expected) {
                let name = node.name;
                self.book.violation(format!(
                    "{name}, {when}: {status:?} instead of {expected} for a good token"
                ));
            }
        }
    }
}
