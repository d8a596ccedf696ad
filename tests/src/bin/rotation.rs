//! The rotation test: three nodes on one store change their keys under load. See
//! `auth_tests::rotation`.
//!
//! ```text
//! rotation [--store postgres|redis] [--seconds N]
//! ```
//! Without `--store`: both, one after the other. `--seconds` is for all of it; 24, the default,
//! is about the least that shows something. The stores are started from what is installed. Ends with
//! 0 if every promise was kept.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use auth_tests::cluster::Failure;
use auth_tests::cluster::server::Kind;
use auth_tests::rotation;

const USAGE: &str = "usage: rotation [--store postgres|redis] [--seconds N]";

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some("node") => rotation::node::run().map(|()| true),
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

fn arguments() -> Result<(Vec<Kind>, u64), Failure> {
    let (mut stores, mut seconds) = (vec![Kind::Postgres, Kind::Redis], 24);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match (name.as_str(), value.as_str()) {
            ("--store", "postgres") => stores = vec![Kind::Postgres],
            ("--store", "redis") => stores = vec![Kind::Redis],
            ("--seconds", _) => seconds = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok((stores, seconds))
}

fn test() -> Result<bool, Failure> {
    let (stores, seconds) = arguments()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let share = Duration::from_secs(seconds) / u32::try_from(stores.len())?;
    let mut clean = true;
    for store in stores {
        if !store.is_installed() && std::env::var_os("CI").is_none() {
            writeln!(
                std::io::stdout(),
                "SKIPPED: {} is not installed",
                store.name()
            )?;
            continue;
        }
        for report in runtime.block_on(rotation::run(store, share))? {
            write!(std::io::stdout(), "{report}")?;
            clean &= report.violations().is_empty();
        }
    }
    Ok(clean)
}
