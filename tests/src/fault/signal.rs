//! Signals to processes that this program has started.

use std::process::Command;

use super::Outcome;

/// A signal by its name: `KILL`, `STOP`, `CONT`, `QUIT`, `INT`.
///
/// # Errors
/// If there is no such process.
pub fn send(name: &str, pid: u32) -> Outcome<()> {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("cannot send SIG{name} to {pid}").into())
}

/// The processes that this one has started, directly.
#[must_use]
pub fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
