//! SQLite: the disk is full, and many write at once from two processes.

use std::time::{Duration, Instant};

use super::Outcome;
use super::app::Setup;
use super::load::{Crowd, Load};
use super::node::{Node, Program};
use super::random::Random;
use super::report::Report;

/// The log of a database is longer than this after a few writes.
const FULL_KIB: u64 = 64;

/// Lets the disk of both processes fill up and empty again for this long. A file that may not
/// grow any more is to SQLite what a full disk is.
///
/// # Errors
/// If a process does not start.
pub async fn full(program: &Program, store: &str, time: Duration) -> Outcome<Report> {
    let roomy = 1 << 20;
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let setup = Setup::brisk(store);
        nodes.push(Node::start_with_small_disk(program, setup, roomy).await?);
    }
    let load = Load::start(nodes.iter().map(Node::address).collect(), Crowd::usual());
    let (began, mut random) = (Instant::now(), Random::new(13));
    let mut faults = 0;
    while began.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(100 + random.below(200))).await;
        for node in &mut nodes {
            node.resize_disk(Some(FULL_KIB))?;
        }
        faults += 1;
        tokio::time::sleep(Duration::from_millis(20 + random.below(300))).await;
        // However slow the machine is: until somebody has noticed.
        load.first_failure().await;
        for node in &mut nodes {
            node.resize_disk(None)?;
        }
        if load.first_success().await.is_none() {
            return Err("nothing works again after there is room".into());
        }
    }
    let mut report = load.finish("").await;
    report.faults = faults;
    if report.transient == 0 {
        report.wrong(|| "the disk was never full".to_owned());
    }
    Ok(report)
}

/// Fifty people who do nothing but write, at two processes: nobody hears of a lock.
///
/// # Errors
/// If a process does not start.
pub async fn fifty_writers(program: &Program, store: &str, time: Duration) -> Outcome<Report> {
    let nodes = [
        Node::start(program, Setup::on(store)).await?,
        Node::start(program, Setup::on(store)).await?,
    ];
    let crowd = Crowd {
        quick: 50,
        steady: 0,
        rest: Duration::from_millis(1),
        min_rotation_interval: Duration::from_secs(120),
    };
    let load = Load::start(nodes.iter().map(Node::address).collect(), crowd);
    tokio::time::sleep(time).await;
    let mut report = load.finish("").await;
    if report.transient > 0 {
        let heard = report.transient;
        report.wrong(|| format!("{heard} requests were not answered, or with 503"));
    }
    Ok(report)
}
