//! CHECKLIST H08, H11 and H16 to H20: what a login says and what it does not, who may end sessions,
//! and what is kept out of caches.

use serde_json::{Value, json};

use crate::client::{Reply, Request};
use crate::forge::{self, token, token_of, token_with};
use crate::player::{Client, config, play, refused, tokens};
use crate::sessions::cookies;
use crate::shims::{base, base_with, contenders};

/// A browser that keeps its cookies.
#[derive(Default)]
struct Browser {
    jar: Vec<String>,
}

impl Browser {
    fn request(&self, request: Request) -> Request {
        let pairs = self.jar.iter();
        pairs.fold(request, |request, pair| request.with("cookie", pair))
    }

    /// Signs in by cookie, at this site or coming back from a provider.
    fn sign_in(&mut self, client: &mut Client<'_>, mut login: Value) {
        login["transport"] = json!("cookie");
        let site = match login["after_redirect"].as_bool() {
            Some(true) => "cross-site",
            _ => "same-origin",
        };
        let request = Request::new("POST", "/login").with("sec-fetch-site", site);
        let reply = client.ask(&self.request(request).json(&login));
        assert_eq!(reply.status, 200, "{reply:?}");
        self.jar = cookies(&reply);
    }

    fn get(&self, client: &mut Client<'_>, path: &str) -> Reply {
        client.ask(&self.request(Request::get(path)))
    }

    fn post(&self, client: &mut Client<'_>, path: &str) -> Reply {
        let request = Request::new("POST", path).with("sec-fetch-site", "same-origin");
        client.ask(&self.request(request))
    }

    /// What the access token says.
    fn claims(&self) -> Value {
        let token = self.jar[0].split_once('=').unwrap().1;
        serde_json::from_slice(&forge::unb64(token.split('.').nth(1).unwrap())).unwrap()
    }
}

#[track_caller]
fn is_challenged(reply: &Reply) {
    let code = Some("insufficient_user_authentication".to_owned());
    assert_eq!((reply.status, reply.error_code()), (401, Some(code)));
    assert_eq!(reply.challenge().unwrap()["max_age"], "300");
}

#[test]
fn h08_a_login_without_auth_time_meets_no_maximum_age_and_is_challenged_once() {
    let returning = json!({ "sub": "alice", "after_redirect": true });
    play(&config(json!({})), |client| {
        let mut browser = Browser::default();
        for _ in 0..2 {
            browser.sign_in(client, returning.clone());
            assert!(browser.claims().get("auth_time").is_none());
            assert_eq!(browser.get(client, "/me").status, 200);
            let asked_again = browser.jar.clone();
            is_challenged(&browser.get(client, "/recent"));
            browser.sign_in(client, returning.clone());
            let second = browser.get(client, "/recent");
            assert_eq!(second.status, 403, "{second:?}");
            assert_eq!(second.header("www-authenticate"), None);
            assert_eq!(browser.get(client, "/me").status, 200);
            let refreshed = browser.post(client, "/auth/refresh");
            browser.jar = cookies(&refreshed);
            assert_eq!(browser.get(client, "/recent").status, 403);
            // Who signs out and in again begins anew.
            assert_ne!(asked_again, browser.jar);
            assert_eq!(browser.post(client, "/auth/logout").status, 204);
        }
    });
}

#[test]
fn h08_a_login_that_was_recent_once_is_challenged_once() {
    play(&config(json!({})), |client| {
        let mut browser = Browser::default();
        browser.sign_in(client, json!({ "sub": "alice" }));
        assert_eq!(browser.get(client, "/recent").status, 200);
        client.advance(301);
        is_challenged(&browser.get(client, "/recent"));
        browser.sign_in(client, json!({ "sub": "alice", "after_redirect": true }));
        assert_eq!(browser.get(client, "/recent").status, 403);
        browser.sign_in(client, json!({ "sub": "alice" }));
        assert_eq!(browser.get(client, "/recent").status, 200);
    });
}

#[test]
fn h08_what_the_provider_says_of_a_login_is_taken_over() {
    let now = crate::shims::NOW;
    play(&config(json!({})), |client| {
        let mut browser = Browser::default();
        let said = |at: i64| {
            json!({
                "sub": "alice", "after_redirect": true,
                "auth_time": at, "acr": "gold", "amr": ["pwd", "otp"],
            })
        };
        browser.sign_in(client, said(now - 299));
        let claims = browser.claims();
        assert_eq!(claims["auth_time"], now - 299);
        assert_eq!(
            (&claims["acr"], &claims["amr"]),
            (&json!("gold"), &json!(["pwd", "otp"]))
        );
        assert_eq!(browser.get(client, "/recent").status, 200);
        client.advance(2);
        is_challenged(&browser.get(client, "/recent"));
        // Never later than now, whatever the provider's clock says.
        browser.sign_in(client, said(now + 3600));
        assert_eq!(browser.claims()["auth_time"], now + 2);
        client.advance(301);
        is_challenged(&browser.get(client, "/recent"));
    });
}

/// The session of these tokens.
fn sid_of(client: &mut Client<'_>, access: &str) -> String {
    let me = client.ask(&Request::get("/me").bearer(access));
    me.json()["sid"].as_str().unwrap().to_owned()
}

/// The routes that see or end sessions.
fn session_requests(sid: &str, access: &str) -> [Request; 4] {
    [
        Request::get("/auth/sessions"),
        Request::new("DELETE", &format!("/auth/sessions/{sid}")),
        Request::new("POST", "/auth/logout-others"),
        Request::new("POST", "/auth/logout-all"),
    ]
    .map(|request| request.bearer(access))
}

#[test]
fn h11_session_routes_obey_tokens_of_sessions_and_of_our_own_client_alone() {
    play(&config(json!({})), |client| {
        let here = client.login("alice");
        client.advance(1);
        let there = client.login("alice");
        let (sid, other) = (sid_of(client, &here.access), sid_of(client, &there.access));
        let absent = forge::absent;
        for claims in [
            json!({ "sub": "alice", "client_id": "first-party", "sid": absent() }),
            json!({ "sub": "alice", "client_id": "first-party", "sid": "no session" }),
            json!({ "sub": "alice", "client_id": "another", "sid": sid }),
            json!({ "sub": "alice", "client_id": "another", "scope": "narrow" }),
        ] {
            let foreign = token_with(claims.clone());
            assert_eq!(client.me(&foreign), 200, "{claims}");
            for request in session_requests(&other, &foreign) {
                let reply = client.ask(&request);
                assert_eq!(reply.status, 403, "{claims} {request:?}");
                assert_eq!(reply.header("www-authenticate"), None);
            }
            // Signing out always succeeds, and ends nothing of somebody else's.
            let logout = Request::new("POST", "/auth/logout").bearer(&foreign);
            assert_eq!(client.ask(&logout).status, 204);
        }
        for tokens in [&here, &there] {
            assert_eq!(client.refresh(&tokens.refresh).status, 200);
        }
        let own = token_with(json!({ "sub": "alice", "client_id": "first-party", "sid": sid }));
        let list = client.ask(&Request::get("/auth/sessions").bearer(&own));
        assert_eq!(list.json()["sessions"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn h11_an_app_may_ask_for_more_before_sessions_are_seen_or_ended() {
    let mut guarded = config(json!({}));
    guarded["sessions_guard"] = json!({ "max_age_s": 60, "scope": "devices" });
    play(&guarded, |client| {
        let login = |client: &mut Client<'_>, scope: &str| {
            let body = json!({ "sub": "alice", "scope": scope, "transport": "body" });
            tokens(&client.ask(&Request::new("POST", "/login").json(&body)))
        };
        let narrow = login(client, "read");
        client.advance(1);
        let wide = login(client, "read devices");
        let sid = sid_of(client, &narrow.access);
        for request in session_requests(&sid, &narrow.access) {
            let reply = client.ask(&request);
            let code = Some("insufficient_scope".to_owned());
            assert_eq!((reply.status, reply.error_code()), (403, Some(code)));
        }
        let list = |access: &str| Request::get("/auth/sessions").bearer(access);
        assert_eq!(client.ask(&list(&wide.access)).status, 200);
        client.advance(61);
        for request in session_requests(&sid, &wide.access) {
            let reply = client.ask(&request);
            let code = Some("insufficient_user_authentication".to_owned());
            assert_eq!((reply.status, reply.error_code()), (401, Some(code)));
        }
        // Nothing was ended; and what is nobody else's affair needs no recent login.
        assert_eq!(client.refresh(&wide.refresh).status, 200);
        let body = json!({ "refresh_token": narrow.refresh });
        let logout = Request::new("POST", "/auth/logout").json(&body);
        assert_eq!(client.ask(&logout).status, 204);
    });
}

const UNCACHED: [(&str, &str); 4] = [
    ("cache-control", "no-store"),
    ("cdn-cache-control", "no-store"),
    ("surrogate-control", "no-store"),
    ("pragma", "no-cache"),
];

#[track_caller]
fn is_uncached(reply: &Reply) {
    for (name, value) in UNCACHED {
        assert_eq!(reply.header(name), Some(value), "{reply:?}");
    }
}

#[test]
fn h16_answers_to_a_cookie_are_private_unless_the_app_says_otherwise() {
    let shims = contenders(&base());
    let caching = |request: Request| {
        let reply = shims.ask(&request);
        (
            reply.status,
            reply.header("cache-control").map(str::to_owned),
        )
    };
    let says = |status: u16, text: &str| (status, Some(text.to_owned()));
    let cookie = |path: &str| Request::get(path).cookie(&token());
    for path in ["/me", "/maybe", "/nested/a/b", "/typed"] {
        let (status, text) = caching(cookie(path));
        assert_eq!(
            (status == 200, text.as_deref()),
            if path == "/typed" {
                (false, Some("no-store"))
            } else {
                (true, Some("private"))
            },
            "{path}"
        );
        assert_eq!(
            caching(Request::get(path).bearer(&token())).1.is_some(),
            path == "/typed"
        );
    }
    assert_eq!(caching(Request::get("/maybe")), (200, None));
    let expired =
        token_with(json!({ "iat": crate::shims::NOW - 700, "exp": crate::shims::NOW - 100 }));
    assert_eq!(
        caching(Request::get("/maybe").cookie(&expired)),
        (200, None)
    );
    assert_eq!(
        caching(Request::get("/me").cookie(&expired)),
        says(401, "no-store")
    );
    assert_eq!(caching(cookie("/admin")), says(403, "no-store"));
    let boom = Request::new("POST", "/boom").with("sec-fetch-site", "same-origin");
    assert_eq!(caching(boom.cookie(&token())), says(500, "private"));
    for request in [cookie("/cached"), Request::get("/cached").bearer(&token())] {
        let reply = shims.ask(&request);
        assert_eq!(reply.header("cache-control"), Some("public, max-age=60"));
        assert_eq!(reply.header("cdn-cache-control"), Some("max-age=600"));
    }
}

#[test]
fn h16_answers_that_set_or_clear_tokens_stay_out_of_every_cache() {
    let mut pages = config(json!({ "silent_refresh": true }));
    pages["cookies"] = json!("server_rendered");
    play(&pages, |client| {
        let body = json!({ "sub": "alice", "transport": "body" });
        let login = client.ask(&Request::new("POST", "/login").json(&body));
        is_uncached(&login);
        is_uncached(&client.refresh(&tokens(&login).refresh));

        let mut browser = Browser::default();
        browser.sign_in(client, json!({ "sub": "alice" }));
        // The app wants its page in every cache, and does not know that it carries cookies.
        for _ in 0..2 {
            browser
                .jar
                .retain(|pair| pair.starts_with("__Host-Http-rt="));
            let page = Request::get("/cached")
                .with("sec-fetch-site", "same-origin")
                .with("sec-fetch-mode", "navigate")
                .with("sec-fetch-dest", "document");
            let reply = client.ask(&browser.request(page));
            is_uncached(&reply);
            let set = cookies(&reply);
            let refresh = set.iter().find(|pair| pair.starts_with("__Host-Http-rt="));
            if let Some(refresh) = refresh {
                browser.jar = vec![refresh.clone()];
            }
        }
        let refreshed = browser.post(client, "/auth/refresh");
        assert_eq!(refreshed.status, 200);
        is_uncached(&refreshed);
        browser.jar = cookies(&refreshed);
        let logout = browser.post(client, "/auth/logout");
        assert_eq!(logout.headers("set-cookie").len(), 2);
        is_uncached(&logout);
        // Signed out for good: the cookies are cleared.
        client.advance(200);
        let over = browser.post(client, "/auth/refresh");
        refused(&over);
        assert_eq!(over.headers("set-cookie").len(), 2);
        is_uncached(&over);
    });
}

#[test]
fn h17_browsers_are_told_to_forget_at_sign_out_if_the_app_wants_it() {
    const KINDS: &str = r#""cache", "storage""#;
    for (kinds, wanted) in [
        (json!([]), None),
        (json!(["cache", "storage"]), Some(KINDS)),
    ] {
        let mut config = config(json!({}));
        config["clear_site_data"] = kinds;
        play(&config, |client| {
            let mut browser = Browser::default();
            let says = |reply: &Reply| reply.header("clear-site-data").map(str::to_owned);
            let wanted = wanted.map(str::to_owned);
            for path in ["/auth/logout", "/auth/logout-all"] {
                browser.sign_in(client, json!({ "sub": "alice" }));
                assert_eq!(says(&browser.get(client, "/me")), None);
                assert_eq!(says(&browser.post(client, "/auth/logout-others")), None);
                let reply = browser.post(client, path);
                assert_eq!(
                    (reply.status, says(&reply)),
                    (204, wanted.clone()),
                    "{path}"
                );
            }
            let (here, there) = (client.login("alice"), client.login("alice"));
            for (session, wanted) in [(&there, None), (&here, wanted)] {
                let sid = sid_of(client, &session.access);
                let end = Request::new("DELETE", &format!("/auth/sessions/{sid}"));
                let reply = client.ask(&end.bearer(&here.access));
                assert_eq!((reply.status, says(&reply)), (204, wanted));
            }
            client.control("fault", json!({ "op": "any", "mode": "down", "count": 1 }));
            let body = json!({ "refresh_token": there.refresh });
            let down = client.ask(&Request::new("POST", "/auth/logout").json(&body));
            assert_eq!((down.status, says(&down)), (503, None));
        });
    }
}

#[test]
fn h18_the_app_hears_who_was_refused_and_where_from() {
    let mut config = config(json!({ "late_recovery": false }));
    config["client_ip_field"] = json!("X-Real-IP");
    play(&config, |client| {
        let from =
            |request: Request, ip: &str| request.with("x-real-ip", ip).with("user-agent", "ua/1");
        let events = |client: &mut Client<'_>, kind: &str| -> Vec<Value> {
            let stats = client.stats();
            let all = stats["events"].as_array().unwrap();
            let mut found: Vec<Value> = all
                .iter()
                .filter(|event| event["kind"] == kind)
                .cloned()
                .collect();
            for event in &mut found {
                event.as_object_mut().unwrap().remove("kind");
            }
            found
        };
        let event = |sub: Value, sid: Value, cause: Value, ip: Value| json!({ "sub": sub, "sid": sid, "cause": cause, "ip": ip, "user_agent": "ua/1" });
        let login =
            Request::new("POST", "/login").json(&json!({ "sub": "alice", "transport": "body" }));
        let stolen = tokens(&client.ask(&from(login, "2001:db8::7")));
        let sid = json!(sid_of(client, &stolen.access));
        let alice = json!("alice");
        let seen = event(
            alice.clone(),
            sid.clone(),
            Value::Null,
            json!("2001:db8::7"),
        );
        assert_eq!(events(client, "login"), [seen]);

        let refresh = |token: &str| {
            Request::new("POST", "/auth/refresh").json(&json!({ "refresh_token": token }))
        };
        refused(&client.ask(&from(refresh("rt1_forged"), "192.0.2.1")));
        let seen = event(Value::Null, Value::Null, Value::Null, json!("192.0.2.1"));
        assert_eq!(events(client, "forged"), [seen]);

        let post = Request::new("POST", "/me").cookie(&stolen.access);
        let crossed = from(
            post.with("sec-fetch-site", "cross-site"),
            "::ffff:192.0.2.2",
        );
        assert_eq!(client.ask(&crossed).status, 403);
        for path in ["/admin", "/strict"] {
            let admin = from(Request::get(path).bearer(&stolen.access), "192.0.2.3");
            assert_eq!(client.ask(&admin).status, 403);
        }
        let login =
            Request::new("POST", "/login").json(&json!({ "sub": "eve", "transport": "cookie" }));
        assert_eq!(client.ask(&from(login, "no address")).status, 403);
        let beside = token_with(json!({ "sub": "alice", "client_id": "another", "sid": sid }));
        let list = from(Request::get("/auth/sessions").bearer(&beside), "192.0.2.4");
        assert_eq!(client.ask(&list).status, 403);
        let none = Value::Null;
        assert_eq!(
            events(client, "refused"),
            [
                event(
                    alice.clone(),
                    sid.clone(),
                    json!("origin"),
                    json!("192.0.2.2")
                ),
                event(
                    alice.clone(),
                    sid.clone(),
                    json!("scope"),
                    json!("192.0.2.3")
                ),
                event(
                    alice.clone(),
                    sid.clone(),
                    json!("scope"),
                    json!("192.0.2.3")
                ),
                event(none.clone(), none.clone(), json!("origin"), none),
                event(
                    alice.clone(),
                    sid.clone(),
                    json!("client"),
                    json!("192.0.2.4")
                ),
            ]
        );

        let mut current = stolen.refresh.clone();
        for _ in 0..2 {
            client.advance(200);
            current = tokens(&client.refresh(&current)).refresh;
        }
        refused(&client.ask(&from(refresh(&stolen.refresh), "192.0.2.5")));
        let seen = event(alice, sid, json!("stale"), json!("192.0.2.5"));
        assert_eq!(events(client, "reuse"), [seen]);
    });
}

#[test]
fn h20_nobody_is_called_white_space() {
    let shims = contenders(&base_with(json!({ "store": "memory:" })));
    for blank in [" ", "\t", "\r\n", "\u{a0}", "\u{2003}\u{3000}"] {
        shims.refuses(&token_of(blank), "a subject of white space");
        let login = json!({ "sub": blank, "transport": "body" });
        let login = Request::new("POST", "/login").json(&login);
        assert_eq!(shims.ask(&login).status, 400, "{blank:?}");
    }
    assert_eq!(shims.me(&token_of(" alice ")).json()["sub"], " alice ");
}
