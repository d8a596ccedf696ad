//! The soak: both example apps on every store, used gently and for hours. See `auth_tests::soak`.
//!
//! ```text
//! soak [--seconds N] [--rate N] [--store NAME]...
//! ```
//!
//! Without bounds: one minute. All stores run side by side; `--rate` is requests per second for
//! each app, 20 unless said. Stores: `sqlite`, `postgres`, `redis`; servers are its own.

use std::process::ExitCode;
use std::sync::Arc;

use auth_tests::fault::RefreshOutcome;
use auth_tests::fault::args::{self, Args, Stores};
use auth_tests::fault::report::Report;
use auth_tests::soak;
use tokio::task::JoinSet;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    args::finish(run().await)
}

async fn run() -> RefreshOutcome<Vec<Report>> {
    let args = Args::parse()?;
    let stores = Arc::new(Stores::open(&args)?);
    let (rate, time) = (args.rate.unwrap_or(20), args.share(60, 1));
    let mut running = JoinSet::new();
    for store in stores.each() {
        let stores = Arc::clone(&stores);
        running.spawn(async move { soak::run(&stores, store, rate, time).await });
    }
    let mut reports = Vec::new();
    while let Some(done) = running.join_next().await {
        for report in done?? {
            println!("{report}");
            reports.push(report);
        }
    }
    Ok(reports)
}
