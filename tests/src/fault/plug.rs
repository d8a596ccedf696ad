//! The store's server is stopped, frozen, killed and started again, while people are busy.

use std::time::{Duration, Instant};

use super::Outcome;
use super::app::Setup;
use super::load::{Crowd, Load};
use super::node::{Node, Program};
use super::random::Random;
use super::report::Report;
use super::servers::{Postgres, Redis, Server};

/// A server that can be hurt in a way of its own.
pub trait Fragile: Server {
    /// Does that.
    ///
    /// # Errors
    /// If it cannot be done.
    fn hurt(&mut self) -> Outcome<()>;
}

impl Fragile for Postgres {
    fn hurt(&mut self) -> Outcome<()> {
        self.kill_one_backend()
    }
}

impl Fragile for Redis {
    /// Forgets its scripts, as after a failover.
    fn hurt(&mut self) -> Outcome<()> {
        let port = self.port().to_string();
        std::process::Command::new("redis-cli")
            .args(["-p", &port, "script", "flush", "sync"])
            .output()?;
        Ok(())
    }
}

/// Pulls plugs for this long.
///
/// # Errors
/// If the server does not come up again.
pub async fn pull(program: &Program, server: &mut dyn Fragile, time: Duration) -> Outcome<Report> {
    let url = server.url();
    let nodes = [
        Node::start(program, Setup::brisk(&url)).await?,
        Node::start(program, Setup::brisk(&url)).await?,
    ];
    let load = Load::start(nodes.iter().map(Node::address).collect(), Crowd::usual());
    let (began, mut random) = (Instant::now(), Random::new(11));
    let mut counts = [0_u64; 5];
    let mut recovery = Vec::new();
    while began.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(300 + random.below(700))).await;
        let dice = random.below(10);
        let which = match dice {
            0..2 => {
                // Less than a request's life, then more.
                server.freeze()?;
                tokio::time::sleep(Duration::from_millis(100 + random.below(400))).await;
                server.thaw()?;
                0
            }
            2..4 => {
                server.freeze()?;
                tokio::time::sleep(Duration::from_millis(1200 + random.below(1500))).await;
                server.thaw()?;
                1
            }
            4..6 => {
                server.kill()?;
                tokio::time::sleep(Duration::from_millis(random.below(500))).await;
                server.start()?;
                2
            }
            6..7 => {
                server.stop()?;
                tokio::time::sleep(Duration::from_millis(random.below(500))).await;
                server.start()?;
                3
            }
            _ => {
                server.hurt()?;
                4
            }
        };
        counts[which] += 1;
        let Some(time) = load.first_success().await else {
            return Err("nothing works again after the store does".into());
        };
        recovery.push(time);
    }
    let mut report = load.finish("").await;
    report.faults = counts.iter().sum();
    let [short, long, killed, stopped, hurt] = counts;
    report.note(format!(
        "frozen {short} short, {long} long; killed {killed}; stopped {stopped}; backend killed or scripts forgotten {hurt}"
    ));
    recovery.sort();
    if let (Some(median), Some(most)) = (recovery.get(recovery.len() / 2), recovery.last()) {
        report.note(format!(
            "first success after a fault: median {} ms, at most {} ms",
            median.as_millis(),
            most.as_millis()
        ));
    }
    Ok(report)
}
