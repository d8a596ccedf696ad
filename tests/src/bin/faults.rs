//! Faults: processes and stores die, freeze and fail while honest people are busy.
//!
//! ```text
//! faults [--seconds N] [--only SCENARIO]... [--store NAME]...
//! ```
//!
//! Without a bound: about two minutes in all. Scenarios: `kill`, `calls`, `polls`, `plug`, `cut`,
//! `stall`, `down`, `sqlstate`, `disk`, `writers`.

use std::process::ExitCode;
use std::time::Duration;

use auth_tests::fault::RefreshOutcome;
use auth_tests::fault::args::{self, Args, Store, Stores};
use auth_tests::fault::node::Program;
use auth_tests::fault::report::Report;
use auth_tests::fault::{crash, cut, disk, plug, polls, sqlstate, stall};

#[tokio::main]
async fn main() -> ExitCode {
    args::finish(run().await)
}

async fn run() -> RefreshOutcome<Vec<Report>> {
    let args = Args::parse()?;
    let mut faults = Faults {
        program: Program::beside_this()?,
        stores: Stores::open(&args)?,
        // What takes a time of its own choosing, on all stores.
        time: args.share(100, 11),
        args,
        reports: Vec::new(),
    };
    let kinds: Vec<Store> = faults.stores.each().collect();
    for store in kinds {
        faults.processes(store).await?;
        match store {
            Store::Sqlite => faults.disk().await?,
            Store::Postgres | Store::Redis => faults.server(store).await?,
        }
    }
    Ok(faults.reports)
}

struct Faults {
    program: Program,
    stores: Stores,
    time: Duration,
    args: Args,
    reports: Vec<Report>,
}

impl Faults {
    fn wants(&self, scenario: &str) -> bool {
        self.args.only.is_empty() || self.args.only.iter().any(|only| only == scenario)
    }

    fn tell(&mut self, store: Store, scenario: &str, report: Report) {
        let report = Report {
            name: format!("{store}, {scenario}"),
            ..report
        };
        println!("{report}");
        self.reports.push(report);
    }

    /// How often what has a number of cases is gone through.
    fn times(&self) -> u64 {
        (self.time.as_secs() / 8).max(1)
    }

    async fn processes(&mut self, store: Store) -> RefreshOutcome<()> {
        let url = self.stores.url(store);
        if self.wants("kill") {
            let report = crash::at_random(&self.program, &url, self.time).await?;
            self.tell(store, "kill -9 under load", report);
        }
        if self.wants("calls") {
            let report = crash::at_every_call(&self.program, &url, self.times()).await?;
            self.tell(store, "death at every store call", report);
        }
        if self.wants("polls") {
            let report = polls::at_every_poll(&url, self.times() * 20).await?;
            self.tell(store, "dropped at every poll", report);
        }
        Ok(())
    }

    async fn disk(&mut self) -> RefreshOutcome<()> {
        if self.wants("disk") {
            let url = self.stores.sqlite_url("full");
            let report = disk::full(&self.program, &url, self.time).await?;
            self.tell(Store::Sqlite, "disk full", report);
        }
        if self.wants("writers") {
            let url = self.stores.sqlite_url("writers");
            let report = disk::fifty_writers(&self.program, &url, self.time).await?;
            self.tell(Store::Sqlite, "two processes, 50 writers", report);
        }
        Ok(())
    }

    async fn server(&mut self, store: Store) -> RefreshOutcome<()> {
        if self.wants("cut")
            && let Some((url, port)) = self.stores.server(store).map(|it| (it.url(), it.port()))
        {
            let report = cut::connections(&self.program, &url, port, self.time).await?;
            self.tell(store, "connections cut", report);
        }
        if store == Store::Postgres && self.wants("sqlstate") {
            let url = self.stores.url(store);
            let report = sqlstate::trouble(&self.program, &url, self.time).await?;
            self.tell(store, "40001, 40P01, 57P01", report);
        }
        let (program, time) = (self.program.clone(), self.time);
        if self.wants("stall")
            && let Some(server) = self.stores.server(store)
        {
            let time = time.clamp(Duration::from_secs(3), Duration::from_secs(30));
            let report = stall::access_only(&program, server, time).await?;
            self.tell(store, "frozen, access-only", report);
        }
        if self.wants("down")
            && let Some(server) = self.stores.server(store)
        {
            let report = stall::store_down(&program, server).await?;
            self.tell(store, "store down", report);
        }
        if self.wants("plug")
            && let Some(server) = self.stores.fragile(store)
        {
            let report = plug::pull(&program, server, time * 2).await?;
            self.tell(store, "stopped, frozen, killed", report);
        }
        Ok(())
    }
}
