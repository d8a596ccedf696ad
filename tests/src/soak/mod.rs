//! The soak: the example apps as processes, on every store, used gently and for hours.
//!
//! 1. What people do is 90 % access, 8 % refresh, 1 % login and 1 % logout ([`person`]). The rate is
//!    bounded, so that other work can go on beside it.
//! 2. Every answer is judged: a valid token is accepted and shows whose it is and of which session;
//!    one that was signed out, has expired or was altered is refused; no session is lost.
//! 3. Both apps of a server store share it and its keys, so access tokens are tried at either.
//! 4. The memory of every app is sampled all the while. Its slope over the second half says whether
//!    it grows ([`memory`]): what fills up to a bound has done so in the first.
//! 5. Signing keys change every 12 minutes meanwhile.

#![allow(
    clippy::disallowed_methods,
    reason = "this program runs, and is measured, in real time"
)]

pub mod app;
pub mod memory;
pub mod person;
mod tally;
mod tokens;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use self::app::{App, FRAMEWORKS};
use self::memory::Memory;
use self::person::Person;
use self::tally::Tally;
use crate::fault::Outcome;
use crate::fault::args::{Store, Stores};
use crate::fault::report::Report;

/// How often the memory is sampled, at least this many times in a run.
const SAMPLES: u32 = 400;

/// How many people use one app.
const PEOPLE: u32 = 30;

/// Within what time they come, in a run that is long.
const ARRIVAL: Duration = Duration::from_secs(90);

/// What the people of one app share.
#[derive(Debug)]
pub struct Site {
    /// The app that they use.
    pub home: SocketAddr,
    /// All apps that accept its tokens, itself included.
    pub apps: Vec<SocketAddr>,
    /// How long each rests between two requests, on the average.
    pub rest: Duration,
    /// Within what time all of them have come.
    pub arrival: Duration,
    over: AtomicBool,
    sessions: Mutex<HashSet<String>>,
}

impl Site {
    /// Whether it is time to stop.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Notes a session that was made just now: whether there was none of this name before.
    #[must_use]
    pub fn is_new(&self, session: &str) -> bool {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(session.to_owned())
    }
}

/// Runs both apps on one store, `rate` requests a second each, for as long as `time`.
///
/// # Errors
/// If an app does not start.
pub async fn run(stores: &Stores, store: Store, rate: u64, time: Duration) -> Outcome<Vec<Report>> {
    let mut apps = Vec::new();
    let dir = tempfile::tempdir()?;
    for framework in FRAMEWORKS {
        // A file, and the keys beside it, belong to one app alone.
        let (url, data) = match store {
            Store::Sqlite => (stores.sqlite_url(framework), dir.path().join(framework)),
            Store::Postgres | Store::Redis => (stores.url(store), dir.path().to_owned()),
        };
        apps.push(App::start(framework, &url, &data).await?);
    }
    let everywhere: Vec<SocketAddr> = apps.iter().map(App::address).collect();
    let mut running = JoinSet::new();
    for app in apps {
        let home = app.address();
        let site = Arc::new(Site {
            home,
            apps: match store {
                Store::Sqlite => vec![home],
                Store::Postgres | Store::Redis => everywhere.clone(),
            },
            rest: Duration::from_secs(1) * PEOPLE / u32::try_from(rate.max(1))?,
            arrival: (time / 3).min(ARRIVAL),
            over: AtomicBool::new(false),
            sessions: Mutex::default(),
        });
        running.spawn(used(app, site, store, time));
    }
    let mut reports = Vec::new();
    // Neither app goes away while the other's people may still ask it.
    let mut apps = Vec::new();
    while let Some(done) = running.join_next().await {
        let (app, report) = done??;
        apps.push(app);
        reports.push(report);
    }
    drop(apps);
    reports.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(reports)
}

async fn used(app: App, site: Arc<Site>, store: Store, time: Duration) -> Outcome<(App, Report)> {
    let began = Instant::now();
    let mut people = JoinSet::new();
    for number in 0..PEOPLE {
        people.spawn(Person::new(number, Arc::clone(&site)).live());
    }
    let mut memory = Memory::of(app.pid()?);
    let step = (time / SAMPLES).max(Duration::from_millis(250));
    while began.elapsed() < time {
        tokio::time::sleep(step.min(time.saturating_sub(began.elapsed()))).await;
        memory.sample();
    }
    site.over.store(true, SeqCst);
    let mut report = Report::new(format!("{store}, {}", app.framework()));
    let mut tally = Tally::default();
    for person in people.join_all().await {
        let (part, counted) = person.finish();
        report.add(part);
        tally.add(&counted);
    }
    report.took = began.elapsed();
    if memory.has_ended() {
        report.lost(|| "the app's process has ended".to_owned());
    }
    report.note(tally.to_string());
    report.note(memory.to_string());
    Ok((app, report))
}
