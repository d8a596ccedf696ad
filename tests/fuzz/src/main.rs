//! Runs the fuzz targets for as long as said.
//!
//! ```text
//! tests/run fuzz [--seconds N] [--target NAME]... [--seed N]
//! tests/run fuzz --seeds FOLDER        writes the seeds of each target into FOLDER/TARGET
//! tests/run fuzz --target NAME FILE... tries these inputs
//! ```
//! `--seconds` is for each target; default 10. The seed is 1 unless said otherwise: the same
//! number tries the same inputs. Exit status 1: something was found, and is printed in hexadecimal.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use auth_fuzz::{Limit, TARGETS, Target, run, target};

type Failure = Box<dyn std::error::Error>;

const USAGE: &str =
    "usage: fuzz [--seconds N] [--seed N] [--target NAME]... [--seeds FOLDER | FILE...]";

fn main() -> ExitCode {
    match Arguments::read().and_then(|arguments| arguments.obey()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}

struct Arguments {
    seconds: u64,
    seed: u64,
    targets: Vec<&'static Target>,
    seeds: Option<PathBuf>,
    files: Vec<PathBuf>,
}

impl Arguments {
    fn read() -> Result<Self, Failure> {
        let mut read = Self {
            seconds: 10,
            seed: 1,
            targets: Vec::new(),
            seeds: None,
            files: Vec::new(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if !argument.starts_with('-') {
                read.files.push(argument.into());
                continue;
            }
            let value = arguments.next().ok_or(USAGE)?;
            match argument.as_str() {
                "--seconds" => read.seconds = value.parse()?,
                "--seed" => read.seed = value.parse()?,
                "--target" => read.targets.push(target(&value).ok_or("no such target")?),
                "--seeds" => read.seeds = Some(value.into()),
                _ => return Err(USAGE.into()),
            }
        }
        if read.targets.is_empty() {
            read.targets = TARGETS.iter().collect();
        }
        Ok(read)
    }

    fn obey(&self) -> Result<bool, Failure> {
        if let Some(folder) = &self.seeds {
            for target in &self.targets {
                write_seeds(target, folder)?;
            }
            return Ok(true);
        }
        for file in &self.files {
            let input = std::fs::read(file)?;
            self.targets.iter().for_each(|target| (target.run)(&input));
        }
        Ok(!self.files.is_empty() || self.run()?)
    }

    fn run(&self) -> Result<bool, Failure> {
        let mut out = std::io::stdout();
        let (mut all, mut found) = (0, 0);
        for target in &self.targets {
            let limit = Limit::Time(Duration::from_secs(self.seconds));
            let run = run(target, self.seed, limit);
            all += run.executions;
            let rate = run.executions as f64 / run.elapsed.as_secs_f64();
            writeln!(
                out,
                "{:<14} {:>12} executions, {:>5.1} s, {rate:>9.0} a second",
                target.name,
                run.executions,
                run.elapsed.as_secs_f64(),
            )?;
            if let Some((input, message)) = run.finding {
                found += 1;
                let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
                writeln!(out, "{}: {message}\n  {hex}", target.name)?;
            }
        }
        writeln!(out, "{all} executions in all, {found} findings")?;
        Ok(found == 0)
    }
}

fn write_seeds(target: &Target, folder: &Path) -> Result<(), Failure> {
    let folder = folder.join(target.name);
    std::fs::create_dir_all(&folder)?;
    for (number, seed) in (target.seeds)().into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:03}")), seed)?;
    }
    Ok(())
}
