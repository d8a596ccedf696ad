//! The cluster test: three nodes on one store, logouts, kills, cuts. See `auth_tests::cluster`.
//!
//! ```text
//! cargo run -p auth-tests --bin cluster -- [--store postgres|redis] [--seconds N] [--seed N]
//! ```
//! Without `--store`: both, one after the other. `--seconds` is for how long things go wrong, per
//! store. The stores are started from what is installed. Ends with 0 if every promise was kept.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use auth_core::{Clock, SystemClock};
use auth_tests::cluster::server::Kind;
use auth_tests::cluster::{self, Failure, Plan};

const USAGE: &str = "usage: cluster [--store postgres|redis] [--seconds N] [--seed N]";

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some("node") => cluster::node::run().map(|()| true),
        _ => test(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}

struct Arguments {
    stores: Vec<Kind>,
    seconds: u64,
    seed: u64,
}

impl Arguments {
    fn read() -> Result<Self, Failure> {
        let mut read = Self {
            stores: vec![Kind::Postgres, Kind::Redis],
            seconds: 20,
            seed: SystemClock.now().as_millis().unsigned_abs(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match (name.as_str(), value.as_str()) {
                ("--store", "postgres") => read.stores = vec![Kind::Postgres],
                ("--store", "redis") => read.stores = vec![Kind::Redis],
                ("--seconds", _) => read.seconds = value.parse()?,
                ("--seed", _) => read.seed = value.parse()?,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(read)
    }
}

fn test() -> Result<bool, Failure> {
    let arguments = Arguments::read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut clean = true;
    for store in arguments.stores {
        let plan = Plan {
            store,
            faults_for: Duration::from_secs(arguments.seconds),
            seed: arguments.seed,
        };
        let report = runtime.block_on(cluster::run(plan))?;
        writeln!(std::io::stdout(), "{report}")?;
        clean &= report.is_clean();
    }
    Ok(clean)
}
