//! CHECKLIST B: where a token may be, what is answered, what surrounds the layer.

use serde_json::{Value, json};

use crate::client::Request;
use crate::forge::{token, token_of, token_with};
use crate::shims::{NOW, base, base_with, contenders};

fn authorization(value: impl AsRef<[u8]>) -> Request {
    Request::get("/me").with("authorization", value)
}

fn invalid_request() -> Option<Option<String>> {
    Some(Some("invalid_request".to_owned()))
}

#[test]
fn b01_scheme_in_any_case_and_any_number_of_spaces() {
    let shims = contenders(&base());
    for start in [
        "Bearer ",
        "bearer ",
        "BEARER ",
        "bEaReR ",
        "Bearer  ",
        "Bearer          ",
    ] {
        let reply = shims.ask(&authorization(format!("{start}{}", token())));
        assert_eq!(reply.status, 200, "{start:?}");
    }
}

#[test]
fn b02_b03_malformed_bearer_credentials() {
    let shims = contenders(&base());
    let good = token();
    for value in [
        format!("Bearer\t{good}"),
        format!("Bearer \t{good}"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer \"{good}\""),
        format!("Bearer {good} {good}"),
        format!("Bearer {good},{good}"),
        format!("Bearer {good}, Bearer {good}"),
        format!("Bearer {good},"),
        format!("Bearer {good}%20"),
        format!("Bearer token={good}"),
        format!("Bearer {good};x"),
        "Bearer ====".to_owned(),
    ] {
        let reply = shims.ask(&authorization(&value));
        assert_eq!(
            (reply.status, reply.error_code()),
            (400, invalid_request()),
            "{value}"
        );
    }
    for bytes in [b"\xe9".as_slice(), b"\xff", "é".as_bytes(), b"\x80"] {
        let value = [b"Bearer ", good.as_bytes(), bytes].concat();
        let reply = shims.ask(&authorization(&value));
        assert_eq!(
            (reply.status, reply.error_code()),
            (400, invalid_request()),
            "{bytes:?}"
        );
        let value = [b"Bearer".as_slice(), bytes, b" ", good.as_bytes()].concat();
        let reply = shims.ask(&authorization(&value));
        assert!(matches!(reply.status, 400 | 401), "{bytes:?}: {reply:?}");
    }
}

#[test]
fn b02_other_schemes_are_no_bearer_credential() {
    let shims = contenders(&base());
    let none = shims.ask(&Request::get("/me"));
    assert_eq!((none.status, none.error_code()), (401, Some(None)));
    let good = token();
    for value in [
        "Basic dXNlcjpwYXNz".to_owned(),
        format!("Token {good}"),
        format!("JWT {good}"),
        format!("DPoP {good}"),
        format!("Bearer{good}"),
        format!("Bearer:{good}"),
        format!("Bearers {good}"),
        format!("X-Bearer {good}"),
        String::new(),
        good.clone(),
    ] {
        assert_eq!(shims.ask(&authorization(&value)), none, "{value}");
    }
}

#[test]
fn b06_two_credentials_are_refused_whichever_they_are() {
    let shims = contenders(&base());
    let (a, b) = (token_of("a"), token_of("b"));
    let bad = "a.b.c";
    for (header, cookie) in [(a.as_str(), b.as_str()), (&a, &a), (&a, bad), (bad, &b)] {
        let request = Request::get("/me").bearer(header).cookie(cookie);
        for reply in [shims.ask(&request), shims.ask_h2(&request)] {
            assert_eq!((reply.status, reply.error_code()), (400, invalid_request()));
            assert_eq!(reply.headers("set-cookie"), [""; 0], "no cookie is touched");
        }
        let optional = Request::get("/maybe").bearer(header).cookie(cookie);
        assert_eq!(shims.ask(&optional).status, 400);
    }
    for (first, second) in [(&a, &b), (&a, &a)] {
        let lines = Request::get("/me").bearer(first).bearer(second);
        assert_eq!(shims.ask(&lines).status, 400, "two Authorization lines");
        assert_eq!(shims.ask_h2(&lines).status, 400, "two Authorization lines");
        let one = Request::get("/me")
            .bearer(first)
            .with("authorization", "Basic dTpw");
        assert_eq!(
            shims.ask(&one).status,
            400,
            "two Authorization lines, one of another scheme"
        );
    }
}

#[test]
fn b06_a_malformed_header_is_not_saved_by_a_cookie() {
    let shims = contenders(&base());
    let reply = shims.ask(
        &Request::get("/me")
            .with("authorization", "Bearer")
            .cookie(&token()),
    );
    assert_eq!((reply.status, reply.error_code()), (400, invalid_request()));
}

#[test]
fn b07_tokens_in_queries_and_bodies_are_not_read() {
    let shims = contenders(&base());
    let none = shims.ask(&Request::get("/me"));
    let good = token();
    for target in [
        format!("/me?access_token={good}"),
        format!("/me?Authorization=Bearer%20{good}"),
    ] {
        assert_eq!(shims.ask(&Request::get(&target)), none, "{target}");
    }
    let mut form =
        Request::new("POST", "/me").with("content-type", "application/x-www-form-urlencoded");
    form.body = format!("access_token={good}").into_bytes();
    assert_eq!(shims.ask(&form), none);
    let with_header = Request::get(&format!("/me?access_token={good}")).bearer(&token_of("a"));
    assert_eq!(shims.ask(&with_header).json()["sub"], "a");
}

#[test]
fn b08_challenges_are_those_of_rfc_6750_and_rfc_9470() {
    let shims = contenders(&base());
    let challenge = |request: &Request| {
        let reply = shims.ask(request);
        (
            reply.status,
            reply.header("www-authenticate").map(str::to_owned),
        )
    };
    let expect = |status: u16, text: &str| (status, Some(text.to_owned()));
    let me = Request::get("/me");
    assert_eq!(challenge(&me), expect(401, r#"Bearer realm="api""#));
    assert_eq!(
        challenge(&me.clone().with("authorization", "Bearer")),
        expect(400, r#"Bearer realm="api", error="invalid_request""#)
    );
    assert_eq!(
        challenge(&me.clone().bearer("x")),
        expect(401, r#"Bearer realm="api", error="invalid_token""#)
    );
    for scope in [
        json!("user"),
        json!(""),
        json!("Admin"),
        json!("administrator xadmin admin2"),
    ] {
        let token = token_with(json!({ "scope": scope }));
        assert_eq!(
            challenge(&Request::get("/admin").bearer(&token)),
            expect(
                403,
                r#"Bearer realm="api", error="insufficient_scope", scope="admin""#
            ),
            "{scope}"
        );
    }
    let old = token_with(json!({ "scope": "admin", "auth_time": NOW - 61 }));
    let too_old = r#"Bearer realm="api", error="insufficient_user_authentication", max_age="60""#;
    assert_eq!(
        challenge(&Request::get("/strict").bearer(&old)),
        expect(401, too_old)
    );
}

#[test]
fn b08_scopes_and_step_up_let_the_right_ones_in() {
    let shims = contenders(&base());
    let status = |path: &str, claims: Value| {
        shims
            .ask(&Request::get(path).bearer(&token_with(claims)))
            .status
    };
    assert_eq!(status("/admin", json!({ "scope": "user admin" })), 200);
    assert_eq!(
        status(
            "/strict",
            json!({ "scope": "admin", "auth_time": NOW - 60 })
        ),
        200
    );
    assert_eq!(
        status("/strict", json!({ "scope": "admin" })),
        401,
        "no auth_time"
    );
    assert_eq!(
        status("/strict", json!({ "auth_time": NOW })),
        403,
        "no scope"
    );
    assert_eq!(status("/recent", json!({ "auth_time": NOW - 300 })), 200);
    assert_eq!(status("/recent", json!({ "auth_time": NOW - 301 })), 401);
    assert_eq!(status("/recent", json!({})), 401);
    for path in ["/admin", "/strict", "/recent"] {
        assert_eq!(
            shims.ask(&Request::get(path)).error_code(),
            Some(None),
            "{path} without token"
        );
        let bad = shims.ask(&Request::get(path).bearer("x"));
        assert_eq!(
            bad,
            crate::shims::invalid_token(),
            "{path} with a bad token"
        );
    }
}

#[test]
fn b11_real_preflights_pass_where_the_guard_says_so() {
    let shims = contenders(&base_with(json!({ "preflight": true })));
    let preflight = |path: &str| {
        Request::new("OPTIONS", path)
            .with("origin", "https://app.example")
            .with("access-control-request-method", "PUT")
    };
    for path in ["/me", "/nested/a/b", "/admin", "/strict", "/typed"] {
        assert_eq!(shims.ask(&preflight(path)).status, 204, "{path}");
    }
    for request in [
        Request::new("OPTIONS", "/me"),
        Request::new("OPTIONS", "/me").with("origin", "https://app.example"),
        Request::new("OPTIONS", "/me").with("access-control-request-method", "PUT"),
        Request {
            method: "GET".to_owned(),
            ..preflight("/me")
        },
        Request {
            method: "options".to_owned(),
            ..preflight("/me")
        },
    ] {
        assert_eq!(shims.ask(&request).status, 401, "{request:?}");
    }
}

#[test]
fn b11b_every_method_is_guarded() {
    let shims = contenders(&base());
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "get",
    ] {
        for path in ["/me", "/nested/a/b", "/admin", "/strict", "/typed"] {
            let request = Request::new(method, path);
            let reply = shims.ask(&request);
            assert_eq!(
                (reply.status, reply.error_code()),
                (401, Some(None)),
                "{method} {path}"
            );
            assert_eq!(
                shims.ask(&request.bearer("x")).status,
                401,
                "{method} {path}"
            );
        }
        let reply = shims.ask(&Request::new(method, "/me").bearer(&token()));
        assert_eq!(reply.status, 200, "{method}");
    }
    let preflight = Request::new("OPTIONS", "/me")
        .with("origin", "https://app.example")
        .with("access-control-request-method", "PUT");
    assert_eq!(
        shims.ask(&preflight).status,
        401,
        "a preflight is guarded unless configured"
    );
}

#[test]
fn b12_what_the_guard_covers() {
    let shims = contenders(&base());
    let good = token();
    let status = |request: Request| shims.ask(&request).status;
    // A method that a guarded resource does not know: 401 first.
    assert_eq!(status(Request::new("POST", "/recent")), 401);
    assert_eq!(status(Request::new("GET", "/boom")), 401);
    assert_eq!(status(Request::new("GET", "/boom").bearer(&good)), 405);
    // A path that no guard covers is unknown to everybody, one inside a guarded scope is not.
    assert_eq!(status(Request::get("/nowhere")), 404);
    assert_eq!(status(Request::get("/me/")), 404);
    assert_eq!(status(Request::get("/nested/nowhere")), 401);
    assert_eq!(status(Request::get("/nested/nowhere").bearer(&good)), 404);
    assert_eq!(status(Request::get("/nested/a/b").bearer(&good)), 200);
    assert_eq!(status(Request::get("/open")), 200);
    assert_eq!(
        status(Request::get("/open").bearer("x")),
        200,
        "not under the layer"
    );
    assert_eq!(status(Request::new("POST", "/open")), 405);
}

#[test]
fn b14_identity_headers_of_the_client_mean_nothing() {
    let shims = contenders(&base());
    let claiming = |request: Request| {
        request
            .with("x-user-id", "b")
            .with("x-claims", r#"{"sub":"b"}"#)
            .with("x-forwarded-user", "b")
            .with("remote-user", "b")
            .with("proxy-authorization", format!("Bearer {}", token_of("b")))
            .with("x-authorization", format!("Bearer {}", token_of("b")))
    };
    assert_eq!(
        shims.ask(&claiming(Request::get("/me"))),
        shims.ask(&Request::get("/me"))
    );
    let reply = shims.ask(&claiming(Request::get("/me").bearer(&token_of("a"))));
    assert_eq!(reply.json()["sub"], "a");
    assert_eq!(
        shims.ask(&claiming(Request::get("/maybe"))).json()["sub"],
        Value::Null
    );
}

#[test]
fn b14b_optional_mode_refuses_what_is_bad_on_purpose() {
    let shims = contenders(&base());
    let anonymous = shims.ask(&Request::get("/maybe"));
    assert_eq!(
        (anonymous.status, &anonymous.json()["sub"]),
        (200, &Value::Null)
    );
    let expired = token_with(json!({ "iat": NOW - 900, "exp": NOW - 300 }));
    for bad in [expired.as_str(), "x", "a.b.c"] {
        let header = shims.ask(&Request::get("/maybe").bearer(bad));
        assert_eq!(header, crate::shims::invalid_token(), "in the header");
        let cookie = shims.ask(&Request::get("/maybe").cookie(bad));
        assert_eq!(cookie, anonymous, "in a cookie, which nobody can leave out");
        assert_eq!(
            shims.ask(&Request::get("/me").cookie(bad)),
            crate::shims::invalid_token()
        );
    }
    assert_eq!(shims.ask(&authorization("Bearer")).status, 400);
    let malformed = Request::get("/maybe").with("authorization", "Bearer");
    assert_eq!(shims.ask(&malformed).status, 400);
    let good = shims.ask(&Request::get("/maybe").bearer(&token()));
    assert_eq!(good.json(), shims.me(&token()).json());
    let cookie = shims.ask(&Request::get("/maybe").cookie(&token())).json();
    assert_eq!(cookie["carrier"], "cookie");
}

#[test]
fn b17_the_handlers_own_cookies_survive() {
    let shims = contenders(&base());
    let reply = shims.ask(&Request::new("POST", "/boom").bearer(&token()));
    assert_eq!(reply.status, 500);
    assert_eq!(reply.headers("set-cookie"), ["app=1"]);
}

#[test]
fn b18_refusals_are_not_cached() {
    let shims = contenders(&base());
    for request in [
        Request::get("/me"),
        Request::get("/me").bearer("x"),
        Request::get("/me").with("authorization", "Bearer"),
        Request::get("/admin").bearer(&token()),
        Request::get("/recent").bearer(&token()),
        Request::new("POST", "/me").cookie(&token()),
    ] {
        let reply = shims.ask(&request);
        assert!(reply.status >= 400, "{request:?}");
        assert_eq!(
            reply.header("cache-control"),
            Some("no-store"),
            "{request:?}"
        );
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        let body = reply.json();
        assert_eq!(body["status"], reply.status);
        assert_eq!(body["type"], "about:blank");
    }
}

#[test]
fn b20_cookies_are_found_in_any_cookie_field() {
    let shims = contenders(&base());
    let own = format!("__Host-Http-at={}", token());
    let crumbs = |count: usize, at: usize| {
        (0..count).fold(Request::get("/me"), |request, index| {
            let crumb = if index == at {
                own.clone()
            } else {
                format!("c{index}=v{index}")
            };
            request.with("cookie", crumb)
        })
    };
    for request in [crumbs(50, 49), crumbs(50, 0), crumbs(2, 1), crumbs(1, 0)] {
        for reply in [shims.ask(&request), shims.ask_h2(&request)] {
            assert_eq!(reply.status, 200);
            assert_eq!(reply.json()["carrier"], "cookie");
        }
    }
    let twice = crumbs(20, 3).with("cookie", own);
    assert_eq!(shims.ask(&twice).status, 400);
    assert_eq!(shims.ask_h2(&twice).status, 400);
}
