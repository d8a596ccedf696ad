//! Servers that tests share, where somebody has started them.

use std::io::Write;

/// The address of the server that `variable` names. Without one the caller's test shows nothing,
/// which CI does not accept, and of which everybody else is told: past the test harness, which keeps
/// the output of tests that pass to itself.
///
/// # Panics
/// In CI, without one.
#[must_use]
pub fn server(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} is not set");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {variable} is not set");
    }
    url
}
