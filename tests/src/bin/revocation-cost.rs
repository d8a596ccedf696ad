//! What a long list of revocations costs: memory for each entry, and time for each request.
//!
//! ```text
//! cargo run --release -p auth-tests --bin revocation-cost
//! ```

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::revocation::{Revocation, Revocations, StalePolicy};
use auth_core::session::SessionId;
use auth_core::{
    AccessTokenRequest, Algorithm, Authenticator, Clock, Guard, Issuer, Key, SystemClock, Timestamp,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ENTRIES: u64 = 1_000_000;
/// As many different sessions ask, so that no cache knows where they are not listed.
const TOKENS: u64 = 20_000;
const ROUNDS: usize = 9;

/// The entry with a number.
type Entry = fn(u64, Timestamp) -> Revocation;

struct Bearer(String);

impl RequestView for Bearer {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/me"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if name == "authorization" {
            visit(self.0.as_bytes());
        }
    }
}

/// Spread like digests, and never the same for two numbers.
fn sid(number: u64) -> SessionId {
    let spread = |by: u64| number.wrapping_add(1).wrapping_mul(by).to_be_bytes();
    let mut bytes = [0; 16];
    let halves = spread(0x9E37_79B9_7F4A_7C15)
        .into_iter()
        .chain(spread(0xD1B5_4A32_D192_ED03));
    for (byte, value) in bytes.iter_mut().zip(halves) {
        *byte = value;
    }
    SessionId::from_bytes(bytes)
}

fn session(number: u64, until: Timestamp) -> Revocation {
    Revocation::Session {
        id: sid(number),
        until,
    }
}

fn subject(number: u64, until: Timestamp) -> Revocation {
    Revocation::Subject {
        subject: format!("user-{number}").into(),
        lowest_subject_version: 1,
        until,
    }
}

/// Resident bytes of this process.
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kilobytes.ok_or("no VmRSS")?.parse::<u64>()? * 1024)
}

struct World {
    revocations: Revocations,
    guard: Guard<()>,
    requests: Vec<Bearer>,
}

impl World {
    async fn new(algorithm: Algorithm) -> Result<Self, Failure> {
        let revocations = Revocations::new(StalePolicy::FailOpen, Arc::new(SystemClock));
        let issuer = Issuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(Key::generate("k1", algorithm)?.0)?
            .with_lifetime(Duration::from_secs(3600))?;
        let auth: Arc<Authenticator<()>> = issuer
            .authenticator()
            .without_cache()
            .with_revocations(revocations.clone())
            .build()?;
        let mut requests = Vec::new();
        for number in 0..TOKENS {
            let request = AccessTokenRequest::for_subject(format!("reader-{number}"))
                .with_session_id(sid(ENTRIES + number));
            let token = issuer.mint(&request).await?;
            requests.push(Bearer(format!("Bearer {}", token.expose())));
        }
        Ok(Self {
            guard: auth.guard(),
            revocations,
            requests,
        })
    }

    /// The mean time of a whole request's check, on the processor.
    fn round(&self) -> Result<f64, Failure> {
        let started = on_cpu()?;
        for request in &self.requests {
            match self.guard.check(request) {
                Step::Done(Verdict::Pass(_)) => {}
                _ => return Err("a good token was refused".into()),
            }
        }
        Ok((on_cpu()? - started) as f64 / self.requests.len() as f64)
    }
}

/// Nanoseconds that this thread has run: what other processes do does not count.
fn on_cpu() -> Result<u64, Failure> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = stat.split_whitespace().next();
    Ok(first.ok_or("no schedstat")?.parse()?)
}

/// The median of the rounds, without and with entries, one after the other in turn.
async fn compare(algorithm: Algorithm, until: Timestamp) -> Result<(f64, f64), Failure> {
    let (empty, full) = (World::new(algorithm).await?, World::new(algorithm).await?);
    for number in 0..ENTRIES {
        full.revocations.add(&session(number, until));
    }
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(empty.round()?);
        with.push(full.round()?);
    }
    let median = |mut rounds: Vec<f64>| {
        rounds.sort_by(f64::total_cmp);
        rounds.get(ROUNDS / 2).copied().unwrap_or_default()
    };
    Ok((median(without), median(with)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let until = SystemClock.now().saturating_add(Duration::from_secs(3600));
    for (name, entry) in [("session", session as Entry), ("subject", subject)] {
        let list = Revocations::new(StalePolicy::FailOpen, Arc::new(SystemClock));
        let before = resident()?;
        for number in 0..ENTRIES {
            list.add(&entry(number, until));
        }
        let each = (resident()?.saturating_sub(before)) as f64 / ENTRIES as f64;
        writeln!(
            out,
            "{ENTRIES} {name} entries: {each:.1} bytes each (resident)"
        )?;
    }
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256] {
        let (empty, full) = compare(algorithm, until).await?;
        let ratio = full / empty;
        let name = algorithm.as_str();
        writeln!(
            out,
            "{name}: a request's check takes {empty:.0} ns with an empty list, {full:.0} ns with \
             {ENTRIES} sessions in it: {ratio:.2} times as long"
        )?;
    }
    Ok(())
}
