//! CHECKLIST C14 to C16: cookie-carried requests that change something must come from this site.

use serde_json::{Value, json};

use crate::client::{HOST, Reply, Request};
use crate::forge::token;
use crate::shims::{Pair, base, base_with, pair};

const UNSAFE: [&str; 7] = ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PURGE", "get"];

fn refused(reply: &Reply) -> bool {
    let crossed = reply.status == 403;
    if crossed {
        assert_eq!(
            reply.header("www-authenticate"),
            None,
            "a challenge would not help"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    } else {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    crossed
}

/// A cookie-carried POST with these header lines.
fn post(lines: &[(&str, &str)]) -> Request {
    let request = Request::new("POST", "/me").cookie(&token());
    lines
        .iter()
        .fold(request, |request, (name, value)| request.with(name, value))
}

#[track_caller]
fn passes(pair: &Pair, lines: &[(&str, &str)]) {
    assert!(!refused(&pair.ask(&post(lines))), "{lines:?}");
}

#[track_caller]
fn fails(pair: &Pair, lines: &[(&str, &str)]) {
    assert!(refused(&pair.ask(&post(lines))), "{lines:?}");
}

#[test]
fn c14_unsafe_methods_need_proof_of_the_same_origin() {
    let pair = pair(&base());
    for method in UNSAFE {
        let request = Request::new(method, "/me").cookie(&token());
        assert!(refused(&pair.ask(&request)), "{method}");
        let proven = request.with("sec-fetch-site", "same-origin");
        assert!(!refused(&pair.ask(&proven)), "{method}");
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        let request = Request::new(method, "/me").cookie(&token());
        let foreign = request.with("origin", "https://evil.example");
        assert!(
            !refused(&pair.ask(&foreign.with("sec-fetch-site", "cross-site"))),
            "{method}"
        );
    }
}

/// Not the server's word but the guard's: a page may read and write a WebSocket of any site, so a
/// sibling origin, whose requests carry the cookies, must not open one.
#[test]
fn c14_websockets_need_proof_of_the_same_origin() {
    for config in [base(), base_with(json!({ "cookies": "cross_site" }))] {
        let pair = pair(&config);
        let open = Request::new("GET", "/me")
            .cookie(&token())
            .with("upgrade", "websocket")
            .with("sec-websocket-version", "13")
            .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let own = format!("https://{HOST}");
        for (origin, wanted) in [
            (own.as_str(), 200),
            ("https://evil.example", 403),
            ("https://sibling.api.example", 403),
            ("null", 403),
        ] {
            let reply = pair.ask(&open.clone().with("origin", origin));
            assert_eq!(reply.status, wanted, "{origin}: {reply:?}");
        }
        assert_eq!(pair.ask(&open).status, 403);
        let bearer = Request::new("GET", "/me").bearer(&token());
        let bearer = bearer.with("upgrade", "websocket");
        let bearer = bearer.with("origin", "https://evil.example");
        assert_eq!(pair.ask(&bearer).status, 200);
    }
}

#[test]
fn c14_bearer_requests_are_exempt() {
    let pair = pair(&base());
    for method in UNSAFE {
        let request = Request::new(method, "/me")
            .bearer(&token())
            .with("origin", "https://evil.example")
            .with("sec-fetch-site", "cross-site");
        assert_eq!(pair.ask(&request).status, 200, "{method}");
    }
}

#[test]
fn c14_no_header_of_the_attacker_changes_the_method_or_the_type() {
    let pair = pair(&base());
    for content in [
        "text/plain",
        "application/json",
        "application/x-www-form-urlencoded",
    ] {
        fails(&pair, &[("content-type", content)]);
    }
    fails(&pair, &[("x-http-method-override", "GET")]);
    fails(&pair, &[("x-requested-with", "XMLHttpRequest")]);
    fails(&pair, &[("referer", "https://api.example/")]);
    let own = format!("https://{HOST}");
    for forwarded in ["x-forwarded-host", "x-original-host", "forwarded"] {
        fails(
            &pair,
            &[
                ("origin", "https://evil.example"),
                (forwarded, "evil.example"),
            ],
        );
        fails(
            &pair,
            &[
                ("origin", "https://evil.example"),
                (forwarded, "host=evil.example"),
            ],
        );
    }
    passes(&pair, &[("origin", &own)]);
}

#[test]
fn c15_sec_fetch_site_decides_where_it_is_sent() {
    let pair = pair(&base());
    passes(&pair, &[("sec-fetch-site", "same-origin")]);
    passes(&pair, &[("sec-fetch-site", "none")]);
    let own = format!("https://{HOST}");
    for site in [
        "same-site",
        "cross-site",
        "",
        "Same-Origin",
        "same-origin ,none",
        "null",
        "1",
    ] {
        fails(&pair, &[("sec-fetch-site", site)]);
        fails(&pair, &[("sec-fetch-site", site), ("origin", &own)]);
    }
    for second in ["same-origin", "none", "cross-site"] {
        fails(
            &pair,
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", second),
            ],
        );
    }
}

#[test]
fn c15_without_it_the_origin_must_be_ours() {
    let pair = pair(&base());
    passes(&pair, &[("origin", &format!("https://{HOST}"))]);
    passes(&pair, &[("origin", "https://api.example:443")]);
    for origin in [
        "null",
        "",
        "https://evil.example",
        "https://api.example:8443",
        "https://api.example:80",
        "http://api.example",
        "https://api.example.evil",
        "https://api.example.",
        "https://API.example",
        "HTTPS://api.example",
        "https://evil@api.example",
        "https://api.example@evil",
        "https://api.example/",
        "https://api.example/path",
        "https://api.example?x",
        "https://api.example#x",
        "https://api.example\\@evil",
        "https://xapi.example",
        "https://sub.api.example",
        "https://api.example https://evil.example",
        "https://evil.example, https://api.example",
        "//api.example",
        "api.example",
        "https:api.example",
        "file://",
        "javascript://api.example",
    ] {
        fails(&pair, &[("origin", origin)]);
    }
    let own = format!("https://{HOST}");
    for second in [own.as_str(), "https://evil.example", "null"] {
        fails(&pair, &[("origin", &own), ("origin", second)]);
    }
    let obs_text = Request::new("POST", "/me")
        .cookie(&token())
        .with("origin", b"https://\xff");
    assert!(refused(&pair.ask(&obs_text)));
}

#[test]
fn c15_the_port_counts_on_both_sides() {
    let pair = pair(&base());
    let post = |host: &str, origin: &str| {
        let request = Request::new("POST", "/me")
            .cookie(&token())
            .with("host", host);
        refused(&pair.ask(&request.with("origin", origin)))
    };
    assert!(!post("api.example:8443", "https://api.example:8443"));
    assert!(!post("api.example:443", "https://api.example"));
    assert!(!post("localhost:3000", "http://localhost:3000"));
    assert!(!post("127.0.0.1:3000", "http://127.0.0.1:3000"));
    assert!(post("api.example:8443", "https://api.example"));
    assert!(post("api.example:8443", "https://api.example:8444"));
    assert!(post("localhost:3000", "http://localhost:3001"));
    assert!(post("localhost:3000", "http://127.0.0.1:3000"));
}

#[test]
fn c15_over_http2_the_authority_is_the_host() {
    let pair = pair(&base());
    let ask = |origin: &str| {
        let request = Request::new("POST", "/me")
            .cookie(&token())
            .with("origin", origin);
        refused(&pair.ask_h2(&request))
    };
    assert!(!ask("https://api.example"));
    assert!(ask("https://evil.example"));
    assert!(ask("https://api.example:8443"));
}

#[test]
fn c15_listed_origins_pass_and_only_they() {
    let pair = pair(&base_with(
        json!({ "origins": ["https://app.example", "https://b.example:8443"] }),
    ));
    for origin in ["https://app.example", "https://b.example:8443"] {
        passes(&pair, &[("origin", origin)]);
        passes(
            &pair,
            &[("origin", origin), ("sec-fetch-site", "cross-site")],
        );
        passes(
            &pair,
            &[("origin", origin), ("sec-fetch-site", "same-site")],
        );
    }
    for origin in [
        "https://app.example:8443",
        "http://app.example",
        "https://app.example.evil",
        "https://sub.app.example",
        "https://b.example",
        "null",
    ] {
        fails(&pair, &[("origin", origin)]);
        fails(
            &pair,
            &[("origin", origin), ("sec-fetch-site", "cross-site")],
        );
    }
    fails(&pair, &[("sec-fetch-site", "cross-site")]);
}

#[test]
fn c15_origins_that_cannot_be_meant_are_refused_at_start() {
    for origin in [
        "*",
        "null",
        "",
        "https://app.example/",
        "app.example",
        "https://*.example",
    ] {
        crate::shims::refused(&base_with(json!({ "origins": [origin] })));
    }
}

#[test]
fn c15_cross_site_cookies_need_the_custom_header_as_well() {
    let config = base_with(json!({ "cookies": "cross_site", "origins": ["https://app.example"] }));
    let pair = pair(&config);
    let trusted = ("origin", "https://app.example");
    fails(&pair, &[trusted]);
    passes(&pair, &[trusted, ("x-requested-with", "anything")]);
    passes(
        &pair,
        &[("sec-fetch-site", "same-origin"), ("x-requested-with", "1")],
    );
    fails(&pair, &[("sec-fetch-site", "same-origin")]);
    fails(&pair, &[("x-requested-with", "1")]);
    fails(
        &pair,
        &[
            ("origin", "https://evil.example"),
            ("x-requested-with", "1"),
        ],
    );
    let bearer = Request::new("POST", "/me").bearer(&token());
    assert_eq!(pair.ask(&bearer).status, 200);
}

#[test]
fn c16_a_refused_request_reaches_no_handler() {
    let pair = pair(&base());
    let boom = Request::new("POST", "/boom").cookie(&token());
    let reply = pair.ask(&boom.clone().with("origin", "https://evil.example"));
    assert_eq!(reply.status, 403);
    assert_eq!(reply.headers("set-cookie"), [""; 0]);
    assert_eq!(
        pair.ask(&boom.with("sec-fetch-site", "same-origin")).status,
        500
    );
}

#[test]
fn c14_a_bad_token_is_told_before_the_origin_is() {
    let pair = pair(&base());
    let foreign = |request: Request| request.with("origin", "https://evil.example");
    let bad = pair.ask(&foreign(Request::new("POST", "/me").cookie("x")));
    assert_eq!(bad, crate::shims::invalid_token());
    let anonymous = pair.ask(&foreign(Request::new("POST", "/maybe")));
    assert_eq!(
        (anonymous.status, &anonymous.json()["sub"]),
        (200, &Value::Null)
    );
    assert!(refused(
        &pair.ask(&foreign(Request::new("POST", "/maybe").cookie(&token())))
    ));
}
