//! Whether the time that a forged refresh token takes says how much of its mac was right.
//!
//! ```text
//! tests/run timing [--samples N]
//! ```
//! 1. Two classes of forgeries, in random order: the first byte of the mac is wrong, or the last
//!    one. A comparison that stops early takes longer for the second.
//! 2. The slowest samples are left out at several thresholds, as interrupts fall on both classes,
//!    and Welch's t is computed for each. Beyond 4.5 the classes are told apart.
//! 3. The same is done to a comparison that does stop early: if that were not noticed, the rest
//!    would mean nothing.
//!
//! It ends with 0 if only the control was told apart. A program and no test: it measures time.

use std::hint::black_box;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use auth_core::session::{LoginRequest, RefreshKey, RefreshKeys, Sessions};
use auth_core::testing::MemoryStore;
use auth_core::{Issuer, Key};
use auth_tests::cluster::Failure;
use futures_util::FutureExt;

/// `rt1_`, then 53 bytes in base64url: the mac begins in the 37th, with this character.
const FIRST_OF_MAC: usize = 4 + 50;
const TOLD_APART: f64 = 4.5;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, Failure> {
    let samples = match (std::env::args().nth(1), std::env::args().nth(2)) {
        (None, None) => 1_000_000,
        (Some(name), Some(number)) if name == "--samples" => number.parse()?,
        _ => return Err("usage: timing [--samples N]".into()),
    };
    let ours = a35_a_forged_mac_takes_the_same_time_wherever_it_is_wrong(samples)?;
    let control = a_comparison_that_stops_early(samples);
    writeln!(
        std::io::stdout(),
        "{samples} samples: |t| {ours:.2} for refresh tokens (told apart beyond {TOLD_APART}), \
         {control:.2} for a comparison that stops early"
    )?;
    Ok(ours < TOLD_APART && control > TOLD_APART)
}

fn a35_a_forged_mac_takes_the_same_time_wherever_it_is_wrong(
    samples: usize,
) -> Result<f64, Failure> {
    // For the deadline that every call has.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let _within = runtime.enter();
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32])?)?;
    let keys = RefreshKeys::new(RefreshKey::ephemeral()?);
    let sessions = Sessions::builder(issuer, Arc::new(MemoryStore::new()), keys)
        .without_revocations()
        .build()?;
    let login = sessions
        .login(LoginRequest::for_subject("alice"))
        .now_or_never()
        .ok_or("a store in memory answers at once")??;
    let token = login.refresh().ok_or("a login gives both")?.expose();
    let forged = [FIRST_OF_MAC, token.len() - 1].map(|at| {
        let mut forged = token.as_bytes().to_vec();
        // Differs in the highest of six bits, and leaves the unused low ones of the last at zero.
        let is_low = matches!(forged[at], b'A'..=b'Z' | b'a'..=b'f');
        forged[at] = if is_low { b'g' } else { b'A' };
        String::from_utf8(forged).unwrap_or_default()
    });
    Ok(measure(samples, &forged, |forged| {
        let answer = sessions.end_by_token(forged).now_or_never();
        assert!(matches!(answer, Some(Ok(None))), "a forgery is not ours");
    }))
}

fn a_comparison_that_stops_early(samples: usize) -> f64 {
    let right = "sixteen letters.";
    let wrong = ["?ixteen letters.", "sixteen letters?"].map(str::to_owned);
    measure(samples, &wrong, |theirs| {
        let mut pairs = black_box(right).bytes().zip(theirs.bytes());
        black_box(pairs.all(|(ours, theirs)| black_box(ours) == theirs));
    })
}

/// The largest |t| over all thresholds. Both classes are read from one place in memory: where
/// something lies also takes time.
#[allow(clippy::disallowed_methods, reason = "this is about real time")]
fn measure(samples: usize, classes: &[String; 2], work: impl Fn(&str)) -> f64 {
    let mut text = classes[0].clone();
    let mut times = [Vec::with_capacity(samples), Vec::with_capacity(samples)];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..samples {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let class = usize::from(random & (1 << 40) != 0);
        text.clear();
        text.push_str(&classes[class]);
        let text = black_box(text.as_str());
        let begun = Instant::now();
        work(text);
        times[class].push(u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    let mut all = times.concat();
    all.sort_unstable();
    [50, 75, 90, 95, 99]
        .map(|percent| {
            let most = all[(all.len() * percent / 100).min(all.len() - 1)];
            let kept = times.each_ref().map(|class| Moments::of(class, most));
            kept[0].welch(&kept[1]).abs()
        })
        .into_iter()
        .fold(0.0, f64::max)
}

struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of(times: &[u32], most: u32) -> Self {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for time in times.iter().filter(|time| **time <= most) {
            count += 1.0;
            let off = f64::from(*time) - mean;
            mean += off / count;
            squares += off * (f64::from(*time) - mean);
        }
        Self {
            count,
            mean,
            variance: squares / (count - 1.0),
        }
    }

    fn welch(&self, other: &Self) -> f64 {
        let error = self.variance / self.count + other.variance / other.count;
        (self.mean - other.mean) / error.sqrt()
    }
}
