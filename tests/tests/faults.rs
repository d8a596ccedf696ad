//! A little of each race and each fault; the programs `races` and `faults` do the same for as long
//! as they are told to.
//!
//! Servers are started by the tests themselves, if `AUTH_TEST_POSTGRES_URL` and
//! `AUTH_TEST_REDIS_URL` say that there are to be any: these tests kill theirs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auth_tests::fault::node::Program;
use auth_tests::fault::race::{Effort, Pair};
use auth_tests::fault::report::Report;
use auth_tests::fault::servers::{Flush, Postgres, Redis, Server};
use auth_tests::fault::{RefreshOutcome, crash, cut, disk, plug, polls, race, sqlstate, stall};
use auth_tests::servers::server;

const SHORT: Duration = Duration::from_millis(1500);

/// One at a time: each keeps the machine busy.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn program() -> Program {
    Program::at(env!("CARGO_BIN_EXE_node"))
}

/// Runs one scenario to its end and looks at what it counted.
fn run(scenario: impl Future<Output = RefreshOutcome<Report>>) -> Report {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let report = runtime.block_on(scenario).unwrap();
    println!("{report}");
    assert!(report.is_clean(), "{report}");
    report
}

/// Servers of its own, since it stops them; wanted where somebody has started the shared ones.
fn postgres() -> Option<Postgres> {
    server("AUTH_TEST_POSTGRES_URL").map(|_| Postgres::begin(Flush::Skipped).unwrap().unwrap())
}

fn redis() -> Option<Redis> {
    server("AUTH_TEST_REDIS_URL").map(|_| Redis::begin().unwrap().unwrap())
}

fn sqlite() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("sessions").display());
    (dir, url)
}

async fn races(store: &str) -> RefreshOutcome<Report> {
    let mut sum = Report::new("races");
    for (clients, driven, rounds) in [(2, true, 60), (8, true, 30), (64, true, 6), (8, false, 10)] {
        let mut pair = Pair::start(&program(), store, driven).await?;
        let effort = Effort {
            time: Duration::from_secs(60),
            rounds,
        };
        sum.add(race::run(&mut pair, "", clients, effort).await?);
    }
    assert!(sum.rounds >= 106);
    Ok(sum)
}

async fn polls(store: &str) -> RefreshOutcome<Report> {
    let report = polls::at_every_poll(store, 3).await?;
    assert!(report.faults > 3, "no request was ever dropped");
    Ok(report)
}

/// The tests of one store; `$open` gives something to keep alive, and its URL.
macro_rules! on {
    ($store:ident, $open:expr) => {
        mod $store {
            use super::*;

            #[test]
            fn d03_many_refreshes_in_two_processes_write_once_and_get_one_successor() {
                let _turn = turn();
                let Some((_server, url)) = $open else { return };
                run(races(&url));
            }

            #[test]
            fn e02_a_process_that_dies_at_any_store_call_loses_nothing() {
                let _turn = turn();
                let Some((_server, url)) = $open else { return };
                let report = run(crash::at_every_call(&program(), &url, 1));
                assert!(report.faults >= 10);
            }

            #[test]
            fn e02_kill_9_under_load_loses_nothing() {
                let _turn = turn();
                let Some((_server, url)) = $open else { return };
                let report = run(crash::at_random(&program(), &url, SHORT));
                assert!(report.faults > 0);
            }

            #[test]
            fn e03_a_client_that_disconnects_gets_its_successor_later() {
                let _turn = turn();
                let Some((_server, url)) = $open else { return };
                run(crash::clients_leave(&program(), &url, 50));
            }

            #[test]
            fn e03b_a_response_dropped_at_any_poll_loses_nothing() {
                let _turn = turn();
                let Some((_server, url)) = $open else { return };
                run(polls(&url));
            }
        }
    };
}

on!(on_sqlite, Some(sqlite()));
on!(
    on_postgres,
    postgres().map(|server| {
        let url = server.url();
        (server, url)
    })
);
on!(
    on_redis,
    redis().map(|server| {
        let url = server.url();
        (server, url)
    })
);

#[test]
fn e03b_in_memory_a_response_dropped_at_any_poll_loses_nothing() {
    let _turn = turn();
    run(polls::at_every_poll("memory:", 3));
}

#[test]
fn e04_postgres_that_gives_up_is_tried_again_and_then_503() {
    let _turn = turn();
    let Some(server) = postgres() else { return };
    let report = run(sqlstate::trouble(&program(), &server.url(), SHORT));
    assert!(report.faults > 0);
}

#[test]
fn e06_two_processes_and_fifty_writers_hear_of_no_lock() {
    let _turn = turn();
    let (_dir, url) = sqlite();
    run(disk::fifty_writers(&program(), &url, SHORT));
}

#[test]
fn e06_a_full_disk_is_503_and_loses_nothing() {
    let _turn = turn();
    let (_dir, url) = sqlite();
    let report = run(disk::full(&program(), &url, SHORT));
    assert!(report.faults > 0);
}

#[test]
fn e10_postgres_that_is_down_is_503_and_nothing_is_made_up() {
    let _turn = turn();
    let Some(mut server) = postgres() else { return };
    run(stall::store_down(&program(), &mut server));
}

#[test]
fn e10_redis_that_is_down_is_503_and_nothing_is_made_up() {
    let _turn = turn();
    let Some(mut server) = redis() else { return };
    run(stall::store_down(&program(), &mut server));
}

#[test]
fn e10_postgres_stopped_frozen_and_killed_loses_nothing() {
    let _turn = turn();
    let Some(mut server) = postgres() else { return };
    let report = run(plug::pull(&program(), &mut server, SHORT * 2));
    assert!(report.faults > 0);
}

#[test]
fn e10_redis_stopped_frozen_and_killed_loses_nothing() {
    let _turn = turn();
    let Some(mut server) = redis() else { return };
    let report = run(plug::pull(&program(), &mut server, SHORT * 2));
    assert!(report.faults > 0);
}

#[test]
fn e10_connections_to_postgres_cut_before_and_after_commit_lose_nothing() {
    let _turn = turn();
    let Some(server) = postgres() else { return };
    let (url, port) = (server.url(), server.port());
    let report = run(cut::connections(&program(), &url, port, SHORT));
    assert!(report.faults > 0);
}

#[test]
fn e10_connections_to_redis_cut_before_and_after_commit_lose_nothing() {
    let _turn = turn();
    let Some(server) = redis() else { return };
    let (url, port) = (server.url(), server.port());
    let report = run(cut::connections(&program(), &url, port, SHORT));
    assert!(report.faults > 0);
}

#[test]
fn e11_postgres_that_stands_still_is_not_noticed_by_access_only_requests() {
    let _turn = turn();
    let Some(mut server) = postgres() else { return };
    run(stall::access_only(&program(), &mut server, SHORT));
}

#[test]
fn e11_redis_that_stands_still_is_not_noticed_by_access_only_requests() {
    let _turn = turn();
    let Some(mut server) = redis() else { return };
    run(stall::access_only(&program(), &mut server, SHORT));
}
