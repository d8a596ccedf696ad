//! Sessions over HTTP, on every store.

use serde_json::{Value, json};

use crate::client::{Reply, Request};
use crate::player::{Client, Tokens, config, play, refused, tokens};
use crate::shims::{base_with, contenders};

#[test]
fn d01_a_login_gives_tokens_that_work() {
    play(&config(json!({})), |client| {
        let body = json!({
            "sub": "alice", "scope": "read admin", "transport": "body", "device": "phone",
            "claims": { "tenant": "acme", "level": 3 },
        });
        let reply = client.ask(&Request::new("POST", "/login").json(&body));
        assert_eq!(reply.json()["expires_in"], 600);
        let Tokens { access, refresh } = tokens(&reply);
        assert!(
            refresh.starts_with("rt1_") && refresh.len() == 4 + 71,
            "{}",
            refresh.len()
        );
        let me = client.ask(&Request::get("/me").bearer(&access)).json();
        assert_eq!(me["scope"], json!(["read", "admin"]));
        assert_eq!(me["claims"], json!({ "tenant": "acme", "level": 3 }));
        assert_eq!(
            client.ask(&Request::get("/strict").bearer(&access)).status,
            200
        );
        assert_eq!(
            client.ask(&Request::get("/typed").bearer(&access)).status,
            200
        );
    });
}

#[test]
fn i12_oauth_libraries_refresh_by_form() {
    play(&config(json!({})), |client| {
        let form = |body: String| {
            let mut request = Request::new("POST", "/auth/refresh")
                .with("content-type", "application/x-www-form-urlencoded");
            request.body = body.into_bytes();
            request
        };
        let first = client.login("alice").refresh;
        let other = client.ask(&form(format!(
            "grant_type=authorization_code&refresh_token={first}"
        )));
        assert_eq!(
            (other.status, &other.json()["error"]),
            (400, &json!("unsupported_grant_type"))
        );
        let reply = client.ask(&form(format!(
            "grant_type=refresh_token&refresh_token={first}&client_id=app"
        )));
        assert_eq!(reply.json()["token_type"], "Bearer");
        let second = tokens(&reply);
        let me = client.ask(&Request::get("/me").bearer(&second.access));
        assert_eq!(me.status, 200);
        tokens(&client.refresh(&second.refresh));
    });
}

#[test]
fn d02_a_replayed_token_ends_its_session_and_no_other() {
    play(&config(json!({})), |client| {
        let other = client.login("alice");
        let first = client.login("alice");
        let second = tokens(&client.refresh(&first.refresh));
        client.advance(121);
        let third = tokens(&client.refresh(&second.refresh));
        client.advance(121);
        refused(&client.refresh(&first.refresh));
        refused(&client.refresh(&third.refresh));
        let reuse = ("reuse".to_owned(), "stale".to_owned());
        assert!(client.events().contains(&reuse));
        tokens(&client.refresh(&other.refresh));
    });
}

#[test]
fn d08_a_retry_gets_the_same_successor_and_late_ones_recover() {
    play(&config(json!({})), |client| {
        let first = client.login("alice");
        let second = tokens(&client.refresh(&first.refresh));
        let again = tokens(&client.refresh(&first.refresh));
        assert_eq!(second.refresh, again.refresh);
        let fresh = tokens(&client.refresh(&second.refresh));
        assert_eq!(
            fresh.refresh, second.refresh,
            "no second rotation before settling"
        );
        client.advance(60);
        let held = client.refresh(&first.refresh);
        assert_eq!(held.status, 200);
        assert!(
            held.json().get("refresh_token").is_none(),
            "held: keep the one you have"
        );
        client.advance(61);
        let recovered = tokens(&client.refresh(&first.refresh));
        assert_ne!(recovered.refresh, second.refresh);
        refused(&client.refresh(&second.refresh));
    });
}

#[test]
fn d09_d10_sessions_end_when_idle_and_absolutely() {
    let numbers = json!({ "idle_s": 1000, "absolute_s": 3000 });
    play(&config(numbers), |client| {
        let mut current = client.login("alice");
        for _ in 0..4 {
            client.advance(700);
            current = tokens(&client.refresh(&current.refresh));
        }
        let last = client.refresh(&current.refresh);
        assert_eq!(
            last.json()["expires_in"],
            200,
            "never past the absolute end"
        );
        client.advance(200);
        refused(&client.refresh(&current.refresh));
        assert_eq!(client.me(&current.access), 401);

        let idle = client.login("alice");
        client.advance(1000);
        refused(&client.refresh(&idle.refresh));
    });
}

#[test]
fn d11_devices_are_listed_and_ended() {
    play(&config(json!({})), |client| {
        let here = client.login("alice");
        client.advance(1);
        let there = client.login("alice");
        let stranger = client.login("bob");
        let list = |client: &mut Client<'_>, access: &str| {
            let reply = client.ask(&Request::get("/auth/sessions").bearer(access));
            reply.json()["sessions"].as_array().unwrap().clone()
        };
        let sessions = list(client, &here.access);
        assert_eq!(sessions.len(), 2);
        let elsewhere = sessions
            .iter()
            .find(|session| session["current"] == false)
            .unwrap();
        let end = |sid: &Value, access: &str| {
            Request::new(
                "DELETE",
                &format!("/auth/sessions/{}", sid.as_str().unwrap()),
            )
            .bearer(access)
        };
        let foreign = client.ask(&end(&elsewhere["sid"], &stranger.access));
        assert_eq!(foreign.status, 404, "somebody else's session");
        assert_eq!(
            client.ask(&end(&elsewhere["sid"], &here.access)).status,
            204
        );
        refused(&client.refresh(&there.refresh));
        assert_eq!(list(client, &here.access).len(), 1);

        let third = client.login("alice");
        let others = client.ask(&Request::new("POST", "/auth/logout-others").bearer(&here.access));
        assert_eq!(others.status, 200);
        assert!(others.json().get("refresh_token").is_none());
        refused(&client.refresh(&third.refresh));
        let kept = tokens(&client.refresh(&here.refresh));

        let all = client.ask(&Request::new("POST", "/auth/logout-all").bearer(&kept.access));
        assert_eq!(all.status, 204);
        refused(&client.refresh(&kept.refresh));
        tokens(&client.refresh(&stranger.refresh));
    });
}

#[test]
fn d11_a_disabled_user_cannot_refresh() {
    play(&config(json!({})), |client| {
        let first = client.login("alice");
        client.control("user", json!({ "sub": "alice", "state": "unavailable" }));
        let unavailable = client.refresh(&first.refresh);
        assert_eq!(unavailable.status, 503);
        assert!(unavailable.header("retry-after").is_some());
        client.control("user", json!({ "sub": "alice", "state": "enabled" }));
        let second = tokens(&client.refresh(&first.refresh));
        client.control("user", json!({ "sub": "alice", "state": "disabled" }));
        client.advance(200);
        refused(&client.refresh(&second.refresh));
        client.control("user", json!({ "sub": "alice", "state": "enabled" }));
        refused(&client.refresh(&second.refresh));
    });
}

#[test]
fn d13_scope_is_narrowed_at_once_and_never_widened() {
    play(&config(json!({})), |client| {
        let body = json!({ "sub": "alice", "scope": "read write", "transport": "body" });
        let mut current = tokens(&client.ask(&Request::new("POST", "/login").json(&body)));
        for (now, then) in [
            ("read admin", json!(["read"])),
            ("read write", json!(["read", "write"])),
        ] {
            client.control(
                "user",
                json!({ "sub": "alice", "state": "enabled", "scope": now }),
            );
            client.advance(200);
            current = tokens(&client.refresh(&current.refresh));
            let me = client
                .ask(&Request::get("/me").bearer(&current.access))
                .json();
            assert_eq!(me["scope"], then);
        }
    });
}

#[test]
fn d15_each_token_opens_its_own_door_only() {
    play(&config(json!({})), |client| {
        let Tokens { access, refresh } = client.login("alice");
        assert_eq!(client.me(&refresh), 401);
        assert_eq!(
            client.ask(&Request::get("/me").cookie(&refresh)).status,
            401
        );
        refused(&client.refresh(&access));
        tokens(&client.refresh(&refresh));
    });
}

#[test]
fn d18_forgeries_cost_no_store_call() {
    play(&config(json!({})), |client| {
        let Tokens { access, refresh } = client.login("alice");
        let before = client.stats()["store_calls"].clone();
        let mut bent = refresh.clone().into_bytes();
        bent[20] = if bent[20] == b'A' { b'B' } else { b'A' };
        for forged in [
            "rt1_",
            "x",
            "",
            &"A".repeat(75),
            std::str::from_utf8(&bent).unwrap(),
        ] {
            let status = client.refresh(forged).status;
            assert!(matches!(status, 400 | 401), "{forged}: {status}");
        }
        assert_eq!(client.me(&access), 200);
        assert_eq!(
            client.stats()["store_calls"],
            before,
            "access tokens ask nobody either"
        );
        tokens(&client.refresh(&refresh));
    });
}

#[test]
fn d22_the_session_limit_ends_the_least_recently_used() {
    play(&config(json!({ "max_per_subject": 2 })), |client| {
        let first = client.login("alice");
        client.advance(1);
        let second = client.login("alice");
        client.advance(1);
        let third = client.login("alice");
        refused(&client.refresh(&first.refresh));
        tokens(&client.refresh(&second.refresh));
        tokens(&client.refresh(&third.refresh));
    });
}

#[test]
fn e10_a_store_that_is_down_signs_nobody_out() {
    play(&config(json!({})), |client| {
        let first = client.login("alice");
        client.control(
            "fault",
            json!({ "op": "any", "mode": "down", "count": 100 }),
        );
        let down = client.refresh(&first.refresh);
        assert_eq!(down.status, 503);
        assert!(down.header("retry-after").is_some());
        assert_eq!(
            client.me(&first.access),
            200,
            "access tokens do not need it"
        );
        let cookie = format!("__Host-Http-rt={}", first.refresh);
        let logout = Request::new("POST", "/auth/logout")
            .with("cookie", &cookie)
            .with("sec-fetch-site", "same-origin");
        let logout = client.ask(&logout);
        assert_eq!(logout.status, 503);
        assert_eq!(
            logout.headers("set-cookie"),
            [""; 0],
            "nothing was ended, nothing is cleared"
        );
    });
}

/// What a browser does with `Set-Cookie`.
pub(crate) fn cookies(reply: &Reply) -> Vec<String> {
    let pairs = reply
        .headers("set-cookie")
        .into_iter()
        .map(|line| line.split(';').next().unwrap());
    pairs.map(str::to_owned).collect()
}

#[test]
fn c01_c17_a_browser_keeps_both_tokens_in_cookies() {
    play(&config(json!({})), |client| {
        let login = |cookies: &[String]| {
            let request = Request::new("POST", "/login").with("sec-fetch-site", "same-origin");
            let request = cookies
                .iter()
                .fold(request, |request, pair| request.with("cookie", pair));
            request.json(&json!({ "sub": "alice", "transport": "cookie" }))
        };
        let foreign =
            Request::new("POST", "/login").json(&json!({ "sub": "a", "transport": "cookie" }));
        assert_eq!(
            client.ask(&foreign).status,
            403,
            "a login must be proven to come from here"
        );

        let first = client.ask(&login(&[]));
        assert_eq!(first.status, 200);
        let jar = cookies(&first);
        let lines = first.headers("set-cookie");
        assert_eq!(lines.len(), 2);
        for (line, pair) in lines.iter().zip(&jar) {
            let token = pair.split_once('=').unwrap().1;
            assert!(
                !String::from_utf8_lossy(&first.body).contains(token),
                "nowhere else"
            );
            for attribute in [
                "HttpOnly",
                "Secure",
                "SameSite=Strict",
                "Path=/",
                "Max-Age=1209600",
            ] {
                assert!(line.contains(attribute), "{line}");
            }
            assert!(
                line.starts_with("__Host-Http-") && !line.contains("Domain"),
                "{line}"
            );
        }
        let refresh = |jar: &[String]| {
            let request =
                Request::new("POST", "/auth/refresh").with("sec-fetch-site", "same-origin");
            jar.iter()
                .fold(request, |request, pair| request.with("cookie", pair))
        };
        let second = client.ask(&login(&jar));
        assert_eq!(
            client.ask(&refresh(&jar)).status,
            400,
            "the login ended the earlier session"
        );
        let jar = cookies(&second);
        assert_eq!(client.ask(&refresh(&jar)).status, 200);
        let get = Request {
            method: "GET".to_owned(),
            ..refresh(&jar)
        };
        assert_eq!(client.ask(&get).status, 405, "never by GET");
    });
}

#[test]
fn c18_logout_is_idempotent_and_clears_what_it_set() {
    play(&config(json!({})), |client| {
        let login = Request::new("POST", "/login").with("sec-fetch-site", "same-origin");
        let login = login.json(&json!({ "sub": "alice", "transport": "cookie" }));
        let jar = cookies(&client.ask(&login));
        let logout = |pairs: &[String]| {
            let request =
                Request::new("POST", "/auth/logout").with("sec-fetch-site", "same-origin");
            pairs
                .iter()
                .fold(request, |request, pair| request.with("cookie", pair))
        };
        let garbage = ["__Host-Http-rt=x".to_owned(), "__Host-Http-at=x".to_owned()];
        for pairs in [jar.as_slice(), &jar, &[], &garbage] {
            let reply = client.ask(&logout(pairs));
            assert_eq!(reply.status, 204, "{reply:?}");
            let cleared = reply.headers("set-cookie");
            assert_eq!(cleared.len(), 2);
            for line in cleared {
                assert!(line.contains("=;") && line.contains("Max-Age=0"), "{line}");
                assert!(line.contains("Secure") && line.contains("Path=/"), "{line}");
            }
        }
        let refresh = Request::new("POST", "/auth/refresh").with("sec-fetch-site", "same-origin");
        let refresh = jar
            .iter()
            .fold(refresh, |request, pair| request.with("cookie", pair));
        assert_eq!(client.ask(&refresh).status, 400);
    });
}

#[test]
fn paths_beside_the_session_routes_are_none_of_them() {
    let shims = contenders(&base_with(json!({ "store": "memory:" })));
    for path in [
        "/auth",
        "/auth/",
        "/auth/refresh/",
        "/auth/sessions/",
        "/auth/sessions/a/b",
        "/authrefresh",
        "/x/auth/refresh",
    ] {
        assert_eq!(shims.ask(&Request::new("POST", path)).status, 404, "{path}");
    }
    let one = Request::new("POST", "/auth/sessions/a");
    assert_eq!(shims.ask(&one).status, 405);
}
