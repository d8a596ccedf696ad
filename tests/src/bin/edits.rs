//! Every edit of one character, tried on good tokens of every algorithm.
//!
//! ```text
//! tests/run edits [--tokens N]
//! ```
//! 1. An edit puts another byte in the place of one (all 255 others), takes one out, puts one in
//!    (all 256, everywhere), exchanges two neighbours, or puts a segment of another good token, or
//!    of the same one, in the place of a segment.
//! 2. What comes out is presented like any token: in the header, to an authenticator that remembers
//!    good tokens, which it has just seen, and to one that does not.
//! 3. Only a good token itself may pass. A single edit that does, or a panic, ends it with 1.
//!
//! `--tokens` is how many good tokens of each algorithm are edited; default 2.

use std::collections::HashSet;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::testing::ManualClock;
use auth_core::{AccessTokenRequest, Algorithm, Authenticator, Guard, Issuer, Key, Timestamp};
use auth_tests::cluster::Failure;

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<u64, Failure> {
    let tokens = match (std::env::args().nth(1), std::env::args().nth(2)) {
        (None, None) => 2,
        (Some(name), Some(number)) if name == "--tokens" => number.parse()?,
        _ => return Err("usage: edits [--tokens N]".into()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (mut all_tried, mut all_accepted) = (0, 0);
    for &algorithm in Algorithm::ALL {
        let issuer = Arc::new(Bench::new(algorithm)?);
        let good: Vec<Vec<u8>> = (0..tokens.max(2))
            .map(|number| runtime.block_on(issuer.token(number)))
            .collect::<Result<_, _>>()?;
        let good = Arc::new(good);
        let workers: Vec<_> = (0..tokens)
            .map(|number| {
                let (issuer, good) = (Arc::clone(&issuer), Arc::clone(&good));
                std::thread::spawn(move || issuer.try_edits(&good, number))
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_| "an edit made it panic")?;
        }
        let tried = issuer.tried.load(Ordering::Relaxed);
        let accepted = issuer.accepted.load(Ordering::Relaxed);
        writeln!(
            std::io::stdout(),
            "{algorithm:?}: {tried} edits, {accepted} accepted"
        )?;
        all_tried += tried;
        all_accepted += accepted;
    }
    writeln!(
        std::io::stdout(),
        "{all_tried} edits in all, {all_accepted} accepted, 0 panics"
    )?;
    Ok(all_accepted)
}

/// An issuer, and two guards in front of what it issues tokens for.
struct Bench {
    issuer: Issuer,
    guards: [Guard<()>; 2],
    tried: AtomicU64,
    accepted: AtomicU64,
}

struct Request<'t>(&'t [u8]);

impl RequestView for Request<'_> {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if name == "authorization" {
            visit(self.0);
        }
    }
}

impl Bench {
    fn new(algorithm: Algorithm) -> Result<Self, Failure> {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let (key, _) = Key::generate("k1", algorithm)?;
        let issuer = Issuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(key)?
            .with_clock(clock.clone());
        let build = |size| -> Result<Guard<()>, Failure> {
            let auth: Arc<Authenticator<()>> = issuer
                .authenticator()
                .with_clock(clock.clone())
                .with_cache_size(size)
                .build()?;
            Ok(Guard::from(auth))
        };
        Ok(Self {
            guards: [build(1000)?, build(0)?],
            issuer,
            tried: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
        })
    }

    async fn token(&self, number: usize) -> Result<Vec<u8>, Failure> {
        let request =
            AccessTokenRequest::for_subject(format!("user-{number}")).with_subject_version(7);
        let token = self.issuer.mint(&request).await?;
        Ok(token.expose().as_bytes().to_vec())
    }

    fn passes(&self, token: &[u8]) -> [bool; 2] {
        let value = [b"Bearer ".as_slice(), token].concat();
        self.guards
            .each_ref()
            .map(|guard| match guard.check(&Request(&value)) {
                Step::Done(Verdict::Pass(_)) => true,
                Step::Done(_) => false,
                Step::Wait(_) => unreachable!("own keys wait for nobody"),
            })
    }

    fn try_edits(&self, good: &[Vec<u8>], number: usize) {
        let token = &good[number];
        assert_eq!(self.passes(token), [true, true], "the token itself");
        let all: HashSet<&[u8]> = good.iter().map(Vec::as_slice).collect();
        let one = |edited: &[u8]| {
            // Any number of spaces may stand between the scheme and its token.
            let bare = edited.strip_prefix(b" ").unwrap_or(edited);
            if all.contains(bare) {
                return;
            }
            self.tried.fetch_add(2, Ordering::Relaxed);
            let passed = self.passes(edited).into_iter().filter(|passed| *passed);
            let passed = passed.count() as u64;
            self.accepted.fetch_add(passed, Ordering::Relaxed);
        };
        let mut edited = token.clone();
        for at in 0..token.len() {
            for to in 0..=u8::MAX {
                edited[at] = to;
                one(&edited);
            }
            edited[at] = token[at];
            if at + 1 < token.len() {
                edited.swap(at, at + 1);
                one(&edited);
                edited.swap(at, at + 1);
            }
        }
        for at in 0..token.len() {
            edited.clone_from(token);
            edited.remove(at);
            one(&edited);
        }
        for at in 0..=token.len() {
            for more in 0..=u8::MAX {
                edited.clone_from(token);
                edited.insert(at, more);
                one(&edited);
            }
        }
        let segments = |token: &[u8]| -> Vec<Vec<u8>> {
            token
                .split(|byte| *byte == b'.')
                .map(<[u8]>::to_vec)
                .collect()
        };
        let own = segments(token);
        for other in good {
            for part in segments(other) {
                for at in 0..own.len() {
                    let mut mixed = own.clone();
                    mixed[at].clone_from(&part);
                    one(&mixed.join(&b'.'));
                }
            }
        }
    }
}
