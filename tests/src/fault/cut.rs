//! Connections to the store are cut: before it hears what it is asked, and after it has done it.

use std::time::{Duration, Instant};

use super::Outcome;
use super::app::Setup;
use super::load::{Crowd, Load};
use super::node::{Node, Program};
use super::proxy::Proxy;
use super::random::Random;
use super::report::Report;

/// Cuts for this long. `url` is the store's, `port` the one in it.
///
/// # Errors
/// If a process does not start.
pub async fn connections(
    program: &Program,
    url: &str,
    port: u16,
    time: Duration,
) -> Outcome<Report> {
    let proxy = Proxy::start(port).await?;
    let via = url.replace(&format!(":{port}"), &format!(":{}", proxy.address().port()));
    let nodes = [
        Node::start(program, Setup::brisk(&via)).await?,
        Node::start(program, Setup::brisk(&via)).await?,
    ];
    let base = proxy.open();
    let load = Load::start(nodes.iter().map(Node::address).collect(), Crowd::usual());
    let (began, mut random) = (Instant::now(), Random::new(5));
    while began.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(1 + random.below(25))).await;
        if random.percent(50) {
            proxy.cut_before();
        } else {
            proxy.cut_after();
        }
    }
    proxy.disarm();
    let mut report = load.finish("").await;
    let (before, after) = proxy.cuts();
    report.faults = before + after;
    report.note(format!(
        "cut before the store heard of it {before}, after it had answered {after}; \
         connections open: {base} before, {} after",
        proxy.open()
    ));
    // Two processes, with at most eight connections each and one to listen on.
    if proxy.open() > 18 {
        report.wrong(|| "connections were leaked".to_owned());
    }
    Ok(report)
}
