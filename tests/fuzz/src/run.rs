//! Running a target, many times or for a while.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::mutate::Mutator;
use crate::targets::Target;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// After so many executions.
    Executions(u64),
    /// After this time.
    Time(Duration),
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// Inputs that were tried.
    pub executions: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The first input that went wrong, and what was said about it.
    pub finding: Option<(Vec<u8>, String)>,
}

/// Gives a target its seeds, then changes of them.
#[allow(
    clippy::disallowed_methods,
    reason = "for so many seconds of real time"
)]
#[must_use]
pub fn run(target: &Target, seed: u64, limit: Limit) -> Run {
    let began = Instant::now();
    let seeds = (target.seeds)();
    let mut mutator = Mutator::new(seed, seeds.clone());
    let mut seeds = seeds.into_iter();
    let mut executions = 0;
    loop {
        let enough = match limit {
            Limit::Executions(most) => executions >= most,
            // The clock is not asked for every input.
            Limit::Time(most) => executions % 64 == 0 && began.elapsed() >= most,
        };
        // Every seed has its turn, however soon it is enough.
        let input = match seeds.next() {
            Some(seed) => seed,
            None if enough => {
                return Run {
                    executions,
                    elapsed: began.elapsed(),
                    finding: None,
                };
            }
            None => mutator.next_input(),
        };
        executions += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
            return Run {
                executions,
                elapsed: began.elapsed(),
                finding: Some((input, message(&*panic))),
            };
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}
