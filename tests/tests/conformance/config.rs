//! What a shim does with its configuration and with signals.

use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Request, send};
use crate::forge::{oct_jwk, public_jwk, token};
use crate::shims::{BINARIES, Shim, base, base_with, contenders, refused, with_keys};

#[test]
fn bad_configurations_are_refused_with_a_reason() {
    for (changes, word) in [
        (json!({ "issuer": "" }), "issuer"),
        (json!({ "audience": "" }), "audience"),
        (json!({ "leeway_s": 301 }), "leeway"),
        (json!({ "sign_with": "k2" }), "sign"),
        (json!({ "sources": [] }), "sources"),
        (json!({ "cookies": { "subdomains": "" } }), "domain"),
        (
            json!({ "cookies": { "subdomains": "example.test; Path=/x" } }),
            "domain",
        ),
        (
            json!({ "cookies": { "subdomains": "example.test\r\nx: y" } }),
            "domain",
        ),
        (json!({ "client_ip_field": "" }), "client_ip_field"),
        (json!({ "client_ip_field": "x real ip" }), "client_ip_field"),
        (json!({ "colour": "red" }), "colour"),
        (json!({ "keys": [oct_jwk("k1", "HS256", b"short")] }), "32"),
    ] {
        let error = refused(&base_with(changes.clone()));
        assert!(error.to_lowercase().contains(word), "{changes}: {error}");
    }
    for key in ["issuer", "audience", "keys"] {
        refused(&base_with(json!({ key: null })));
    }
    let verify_only = public_jwk("rsa", "k1", "RS256");
    refused(&base_with(
        json!({ "keys": [verify_only], "sign_with": "k1" }),
    ));
    refused(&Value::Null);
    refused(&json!([]));
}

#[test]
fn configuration_errors_do_not_print_secrets() {
    let secret = "MARKED-0123456789-MARKED";
    let error = refused(&with_keys(json!([oct_jwk(
        "k1",
        "HS256",
        secret.as_bytes()
    )])));
    assert!(
        !error.contains(secret) && !error.contains(&crate::forge::b64(secret)),
        "{error}"
    );
}

#[test]
fn arguments_that_name_no_configuration_are_refused() {
    for binary in BINARIES {
        for arguments in [[].as_slice(), &["/nonexistent/config.json"], &["a", "b"]] {
            let output = Command::new(binary).args(arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            assert_eq!(output.stdout, b"");
            assert!(!output.stderr.is_empty());
        }
    }
}

#[test]
fn a_configuration_may_come_from_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), base().to_string()).unwrap();
    for binary in BINARIES {
        use std::io::{BufRead, BufReader};
        let mut child = Command::new(binary)
            .arg(file.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.starts_with("listening http://127.0.0.1:"), "{line}");
    }
}

#[test]
fn sigterm_ends_both_cleanly() {
    for binary in BINARIES {
        let shim = Shim::start(binary, &base(), &[]);
        let address = shim.address;
        let reply = send(address, &Request::get("/me").bearer(&token())).unwrap();
        assert_eq!(reply.status, 200);
        let (status, _) = shim.terminate();
        assert_eq!(status, Some(0), "{binary}");
        assert!(
            TcpStream::connect(address).is_err(),
            "nobody listens any more"
        );
    }
}

#[test]
fn defaults_are_the_librarys_own() {
    let least = json!({
        "issuer": crate::shims::ISSUER,
        "audience": crate::shims::AUDIENCE,
        "keys": [base()["keys"][0]],
    });
    let shims = contenders(&least);
    // By the system's clock, NOW is either far away or long gone.
    assert_eq!(shims.me(&token()).status, 401);
    assert_eq!(shims.ask(&Request::get("/open")).json(), json!({}));
    let clock = Request::new("POST", "/shim/clock").json(&json!({ "advance_s": 1 }));
    assert_eq!(
        shims.ask(&clock).status,
        409,
        "the system's clock is not ours to move"
    );
}
