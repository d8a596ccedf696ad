//! The store stands still: what does not need it must not notice, what does must say so in time.

use std::time::{Duration, Instant};

use super::Outcome;
use super::app::Setup;
use super::client::Client;
use super::node::{Node, Program};
use super::report::Report;
use super::servers::Server;

const PATIENCE: Duration = Duration::from_secs(20);
/// Requests whose times are compared, at a time.
const SAMPLES: usize = 500;
/// How often.
const TURNS: usize = 6;
/// How long a call to the store may take, and so a request that waits for one takes.
const CALL: Duration = Duration::from_secs(2);

/// Freezes the server for so long, and compares access-only requests before and meanwhile.
///
/// Their times are told, not judged: what else the machine does is in them. That they do not ask the
/// store is counted.
///
/// # Errors
/// If a process does not start.
pub async fn access_only(
    program: &Program,
    server: &mut dyn Server,
    time: Duration,
) -> Outcome<Report> {
    let began = Instant::now();
    let mut report = Report::new("");
    let setup = Setup {
        timeout_ms: u64::try_from(CALL.as_millis())?,
        ..Setup::on(&server.url())
    };
    let node = Node::start(program, setup).await?;
    let mut client = Client::new(node.address(), PATIENCE);
    let login = client.login("ada").await?;
    let (access, token) = login.access.zip(login.refresh).ok_or("a login in vain")?;
    page(&mut client, &access, SAMPLES, &mut report).await?;
    let mut before: Option<Times> = None;
    let mut meanwhile: Option<Times> = None;
    // In turns, so that what else the machine does hits both; the quietest turn of each counts.
    for _ in 0..TURNS {
        let times = page(&mut client, &access, SAMPLES, &mut report).await?;
        before = Some(times.quieter(before));
        server.freeze()?;
        report.faults += 1;
        let calls = node.counts().await?.calls;
        let times = page(&mut client, &access, SAMPLES, &mut report).await?;
        meanwhile = Some(times.quieter(meanwhile));
        let calls = node.counts().await?.calls - calls;
        if calls != 0 {
            report.wrong(|| format!("{calls} store calls for access-only requests"));
        }
        server.thaw()?;
    }
    let (before, meanwhile) = before.zip(meanwhile).ok_or("nothing was asked for")?;
    server.freeze()?;
    let frozen = Instant::now();
    let mut slowest = Duration::ZERO;
    while frozen.elapsed() < time {
        let asked = Instant::now();
        let reply = Client::new(node.address(), PATIENCE).refresh(&token).await;
        slowest = slowest.max(asked.elapsed());
        report.requests += 1;
        report.transient += 1;
        let fair = reply.as_ref().is_ok_and(|reply| {
            reply.status == 503 && reply.retry_after && !reply.clears && reply.refresh.is_none()
        });
        if !fair {
            report.wrong(|| format!("a refresh while the store stands still: {reply:?}"));
        }
        page(&mut client, &access, 50, &mut report).await?;
    }
    // Two calls at most: one that times out, and one that was waited for on the same connection. The
    // rest is what a busy machine needs.
    if slowest > PATIENCE - CALL {
        report.wrong(|| format!("503 only after {} ms", slowest.as_millis()));
    }
    server.thaw()?;
    let reply = client.refresh(&token).await?;
    if reply.grant().is_none() {
        report.lost(|| format!("after the store went on: {}", reply.status));
    }
    let ratio = meanwhile.median.as_secs_f64() / before.median.as_secs_f64();
    report.note(format!(
        "frozen {:.1} s; access-only requests: {TURNS} x {SAMPLES} before, median {} us, p99 {} us; meanwhile median {} us, p99 {} us, \
         ratio {ratio:.2}; 0 store calls; refresh says 503 within {} ms (bound of a call: 2000 ms)",
        frozen.elapsed().as_secs_f64(),
        before.median.as_micros(),
        before.p99.as_micros(),
        meanwhile.median.as_micros(),
        meanwhile.p99.as_micros(),
        slowest.as_millis(),
    ));
    report.took = began.elapsed();
    Ok(report)
}

#[derive(Clone, Copy)]
struct Times {
    median: Duration,
    p99: Duration,
}

impl Times {
    fn quieter(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.median < self.median => other,
            _ => self,
        }
    }
}

async fn page(
    client: &mut Client,
    access: &str,
    times: usize,
    report: &mut Report,
) -> Outcome<Times> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let asked = Instant::now();
        let reply = client.me(access).await?;
        took.push(asked.elapsed());
        report.requests += 1;
        if reply.status != 200 {
            report.wrong(|| format!("a valid access token: {}", reply.status));
        }
    }
    took.sort();
    let at = |part: usize| took.get(took.len() * part / 100).copied();
    let (median, p99) = at(50).zip(at(99)).ok_or("nothing was asked for")?;
    Ok(Times { median, p99 })
}

/// The server is not there at all: 503 and Retry-After for whatever needs it, nothing is made up,
/// and whoever was signed in still is when it is back.
///
/// # Errors
/// If a process does not start.
pub async fn store_down(program: &Program, server: &mut dyn Server) -> Outcome<Report> {
    let began = Instant::now();
    let mut report = Report::new("");
    let node = Node::start(program, Setup::brisk(&server.url())).await?;
    let mut client = Client::new(node.address(), PATIENCE);
    let login = client.login("ada").await?;
    let (access, token) = login.access.zip(login.refresh).ok_or("a login in vain")?;
    server.stop()?;
    report.faults = 1;
    for _ in 0..5 {
        for (what, reply) in [
            ("refresh", client.refresh(&token).await?),
            ("login", client.login("bob").await?),
            ("logout", client.logout(&token).await?),
        ] {
            report.requests += 1;
            report.transient += 1;
            let quiet = !reply.clears && reply.refresh.is_none() && reply.access.is_none();
            if reply.status != 503 || !reply.retry_after || !quiet {
                report.wrong(|| format!("{what} without a store: {reply:?}"));
            }
        }
        page(&mut client, &access, 20, &mut report).await?;
    }
    server.start()?;
    let until = Instant::now() + PATIENCE;
    let reply = loop {
        let reply = client.refresh(&token).await?;
        if reply.status != 503 || Instant::now() > until {
            break reply;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    match reply.grant() {
        Some(grant) if grant.generation == 1 => {}
        other => report.lost(|| format!("when the store is back: {} {other:?}", reply.status)),
    }
    report.took = began.elapsed();
    Ok(report)
}
