//! Keys, health and metrics.

use super::App;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Tests that the JWKS route responds with a validator and public members only, the same after a
/// restart.
///
/// # Panics
/// If the test fails.
pub fn public_keys_are_served_and_outlive_a_restart(program: &str) {
    let data = tempfile::tempdir().unwrap();
    let mut app = App::start(program, data.path());
    let jwks = "/.well-known/jwks.json";
    let answer = app.get(jwks, "");
    let (head, document) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(
        head.contains("cache-control: public, max-age=300"),
        "{head}"
    );
    for private in ["\"d\"", "\"k\"", "oct"] {
        assert!(!document.contains(private));
    }
    // The tag as received: its letter case matters.
    let tag = answer.lines().find_map(|line| {
        line.split_once(": ")
            .filter(|(name, _)| name.eq_ignore_ascii_case("etag"))
    });
    let (_, tag) = tag.unwrap();
    let again = app.get(jwks, &format!("if-none-match: {tag}\r\n"));
    assert!(again.starts_with("HTTP/1.1 304"), "{again}");
    app.stop();

    let restarted = App::start(program, data.path());
    assert!(restarted.get(jwks, "").ends_with(document));
}

/// Tests that the routes for health and readiness respond with 200, and that for metrics with 404
/// until it is enabled.
///
/// # Panics
/// If the test fails.
pub fn health_is_told_and_metrics_are_not(program: &str) {
    let data = tempfile::tempdir().unwrap();
    let app = App::start(program, data.path());
    let alive = app.get("/health", "");
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    let ready = app.get("/ready", "");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(
        ready.ends_with(r#"{"reasons":[],"status":"ready"}"#),
        "{ready}"
    );
    let metrics = app.get("/metrics", "");
    assert!(metrics.starts_with("HTTP/1.1 404"), "{metrics}");
}

/// Tests that only the owner can read the file of keys.
///
/// # Panics
/// If the test fails.
#[cfg(unix)]
pub fn the_file_of_keys_is_the_owners_alone(program: &str) {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let _app = App::start(program, data.path());
    let about = std::fs::metadata(data.path().join("keys")).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
}

/// Tests that `TLS=on` serves HTTPS only. `tests/browser` tests it with browsers.
///
/// # Panics
/// If the test fails.
pub fn tls_on_serves_https_and_nothing_in_the_clear(program: &str) {
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(program, data.path(), &[("TLS", "on")]);
    assert!(app.listening.starts_with("listening https://localhost:"));
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    // An alert, then the end of the connection.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"));
}
