//! CHECKLIST C, reading cookies. What is written is tested where it is written, in `auth-cookie`.

use std::time::Duration;

use serde_json::json;

use crate::client::{Request, quickest};
use crate::forge::{token, token_of};
use crate::shims::{base, base_with, contenders, invalid_token};

fn cookie(value: impl AsRef<[u8]>) -> Request {
    Request::get("/me").with("cookie", value)
}

#[test]
fn c07_a_nameless_cookie_is_not_a_named_one() {
    let shims = contenders(&base());
    let none = shims.ask(&Request::get("/me"));
    for text in [
        "=__Host-Http-at=",
        " =__Host-Http-at=",
        "==__Host-Http-at=",
        "a=__Host-Http-at=",
    ] {
        assert_eq!(
            shims.ask(&cookie(format!("{text}{}", token()))),
            none,
            "{text}"
        );
    }
}

#[test]
fn c10_names_are_compared_byte_for_byte() {
    let shims = contenders(&base());
    let none = shims.ask(&Request::get("/me"));
    let names: [&[u8]; 14] = [
        b"__host-http-at",
        b"__HOST-HTTP-AT",
        b"__Host-Http-AT",
        b"__Host-http-at",
        b"__Host-at",
        b"__Secure-at",
        b"at",
        b"__Host-Http-rt",
        b"x__Host-Http-at",
        b"__Host-Http-at2",
        b"%5F%5FHost-Http-at",
        b"\"__Host-Http-at\"",
        "__Host-Http-at\u{a0}".as_bytes(),
        b"\x85__Host-Http-at",
    ];
    for name in names {
        let value = [name, b"=", token().as_bytes()].concat();
        assert_eq!(
            shims.ask(&cookie(&value)),
            none,
            "{}",
            String::from_utf8_lossy(name)
        );
        let beside = [
            value.as_slice(),
            b"; __Host-Http-at=",
            token_of("a").as_bytes(),
        ]
        .concat();
        let reply = shims.ask(&cookie(&beside));
        assert_eq!(
            reply.json()["sub"],
            "a",
            "{}",
            String::from_utf8_lossy(name)
        );
    }
}

#[test]
fn c06_twice_the_same_name_is_ambiguous() {
    let shims = contenders(&base());
    let (a, b) = (token_of("a"), token_of("b"));
    for value in [
        format!("__Host-Http-at={a}; __Host-Http-at={b}"),
        format!("__Host-Http-at={a}; __Host-Http-at={a}"),
        format!("__Host-Http-at=x; c=d; __Host-Http-at={a}"),
    ] {
        let reply = shims.ask(&cookie(&value));
        let code = Some(Some("invalid_request".to_owned()));
        assert_eq!((reply.status, reply.error_code()), (400, code), "{value}");
        assert_eq!(reply.headers("set-cookie"), [""; 0]);
        let optional = Request::get("/maybe").with("cookie", &value);
        assert_eq!(shims.ask(&optional).status, 400, "{value}");
    }
}

#[test]
fn c09_values_are_taken_as_they_are() {
    let shims = contenders(&base());
    let good = token();
    let encoded = good.replace('.', "%2E");
    for value in [
        format!("\"{good}\""),
        format!("\"{good}"),
        encoded,
        format!("{good}%20"),
        format!("{good},"),
        format!("{good} x"),
        format!("{good}\\"),
    ] {
        let reply = shims.ask(&cookie(format!("__Host-Http-at={value}")));
        assert!(matches!(reply.status, 400 | 401), "{value}: {reply:?}");
    }
    for bytes in [b"\xff".as_slice(), b"\x80\x81", "é".as_bytes()] {
        let own = [b"__Host-Http-at=", good.as_bytes(), bytes].concat();
        assert!(
            matches!(shims.ask(&cookie(own)).status, 400 | 401),
            "{bytes:?}"
        );
        let neighbour = [b"x=", bytes, b"; __Host-Http-at=", good.as_bytes()].concat();
        assert_eq!(
            shims.ask(&cookie(neighbour)).status,
            200,
            "{bytes:?} in a neighbour"
        );
        let neighbour = [bytes, b"=x; __Host-Http-at=", good.as_bytes()].concat();
        assert_eq!(
            shims.ask(&cookie(neighbour)).status,
            200,
            "{bytes:?} in a neighbour's name"
        );
    }
}

#[test]
fn c09_separators_have_one_rule() {
    let shims = contenders(&base());
    let good = token();
    for before in [
        "a=b; ", "a=b;", ";", ";;; ; ", "a; ", "=; ", "a=\"b; ", "a=b;\t", " ",
    ] {
        let reply = shims.ask(&cookie(format!("{before}__Host-Http-at={good}")));
        assert_eq!(reply.status, 200, "{before:?}");
    }
    for after in [";", " ;", "; ", "; a=b", ";a=\"", "\t;"] {
        let reply = shims.ask(&cookie(format!("__Host-Http-at={good}{after}")));
        assert_eq!(reply.status, 200, "{after:?}");
    }
    let none = shims.ask(&Request::get("/me"));
    for before in ["a=b, ", "a=b ", "a=", "a"] {
        assert_eq!(
            shims.ask(&cookie(format!("{before}__Host-Http-at={good}"))),
            none,
            "{before:?}"
        );
    }
    for empty in [
        "",
        ";",
        "__Host-Http-at",
        "__Host-Http-at=",
        "__Host-Http-at=;",
        "a",
    ] {
        assert_eq!(shims.ask(&cookie(empty)), none, "{empty:?}");
    }
}

#[test]
fn c09_presets_choose_the_name() {
    let subdomains = contenders(&base_with(
        json!({ "cookies": { "subdomains": "example.test" } }),
    ));
    let reply = subdomains.ask(&cookie(format!("__Secure-at={}", token())));
    assert_eq!(
        (reply.status, &reply.json()["carrier"]),
        (200, &json!("cookie"))
    );
    assert_eq!(
        subdomains
            .ask(&cookie(format!("__Host-Http-at={}", token())))
            .status,
        401
    );
    for preset in ["same_origin_spa", "server_rendered", "cross_site"] {
        let shims = contenders(&base_with(json!({ "cookies": preset })));
        assert_eq!(
            shims.ask(&Request::get("/me").cookie(&token())).status,
            200,
            "{preset}"
        );
    }
}

#[test]
fn c09_cookies_are_read_only_where_configured() {
    let shims = contenders(&base_with(json!({ "sources": ["bearer"] })));
    let none = shims.ask(&Request::get("/me"));
    assert_eq!(shims.ask(&Request::get("/me").cookie(&token())), none);
    let both = Request::get("/me")
        .cookie(&token_of("b"))
        .bearer(&token_of("a"));
    assert_eq!(
        shims.ask(&both).json()["sub"],
        "a",
        "what is not asked is not there"
    );
    let only = crate::shims::contenders(&base_with(json!({ "sources": ["cookie"] })));
    assert_eq!(only.ask(&Request::get("/me").bearer(&token())), none);
    assert_eq!(only.ask(&Request::get("/me").cookie(&token())).status, 200);
}

#[test]
fn c12_many_cookies_take_bounded_time() {
    let shims = contenders(&base());
    let own = format!("__Host-Http-at={}", token());
    // Over HTTP/1.1 as many as a request head holds…
    let line = format!("{}{own}", "a=;".repeat(40_000));
    let limit = Duration::from_secs(2);
    let (reply, elapsed) = quickest(limit, || shims.ask(&cookie(&line)));
    assert_eq!(reply.status, 200);
    assert!(elapsed < limit, "{elapsed:?}");
    // … over HTTP/2 300,000 in one field, and in many.
    let line = format!("{}{own}", "a=;".repeat(300_000));
    let fields = (0..30_000).fold(Request::get("/me"), |request, _| {
        request.with("cookie", "a=")
    });
    for request in [cookie(&line), fields.with("cookie", &own)] {
        let limit = Duration::from_secs(10);
        let (reply, elapsed) = quickest(limit, || shims.ask_h2(&request));
        assert_eq!(reply.status, 200);
        assert!(elapsed < limit, "{elapsed:?}");
    }
}

#[test]
fn c12_a_head_beyond_the_limit_gets_431_from_both() {
    let shims = contenders(&base());
    let line = "a=;".repeat(50_000);
    if let Some(reply) = shims.try_ask(&cookie(line)) {
        assert_eq!(reply.status, 431);
    }
}

#[test]
fn c18_a_bad_cookie_is_not_cleared_by_a_guard() {
    let shims = contenders(&base());
    let reply = shims.ask(&Request::get("/me").cookie("x"));
    assert_eq!(
        reply,
        invalid_token(),
        "no Set-Cookie: only a terminal outcome clears cookies"
    );
}
