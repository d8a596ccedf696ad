//! Races of many clients for one session, over two processes and every store.
//!
//! ```text
//! races [--seconds N] [--rounds N] [--store NAME]...
//! ```
//!
//! Without bounds: 40 seconds in all. With `--rounds` alone: so many for each store, however long
//! it takes. Stores: `sqlite`, `postgres`, `redis`; servers are its own.

use std::process::ExitCode;

use auth_tests::fault::RefreshOutcome;
use auth_tests::fault::args::{Args, Store, Stores};
use auth_tests::fault::node::Program;
use auth_tests::fault::race::{self, Effort, Pair};
use auth_tests::fault::report::Report;

/// Numbers of clients, whether the clock is driven, and their share of the rounds in percent.
const PARTS: [(usize, bool, u64); 4] =
    [(2, true, 45), (8, true, 30), (64, true, 15), (8, false, 10)];

#[tokio::main]
async fn main() -> ExitCode {
    auth_tests::fault::args::finish(run().await)
}

async fn run() -> RefreshOutcome<Vec<Report>> {
    let args = Args::parse()?;
    let program = Program::beside_this()?;
    let stores = Stores::open(&args)?;
    let mut reports = Vec::new();
    for store in stores.each() {
        let report = races_on(&program, &args, &stores, store).await?;
        println!("{report}");
        reports.push(report);
    }
    Ok(reports)
}

async fn races_on(
    program: &Program,
    args: &Args,
    stores: &Stores,
    store: Store,
) -> RefreshOutcome<Report> {
    let mut sum = Report::new(format!("{store}: all races"));
    let url = stores.url(store);
    for (clients, driven, percent) in PARTS {
        let effort = Effort {
            time: args.share(40, stores.count() * PARTS.len()),
            rounds: args
                .rounds
                .map_or(u64::MAX, |rounds| (rounds * percent).div_ceil(100)),
        };
        let mut pair = Pair::start(program, &url, driven).await?;
        let clock = if driven { "driven clock" } else { "own clock" };
        let name = format!("{store}, {clock}");
        let report = race::run(&mut pair, &name, clients, effort).await?;
        println!("{report}");
        sum.took += report.took;
        sum.add(report);
    }
    Ok(sum)
}
