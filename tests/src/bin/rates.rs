//! Rotations per second, next to the bare statements or scripts, with flushes that reach the disk.
//!
//! ```text
//! rates [--seconds N] [--store NAME]...
//! ```

use std::process::ExitCode;

use auth_tests::fault::RefreshOutcome;
use auth_tests::fault::args::{Args, Stores};
use auth_tests::fault::rate;
use auth_tests::fault::servers::Flush;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("could not find out: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> RefreshOutcome<()> {
    let args = Args::parse()?;
    let stores = Stores::open_with(&args, Flush::Real)?;
    for store in stores.each() {
        let time = args.share(60, stores.count() * 6);
        let one = rate::measure(&stores.url(store), 1, time).await?;
        println!("{store}: {one}");
        let many = rate::measure(&stores.url(store), 64, time).await?;
        println!("{store}: {many}");
        println!(
            "{store}: 64 in flight are {:.1} x one by one",
            many.rotations / one.rotations
        );
    }
    Ok(())
}
