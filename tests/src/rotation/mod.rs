//! Three nodes on one real store rotate the keys that they sign with every second or three, under
//! load: on axum, on axum and on actix-web, each a process of its own.
//!
//! 1. A token that one node has minted is accepted by every node as long as it lives, and by none
//!    afterwards.
//! 2. A key that has retired is accepted by no node: tokens without any other fault, made with keys
//!    that this program has read out of the shared document while they signed. One made with a key
//!    that still signs is accepted, or the check would mean nothing.
//! 3. A refresh token is good on every node, whatever key it was made with.
//! 4. Another service, which knows the issuer by its JWKS document alone, never meets a key that it
//!    does not know. Since no verifier by our rules fetches twice within four minutes, this part
//!    runs in time lapse: every process's clock, and the store's, goes at [`LAPSE`] times its
//!    speed.

mod clock;
mod keys;
mod load;
pub mod node;
mod remote;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cluster::Failure;
use crate::cluster::server::{Kind, Server};

use self::keys::Pace;
use self::node::Node;

/// Seconds of the time lapse in one of ours.
pub const LAPSE: u32 = 300;

/// What happened; what must not happen is in [`violations`](Self::violations).
#[derive(Debug, Default)]
pub(crate) struct Counts {
    minted: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    outlived: AtomicU64,
    expired: AtomicU64,
    keys: AtomicU64,
    current: AtomicU64,
    current_refused: AtomicU64,
    retired: AtomicU64,
    retired_accepted: AtomicU64,
    refreshed: AtomicU64,
    refresh_refused: AtomicU64,
    verified: AtomicU64,
    unknown: AtomicU64,
    not_verified: AtomicU64,
    fetches: AtomicU64,
    unanswered: AtomicU64,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What came of one part, over one store.
#[derive(Debug)]
pub struct Report {
    store: Kind,
    pace: Pace,
    took: Duration,
    counts: Arc<Counts>,
}

impl Report {
    /// What must not have happened, and did.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let counts = &self.counts;
        let mut violations = Vec::new();
        let mut never = |counter: &AtomicU64, what: &str| {
            let count = counter.load(Ordering::Relaxed);
            if count > 0 {
                violations.push(format!("{count} {what}"));
            }
        };
        never(&counts.refused, "good tokens refused");
        never(&counts.outlived, "expired tokens accepted");
        never(&counts.retired_accepted, "tokens of retired keys accepted");
        never(&counts.current_refused, "tokens of current keys refused");
        never(&counts.refresh_refused, "good refresh tokens refused");
        never(&counts.unknown, "keys unknown to the other service");
        never(&counts.not_verified, "tokens refused by the other service");
        let mut at_least = |counter: &AtomicU64, least: u64, what: &str| {
            let count = counter.load(Ordering::Relaxed);
            if count < least {
                violations.push(format!("only {count} {what}: nothing is shown"));
            }
        };
        at_least(&counts.accepted, 100, "tokens accepted");
        at_least(&counts.keys, 2, "keys seen signing");
        match self.pace {
            Pace::Real => {
                at_least(&counts.retired, 3, "tries with retired keys");
                at_least(&counts.current, 1, "tries with current keys");
                at_least(&counts.refreshed, 3, "refreshes");
            }
            Pace::Lapse => {
                at_least(
                    &counts.verified,
                    100,
                    "tokens verified by the other service",
                );
                at_least(&counts.fetches, 2, "fetches of the other service");
            }
        }
        violations
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let pace = match self.pace {
            Pace::Real => "real time".to_owned(),
            Pace::Lapse => format!("time lapse × {LAPSE}"),
        };
        writeln!(f, "{}, {pace}, {:.1?}", self.store.name(), self.took)?;
        writeln!(
            f,
            "  {} keys signed; {} tokens: {} times accepted, {} refused; after their end {} times \
             refused, {} accepted",
            of(&counts.keys),
            of(&counts.minted),
            of(&counts.accepted),
            of(&counts.refused),
            of(&counts.expired),
            of(&counts.outlived),
        )?;
        writeln!(
            f,
            "  forged with a retired key: {} refused, {} accepted; with a current key: {} accepted",
            of(&counts.retired),
            of(&counts.retired_accepted),
            of(&counts.current),
        )?;
        match self.pace {
            Pace::Real => writeln!(
                f,
                "  refreshes: {} granted, {} refused",
                of(&counts.refreshed),
                of(&counts.refresh_refused)
            )?,
            Pace::Lapse => writeln!(
                f,
                "  other service: {} tokens verified, {} unknown keys, {} refused, {} fetches",
                of(&counts.verified),
                of(&counts.unknown),
                of(&counts.not_verified),
                of(&counts.fetches),
            )?,
        }
        if of(&counts.unanswered) > 0 {
            writeln!(
                f,
                "  {} requests got 503 or no answer",
                of(&counts.unanswered)
            )?;
        }
        for violation in self.violations() {
            writeln!(f, "  VIOLATION: {violation}")?;
        }
        Ok(())
    }
}

/// Runs both parts over one server of its own, for so long together.
///
/// # Errors
/// If something cannot be started; what the nodes do wrong is in the reports.
pub async fn run(store: Kind, lasts: Duration) -> Result<Vec<Report>, Failure> {
    let server = Server::start(store).await?;
    let url = server.url_at(server.port());
    let mut reports = Vec::new();
    for (pace, share) in [(Pace::Real, 0.45), (Pace::Lapse, 0.55)] {
        reports.push(part(store, &url, pace, lasts.mul_f64(share)).await?);
    }
    Ok(reports)
}

async fn part(store: Kind, url: &str, pace: Pace, lasts: Duration) -> Result<Report, Failure> {
    let started = tokio::time::Instant::now();
    let settings = node::Settings::new(url, pace)?;
    let nodes = Node::start_three(&settings).await?;
    let counts = Arc::new(Counts::default());
    load::run(&nodes, &settings, &counts, lasts).await?;
    Ok(Report {
        store,
        pace,
        took: started.elapsed(),
        counts,
    })
}
