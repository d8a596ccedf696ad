//! The server process dies: at random moments under load, and at every single call to the store.

use std::time::{Duration, Instant};

use super::Outcome;
use super::app::Setup;
use super::backend::Death;
use super::client::{Client, Reply};
use super::load::{Crowd, Load};
use super::node::{Node, Program};
use super::random::Random;
use super::report::Report;

const PATIENCE: Duration = Duration::from_secs(10);

/// Kills one of two processes at random moments for this long, while people are busy with both.
///
/// # Errors
/// If a process does not start again.
pub async fn at_random(program: &Program, store: &str, time: Duration) -> Outcome<Report> {
    let mut nodes = [
        Node::start(program, Setup::brisk(store)).await?,
        Node::start(program, Setup::brisk(store)).await?,
    ];
    let addresses = nodes.iter().map(Node::address).collect();
    let load = Load::start(addresses, Crowd::usual());
    let (began, mut random) = (Instant::now(), Random::new(7));
    let mut killed = 0;
    while began.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(random.below(250))).await;
        let victim = usize::try_from(random.below(2))?;
        nodes[victim].restart().await?;
        killed += 1;
    }
    let mut report = load.finish("").await;
    report.faults = killed;
    Ok(report)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Login,
    Refresh,
    Logout,
}

/// Lets a process die right before and right after each call to the store that a login, a refresh
/// and a logout make, so many times each, and looks at what is there when it has started again.
///
/// # Errors
/// If a process does not start again.
pub async fn at_every_call(program: &Program, store: &str, times: u64) -> Outcome<Report> {
    let began = Instant::now();
    let mut report = Report::new("");
    let healthy = Node::start(program, Setup::on(store)).await?;
    for round in 0..times {
        for request in [Request::Login, Request::Refresh, Request::Logout] {
            for call in 1.. {
                let mut reached = false;
                for after in [false, true] {
                    let death = Death { call, after };
                    reached |= die(program, &healthy, request, death, &mut report).await?;
                }
                if !reached {
                    break;
                }
            }
            if report.faults == 0 {
                return Err("no process died".into());
            }
        }
        report.rounds = round + 1;
    }
    report.took = began.elapsed();
    Ok(report)
}

/// Whether the request came as far as that call.
async fn die(
    program: &Program,
    healthy: &Node,
    request: Request,
    death: Death,
    report: &mut Report,
) -> Outcome<bool> {
    let mut client = Client::new(healthy.address(), PATIENCE);
    let login = client.login("ada").await?;
    let token = login.refresh.ok_or("a login without a token")?;
    let setup = Setup {
        death: Some(death),
        ..healthy.setup().clone()
    };
    let mut node = Node::start(program, Setup { port: 0, ..setup }).await?;
    let mut client = Client::new(node.address(), PATIENCE);
    let answer = match request {
        Request::Login => client.login("ada").await,
        Request::Refresh => client.refresh(&token).await,
        Request::Logout => client.logout(&token).await,
    };
    if answer.is_ok() {
        return Ok(false);
    }
    node.ended().await?;
    node.restart().await?;
    report.faults += 1;
    let mut client = Client::new(node.address(), PATIENCE);
    let mut expect = |what: &str, reply: &Reply, fair: bool| {
        report.requests += 1;
        if !fair {
            report.wrong(|| format!("{request:?}, {death:?}: {what}: {reply:?}"));
        }
    };
    match request {
        Request::Login => {
            let reply = client.login("ada").await?;
            expect("a login", &reply, reply.status == 200);
            let reply = client.refresh(&token).await?;
            expect("another session", &reply, reply.status == 200);
        }
        Request::Refresh => {
            let reply = client.refresh(&token).await?;
            let grant = reply.grant();
            let grant = grant
                .as_ref()
                .map(|it| (it.outcome.as_str(), it.generation));
            // A new process first tells the store how long its tokens live, then loads; the third
            // call is the write.
            let written = death.call == 3 && death.after;
            let due = if written { "replayed" } else { "rotated" };
            expect("the retry", &reply, grant == Some((due, 1)));
            let next = reply.refresh.unwrap_or_default();
            let reply = client.refresh(&next).await?;
            expect("the successor", &reply, reply.grant().is_some());
        }
        Request::Logout => {
            let reply = client.logout(&token).await?;
            expect("the retry", &reply, reply.status == 204);
            let reply = client.refresh(&token).await?;
            expect("after the logout", &reply, reply.status == 400);
        }
    }
    Ok(true)
}

/// Clients that go away without waiting for the answer to their refresh, and come back.
///
/// # Errors
/// If a process does not start.
pub async fn clients_leave(program: &Program, store: &str, times: u64) -> Outcome<Report> {
    let began = Instant::now();
    let mut report = Report::new("");
    let node = Node::start(program, Setup::on(store)).await?;
    let mut client = Client::new(node.address(), PATIENCE);
    for _ in 0..times {
        let login = client.login("ada").await?;
        let token = login.refresh.ok_or("a login without a token")?;
        client.refresh_and_leave(&token).await?;
        report.faults += 1;
        let reply = client.refresh(&token).await?;
        report.requests += 2;
        let grant = reply.grant();
        let grant = grant
            .as_ref()
            .map(|it| (it.outcome.as_str(), it.generation));
        if !matches!(grant, Some(("rotated" | "replayed", 1))) {
            report.lost(|| format!("the retry: {reply:?}"));
        }
    }
    let advanced = node.counts().await?.advanced;
    if advanced > times {
        report.double_wins += advanced - times;
    }
    report.took = began.elapsed();
    Ok(report)
}
