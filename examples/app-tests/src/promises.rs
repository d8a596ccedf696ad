//! Keys, health and metrics.

use super::App;

/// The JWKS route answers with a validator and public members alone, the same after a restart.
///
/// # Panics
/// If that is not so.
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
    // The tag as it came: its case counts.
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

/// The routes for health and readiness answer 200, that for metrics 404 until it is asked for.
///
/// # Panics
/// If that is not so.
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

/// Only the owner of the file of keys may read it.
///
/// # Panics
/// If that is not so.
#[cfg(unix)]
pub fn the_file_of_keys_is_the_owners_alone(program: &str) {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let _app = App::start(program, data.path());
    let about = std::fs::metadata(data.path().join("keys")).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
}
