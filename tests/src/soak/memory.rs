//! How much memory a process takes, over time.

use std::fmt;
use std::time::{Duration, Instant};

/// The samples of one process.
#[derive(Debug)]
pub struct Memory {
    pid: u32,
    began: Instant,
    samples: Vec<(Duration, u64)>,
    gone: bool,
}

impl Memory {
    /// No sample yet.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self {
            pid,
            began: Instant::now(),
            samples: Vec::new(),
            gone: false,
        }
    }

    /// Takes one.
    pub fn sample(&mut self) {
        match resident_kib(self.pid) {
            Some(kib) => self.samples.push((self.began.elapsed(), kib)),
            None => self.gone = true,
        }
    }

    /// Whether there was a time at which there was no such process.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.gone
    }

    fn second_half(&self) -> &[(Duration, u64)] {
        let (_, half) = self.samples.split_at(self.samples.len() / 2);
        half
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = self.second_half();
        let (Some(first), Some(middle), Some(last)) =
            (self.samples.first(), half.first(), self.samples.last())
        else {
            return f.write_str("memory: no samples");
        };
        write!(
            f,
            "memory: {} KiB at first, {} half-way, {} at last; slope of the second half {:+.1} \
             KiB/min over {} samples",
            first.1,
            middle.1,
            last.1,
            slope(half),
            half.len(),
        )
    }
}

/// The least-squares slope in KiB per minute; 0 for less than two samples.
fn slope(samples: &[(Duration, u64)]) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "memory is far below 2^52 KiB")]
    let points: Vec<(f64, f64)> = samples
        .iter()
        .map(|(at, kib)| (at.as_secs_f64() / 60.0, *kib as f64))
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "a few hundred samples")]
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if points.len() < 2 || spread == 0.0 {
        return 0.0;
    }
    let together: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    together / spread
}

fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, kib: u64) -> (Duration, u64) {
        (Duration::from_secs(seconds), kib)
    }

    #[test]
    fn the_slope_is_that_of_the_line_through_the_samples() {
        let rising = [at(0, 100), at(60, 110), at(120, 120), at(180, 130)];
        assert!((slope(&rising) - 10.0).abs() < 1e-9);
        let scattered = [at(0, 110), at(60, 90), at(120, 90), at(180, 110)];
        assert!(slope(&scattered).abs() < 1e-9);
        assert!(slope(&rising[..1]).abs() < 1e-9);
        assert!(slope(&[]).abs() < 1e-9);
    }

    #[test]
    fn this_process_takes_memory() {
        assert!(resident_kib(std::process::id()).is_some_and(|kib| kib > 100));
    }
}
