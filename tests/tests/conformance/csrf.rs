//! CHECKLIST C14 to C16: cookie-carried requests that change something must come from this site.

use serde_json::{Value, json};

use crate::client::{HOST, Reply, Request};
use crate::forge::token;
use crate::shims::{Contenders, base, base_with, contenders};

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
fn passes(shims: &Contenders, lines: &[(&str, &str)]) {
    assert!(!refused(&shims.ask(&post(lines))), "{lines:?}");
}

#[track_caller]
fn fails(shims: &Contenders, lines: &[(&str, &str)]) {
    assert!(refused(&shims.ask(&post(lines))), "{lines:?}");
}

#[test]
fn c14_unsafe_methods_need_proof_of_the_same_origin() {
    let shims = contenders(&base());
    for method in UNSAFE {
        let request = Request::new(method, "/me").cookie(&token());
        assert!(refused(&shims.ask(&request)), "{method}");
        let proven = request.with("sec-fetch-site", "same-origin");
        assert!(!refused(&shims.ask(&proven)), "{method}");
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        let request = Request::new(method, "/me").cookie(&token());
        let foreign = request.with("origin", "https://evil.example");
        assert!(
            !refused(&shims.ask(&foreign.with("sec-fetch-site", "cross-site"))),
            "{method}"
        );
    }
}

/// Not the server's word but the guard's: a page may read and write a WebSocket of any site, so a
/// sibling origin, whose requests carry the cookies, must not open one.
#[test]
fn c14_websockets_need_proof_of_the_same_origin() {
    for config in [base(), base_with(json!({ "cookies": "cross_site" }))] {
        let shims = contenders(&config);
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
            let reply = shims.ask(&open.clone().with("origin", origin));
            assert_eq!(reply.status, wanted, "{origin}: {reply:?}");
        }
        assert_eq!(shims.ask(&open).status, 403);
        let bearer = Request::new("GET", "/me").bearer(&token());
        let bearer = bearer.with("upgrade", "websocket");
        let bearer = bearer.with("origin", "https://evil.example");
        assert_eq!(shims.ask(&bearer).status, 200);
    }
}

#[test]
fn c14_bearer_requests_are_exempt() {
    let shims = contenders(&base());
    for method in UNSAFE {
        let request = Request::new(method, "/me")
            .bearer(&token())
            .with("origin", "https://evil.example")
            .with("sec-fetch-site", "cross-site");
        assert_eq!(shims.ask(&request).status, 200, "{method}");
    }
}

#[test]
fn c14_no_header_of_the_attacker_changes_the_method_or_the_type() {
    let shims = contenders(&base());
    for content in [
        "text/plain",
        "application/json",
        "application/x-www-form-urlencoded",
    ] {
        fails(&shims, &[("content-type", content)]);
    }
    fails(&shims, &[("x-http-method-override", "GET")]);
    fails(&shims, &[("x-requested-with", "XMLHttpRequest")]);
    fails(&shims, &[("referer", "https://api.example/")]);
    let own = format!("https://{HOST}");
    for forwarded in ["x-forwarded-host", "x-original-host", "forwarded"] {
        fails(
            &shims,
            &[
                ("origin", "https://evil.example"),
                (forwarded, "evil.example"),
            ],
        );
        fails(
            &shims,
            &[
                ("origin", "https://evil.example"),
                (forwarded, "host=evil.example"),
            ],
        );
    }
    passes(&shims, &[("origin", &own)]);
}

#[test]
fn c15_sec_fetch_site_decides_where_it_is_sent() {
    let shims = contenders(&base());
    passes(&shims, &[("sec-fetch-site", "same-origin")]);
    passes(&shims, &[("sec-fetch-site", "none")]);
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
        fails(&shims, &[("sec-fetch-site", site)]);
        fails(&shims, &[("sec-fetch-site", site), ("origin", &own)]);
    }
    for second in ["same-origin", "none", "cross-site"] {
        fails(
            &shims,
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", second),
            ],
        );
    }
}

#[test]
fn c15_without_it_the_origin_must_be_ours() {
    let shims = contenders(&base());
    passes(&shims, &[("origin", &format!("https://{HOST}"))]);
    passes(&shims, &[("origin", "https://api.example:443")]);
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
        fails(&shims, &[("origin", origin)]);
    }
    let own = format!("https://{HOST}");
    for second in [own.as_str(), "https://evil.example", "null"] {
        fails(&shims, &[("origin", &own), ("origin", second)]);
    }
    let obs_text = Request::new("POST", "/me")
        .cookie(&token())
        .with("origin", b"https://\xff");
    assert!(refused(&shims.ask(&obs_text)));
}

#[test]
fn c15_the_port_counts_on_both_sides() {
    let shims = contenders(&base());
    let post = |host: &str, origin: &str| {
        let request = Request::new("POST", "/me")
            .cookie(&token())
            .with("host", host);
        refused(&shims.ask(&request.with("origin", origin)))
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
    let shims = contenders(&base());
    let ask = |origin: &str| {
        let request = Request::new("POST", "/me")
            .cookie(&token())
            .with("origin", origin);
        refused(&shims.ask_h2(&request))
    };
    assert!(!ask("https://api.example"));
    assert!(ask("https://evil.example"));
    assert!(ask("https://api.example:8443"));
}

#[test]
fn c15_listed_origins_pass_and_only_they() {
    let shims = contenders(&base_with(
        json!({ "origins": ["https://app.example", "https://b.example:8443"] }),
    ));
    for origin in ["https://app.example", "https://b.example:8443"] {
        passes(&shims, &[("origin", origin)]);
        passes(
            &shims,
            &[("origin", origin), ("sec-fetch-site", "cross-site")],
        );
        passes(
            &shims,
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
        fails(&shims, &[("origin", origin)]);
        fails(
            &shims,
            &[("origin", origin), ("sec-fetch-site", "cross-site")],
        );
    }
    fails(&shims, &[("sec-fetch-site", "cross-site")]);
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
    let shims = contenders(&config);
    let trusted = ("origin", "https://app.example");
    fails(&shims, &[trusted]);
    passes(&shims, &[trusted, ("x-requested-with", "anything")]);
    passes(
        &shims,
        &[("sec-fetch-site", "same-origin"), ("x-requested-with", "1")],
    );
    fails(&shims, &[("sec-fetch-site", "same-origin")]);
    fails(&shims, &[("x-requested-with", "1")]);
    fails(
        &shims,
        &[
            ("origin", "https://evil.example"),
            ("x-requested-with", "1"),
        ],
    );
    let bearer = Request::new("POST", "/me").bearer(&token());
    assert_eq!(shims.ask(&bearer).status, 200);
}

#[test]
fn c16_a_refused_request_reaches_no_handler() {
    let shims = contenders(&base());
    let boom = Request::new("POST", "/boom").cookie(&token());
    let reply = shims.ask(&boom.clone().with("origin", "https://evil.example"));
    assert_eq!(reply.status, 403);
    assert_eq!(reply.headers("set-cookie"), [""; 0]);
    assert_eq!(
        shims
            .ask(&boom.with("sec-fetch-site", "same-origin"))
            .status,
        500
    );
}

#[test]
fn c14_a_bad_token_is_told_before_the_origin_is() {
    let shims = contenders(&base());
    let foreign = |request: Request| request.with("origin", "https://evil.example");
    let bad = shims.ask(&foreign(Request::new("POST", "/me").cookie("x")));
    assert_eq!(bad, crate::shims::invalid_token());
    let anonymous = shims.ask(&foreign(Request::new("POST", "/maybe")));
    assert_eq!(
        (anonymous.status, &anonymous.json()["sub"]),
        (200, &Value::Null)
    );
    assert!(refused(
        &shims.ask(&foreign(Request::new("POST", "/maybe").cookie(&token())))
    ));
}
