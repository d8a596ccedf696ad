//! The command line of the programs, the stores that they work on, and how they end.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use tempfile::TempDir;

use super::Outcome;
use super::plug::Fragile;
use super::report::Report;
use super::servers::{Flush, Postgres, Redis, Server};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
    /// A server.
    Redis,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        })
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// How long everything may take.
    pub seconds: Option<u64>,
    /// How many rounds each store is to see.
    pub rounds: Option<u64>,
    /// How many requests a second, where that is bounded.
    pub rate: Option<u64>,
    /// Which scenarios, by the beginning of their names; all if none is named.
    pub only: Vec<String>,
    stores: Vec<Store>,
}

impl Args {
    /// From the command line.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn parse() -> Outcome<Self> {
        let mut args = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} what?"))?;
            match word.as_str() {
                "--seconds" => args.seconds = Some(value.parse()?),
                "--rounds" => args.rounds = Some(value.parse()?),
                "--rate" => args.rate = Some(value.parse()?),
                "--only" => args.only.push(value),
                "--store" => args.stores.push(match value.as_str() {
                    "sqlite" => Store::Sqlite,
                    "postgres" => Store::Postgres,
                    "redis" => Store::Redis,
                    other => return Err(format!("no such store: {other}").into()),
                }),
                other => return Err(format!("no such option: {other}").into()),
            }
        }
        Ok(args)
    }

    /// The time for one of so many parts, if all may take `default` seconds. With a bound on the
    /// rounds alone there is none on the time.
    #[must_use]
    pub fn share(&self, default: u64, parts: usize) -> Duration {
        let seconds = match (self.seconds, self.rounds) {
            (Some(seconds), _) => seconds,
            (None, Some(_)) => return Duration::from_secs(24 * 3600),
            (None, None) => default,
        };
        Duration::from_secs(seconds) / u32::try_from(parts.max(1)).unwrap_or(u32::MAX)
    }

    fn wants(&self, store: Store) -> bool {
        self.stores.is_empty() || self.stores.contains(&store)
    }
}

/// The stores of a program, open for as long as this lives.
#[derive(Debug)]
pub struct Stores {
    dir: TempDir,
    sqlite: bool,
    /// A server, if this machine has it and it is wanted.
    pub postgres: Option<Postgres>,
    /// A server, if this machine has it and it is wanted.
    pub redis: Option<Redis>,
}

impl Stores {
    /// Starts the servers that are wanted, and says which ones there are not.
    ///
    /// # Errors
    /// If one does not come up.
    pub fn open(args: &Args) -> Outcome<Self> {
        Self::open_with(args, Flush::Skipped)
    }

    /// The same, with or without real flushes.
    ///
    /// # Errors
    /// If one does not come up.
    pub fn open_with(args: &Args, flush: Flush) -> Outcome<Self> {
        let mut stores = Self {
            dir: tempfile::tempdir()?,
            sqlite: args.wants(Store::Sqlite),
            postgres: None,
            redis: None,
        };
        if args.wants(Store::Postgres) {
            stores.postgres = Postgres::begin(flush)?;
            skipped(stores.postgres.is_none(), "PostgreSQL")?;
        }
        if args.wants(Store::Redis) {
            stores.redis = Redis::begin()?;
            skipped(stores.redis.is_none(), "Redis")?;
        }
        Ok(stores)
    }

    /// Which ones there are.
    pub fn each(&self) -> impl Iterator<Item = Store> + use<> {
        let there = [
            self.sqlite.then_some(Store::Sqlite),
            self.postgres.as_ref().map(|_| Store::Postgres),
            self.redis.as_ref().map(|_| Store::Redis),
        ];
        there.into_iter().flatten()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.each().count()
    }

    /// The URL of one of them.
    #[must_use]
    pub fn url(&self, store: Store) -> String {
        let server: Option<&dyn Server> = match store {
            Store::Sqlite => None,
            Store::Postgres => self.postgres.as_ref().map(|server| server as _),
            Store::Redis => self.redis.as_ref().map(|server| server as _),
        };
        match server {
            Some(server) => server.url(),
            None => self.sqlite_url("sessions"),
        }
    }

    /// The URL of a file of this name.
    #[must_use]
    pub fn sqlite_url(&self, name: &str) -> String {
        format!("sqlite:{}", self.dir.path().join(name).display())
    }

    /// The server that keeps one of them, to be hurt.
    pub fn fragile(&mut self, store: Store) -> Option<&mut dyn Fragile> {
        match store {
            Store::Sqlite => None,
            Store::Postgres => self.postgres.as_mut().map(|server| server as _),
            Store::Redis => self.redis.as_mut().map(|server| server as _),
        }
    }

    /// The server that keeps one of them.
    pub fn server(&mut self, store: Store) -> Option<&mut dyn Server> {
        match store {
            Store::Sqlite => None,
            Store::Postgres => self.postgres.as_mut().map(|server| server as _),
            Store::Redis => self.redis.as_mut().map(|server| server as _),
        }
    }
}

/// CI has every server; a person need not.
fn skipped(missing: bool, server: &str) -> Outcome<()> {
    if missing && std::env::var_os("CI").is_some() {
        return Err(format!("{server} is not installed").into());
    }
    if missing {
        println!("SKIPPED: {server} is not installed");
    }
    Ok(())
}

/// Sums up, and turns violations into an exit status.
#[must_use]
pub fn finish(done: Outcome<Vec<Report>>) -> ExitCode {
    let reports = match done {
        Ok(reports) => reports,
        Err(error) => {
            eprintln!("could not find out: {error}");
            return ExitCode::from(2);
        }
    };
    let clean = reports.iter().all(Report::is_clean);
    let mut sum = Report::new("in all");
    for report in reports {
        sum.took += report.took;
        sum.add(report);
    }
    sum.notes.clear();
    sum.violations.clear();
    println!("{sum}");
    if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
