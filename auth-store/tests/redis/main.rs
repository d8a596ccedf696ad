//! Redis tests beyond the conformance kit of every store.

#![cfg(feature = "redis")]
#![cfg_attr(
    not(feature = "redis-cluster"),
    allow(dead_code, unused_imports, reason = "helpers of the tests of clusters")
)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of this is test code, helpers too"
)]

#[cfg(feature = "redis-cluster")]
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod conformance;
mod contract;
#[cfg(feature = "redis-cluster")]
mod ends;
mod faults;
mod feed;
mod opening;
mod proxy;
mod servers;

use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::RevokeSubject;

use common::{DAY, HOUR, LISTING, MARK, logout, session, step};

/// An id that no other run has used.
fn new_id() -> SessionId {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&run().to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// A number that distinguishes this run from others on the same server.
fn run() -> u64 {
    static RUN: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_string_lossy().into_owned();
        name.bytes()
            .fold(u64::from(std::process::id()), |sum, byte| {
                sum.wrapping_mul(1_000_003).wrapping_add(u64::from(byte))
            })
    });
    *RUN
}

fn subject(name: &str) -> String {
    format!("{name}-{:x}", run())
}

fn end_all(subject: &str, keep: Option<SessionId>) -> RevokeSubject<'_> {
    RevokeSubject {
        subject,
        keep,
        reason: RevokeReason::All,
        listing: LISTING,
    }
}
