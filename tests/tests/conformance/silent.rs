//! Pages that refresh by themselves, on every store: redirects before the app runs, and a page in
//! between for what another site may have caused.

use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::client::{Reply, Request};
use crate::player::{Client, config, play};
use crate::shims::{base_with, refused};

const ACCESS: &str = "__Host-Http-at";
const REFRESH: &str = "__Host-Http-rt";
const NOTE: &str = "__Host-Http-interstitial";
/// Longer than an access token lives.
const ELEVEN_MINUTES: i64 = 660;
const SETTLED: i64 = 121;

fn rendered(session: Value) -> Value {
    let mut numbers = json!({ "silent_refresh": true });
    let map = numbers.as_object_mut().unwrap();
    map.extend(session.as_object().unwrap().clone());
    let mut config = config(numbers);
    config["cookies"] = json!("server_rendered");
    config
}

/// Plays with JWTs and with opaque access tokens.
fn play_both(scenario: impl Fn(&mut Client<'_>)) {
    for kind in ["jwt", "reference"] {
        play(&rendered(json!({ "access_token": kind })), &scenario);
    }
}

/// A browser's cookie jar.
#[derive(Clone, Default)]
struct Jar(Vec<(String, String)>);

impl Jar {
    fn signed_in(client: &mut Client<'_>) -> Self {
        let login = json!({ "sub": "alice", "transport": "cookie", "scope": "admin" });
        let login = Request::new("POST", "/login").json(&login);
        let reply = client.ask(&login.with("sec-fetch-site", "same-origin"));
        assert_eq!(reply.status, 200);
        let mut jar = Self::default();
        jar.keep(&reply);
        jar
    }

    fn keep(&mut self, reply: &Reply) {
        for line in reply.headers("set-cookie") {
            let (name, rest) = line.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.0.retain(|(own, _)| own != name);
            if !value.is_empty() {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    fn without(&self, name: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(own, _)| own != name)
                .cloned()
                .collect(),
        )
    }

    fn on(&self, request: Request) -> Request {
        let pairs: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        request.with("cookie", pairs.join("; "))
    }

    /// A request of the app's own pages.
    fn own(&self, method: &str, target: &str) -> Request {
        self.on(Request::new(method, target))
            .with("sec-fetch-site", "same-origin")
    }

    /// A link on a page of another site.
    fn link(&self, target: &str) -> Request {
        self.on(Request::get(target))
            .with("sec-fetch-site", "cross-site")
            .with("sec-fetch-mode", "navigate")
            .with("sec-fetch-dest", "document")
    }

    /// Loads a page of the app's own; the statuses on the way.
    fn load(&mut self, client: &mut Client<'_>, target: &str) -> Vec<u16> {
        let mut seen = Vec::new();
        loop {
            let reply = client.ask(&self.own("GET", target));
            self.keep(&reply);
            seen.push(reply.status);
            assert!(seen.len() < 5, "it goes round: {seen:?}");
            if reply.status != 303 {
                return seen;
            }
        }
    }
}

fn set(reply: &Reply) -> Vec<&str> {
    let lines = reply.headers("set-cookie").into_iter();
    lines.map(|line| line.split('=').next().unwrap()).collect()
}

/// What happened since the login, but for plain refreshes.
fn alarms(client: &mut Client<'_>) -> Vec<String> {
    let events = client.events().into_iter();
    let events = events.filter(|(kind, _)| kind != "login" && kind != "refreshed");
    events
        .map(|(kind, cause)| format!("{kind} {cause}"))
        .collect()
}

fn refreshes(client: &mut Client<'_>) -> Vec<String> {
    let events = client.events().into_iter();
    let events = events.filter(|(kind, _)| kind == "refreshed");
    events.map(|(_, cause)| cause).collect()
}

#[test]
fn rule_16_a_session_that_moves_on_is_answered_with_a_redirect() {
    play_both(|client| {
        for (method, status) in [("GET", 303), ("HEAD", 303), ("POST", 307), ("DELETE", 307)] {
            let mut jar = Jar::signed_in(client);
            client.advance(ELEVEN_MINUTES);
            let moved = client.ask(&jar.own(method, "/me?a=1&b=2"));
            assert_eq!(moved.status, status, "{method}");
            let names: Vec<_> = moved
                .headers
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            assert!(names.contains(&"cache-control"), "{names:?}");
            assert_eq!(moved.header("location"), Some("?a=1&b=2"));
            assert_eq!(moved.header("cache-control"), Some("no-store"));
            assert_eq!(set(&moved), [ACCESS, REFRESH]);
            assert_eq!(moved.body, b"");
            jar.keep(&moved);
            let page = client.ask(&jar.own(method, "/me?a=1&b=2"));
            assert_eq!((page.status, set(&page)), (200, vec![]), "{method}");
        }
        assert_eq!(refreshes(client), ["rotated"; 4]);
    });
}

#[test]
fn rule_16_what_need_not_be_written_is_let_through_with_the_access_cookie_alone() {
    play_both(|client| {
        let old = Jar::signed_in(client).without(ACCESS);
        client.advance(ELEVEN_MINUTES);
        let mut new = old.clone();
        new.keep(&client.ask(&old.own("GET", "/me")));
        let new = new.without(ACCESS);
        for (wait, jar, cause) in [
            (0, &old, "replayed"),
            (11, &old, "held"),
            (1, &new, "fresh"),
        ] {
            client.advance(wait);
            for (method, target) in [("GET", "/me"), ("POST", "/me"), ("GET", "/maybe")] {
                let page = client.ask(&jar.own(method, target));
                assert_eq!(page.status, 200);
                assert_eq!(page.json()["sub"], "alice");
                assert_eq!(set(&page), [ACCESS], "{cause}");
                assert_eq!(page.header("cache-control"), Some("no-store"));
                assert_eq!(refreshes(client).last().unwrap(), cause);
            }
            let boom = client.ask(&jar.own("POST", "/boom"));
            assert_eq!(boom.status, 500);
            let mut names = set(&boom);
            names.sort_unstable();
            assert_eq!(names, [ACCESS, "app"], "beside the app's own");
        }
    });
}

/// Everything but the random parts is compared between the adapters by the player.
#[test]
fn rule_16_another_sites_link_gets_a_page_in_between() {
    play_both(|client| {
        let mut jar = Jar::signed_in(client);
        client.advance(ELEVEN_MINUTES);
        for target in ["/me?a=1&b='2'", "/maybe?a=1&b='2'"] {
            let page = client.ask(&jar.link(target));
            assert_eq!(page.status, 200);
            let note = page.header("set-cookie").unwrap();
            assert!(
                note.starts_with(NOTE) && note.ends_with("; Max-Age=10"),
                "{note}"
            );
            let names: Vec<_> = page.headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(
                names,
                [
                    "cache-control",
                    "content-length",
                    "content-security-policy",
                    "content-type",
                    "cross-origin-opener-policy",
                    "referrer-policy",
                    "set-cookie",
                ]
            );
            assert_eq!(page.header("cache-control"), Some("no-store"));
            assert_eq!(
                page.header("content-security-policy"),
                Some("default-src 'none'")
            );
            assert_eq!(
                page.header("content-type"),
                Some("text/html; charset=utf-8")
            );
            assert_eq!(
                page.header("cross-origin-opener-policy"),
                Some("same-origin")
            );
            assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
            let there = "?a=1&amp;b=&#39;2&#39;";
            let html = String::from_utf8(page.body.clone()).unwrap();
            let meta = format!("<meta http-equiv=\"refresh\" content=\"0;url={there}\">");
            let link = format!("<a href=\"{there}\">");
            assert!(html.contains(&meta) && html.contains(&link), "{html}");
            jar.keep(&page);
            let again = client.ask(&jar.link(target));
            let html = String::from_utf8(again.body.clone()).unwrap();
            assert!(
                !html.contains("http-equiv") && html.contains(&link),
                "{html}"
            );
            assert_eq!(set(&again), [""; 0]);
        }
        assert_eq!(refreshes(client), [""; 0]);
        assert_eq!(jar.load(client, "/me"), [303, 200]);
    });
}

#[test]
fn h01_with_a_stale_feed_sessions_refresh_guards_wait_and_nobody_is_signed_out() {
    let mut config = rendered(json!({}));
    config["revocation"] = json!({ "stale": "fail_closed", "after_s": 30 });
    play(&config, |client| {
        let mut jar = Jar::signed_in(client);
        client.control("fault", json!({ "op": "feed", "mode": "down", "count": 1 }));
        // Ten times a page, whose access cookie is gone.
        for _ in 0..10 {
            client.advance(SETTLED);
            let page = client.ask(&jar.without(ACCESS).own("GET", "/me"));
            assert_eq!((page.status, set(&page)), (503, vec![]));
            assert!(page.header("retry-after").is_some());
            let maybe = client.ask(&jar.without(ACCESS).own("GET", "/maybe"));
            assert_eq!((maybe.status, set(&maybe)), (503, vec![]));
        }
        assert_eq!(refreshes(client), [""; 0]);
        // Ten times the route.
        for _ in 0..10 {
            client.advance(SETTLED);
            let reply = client.ask(&jar.own("POST", "/auth/refresh"));
            assert_eq!((reply.status, set(&reply)), (200, vec![ACCESS, REFRESH]));
            jar.keep(&reply);
            assert_eq!(client.ask(&jar.own("GET", "/me")).status, 503);
        }
        assert_eq!(refreshes(client), ["rotated"; 10]);
        assert_eq!(alarms(client), [""; 0]);
        client.control("fault", json!({ "op": "feed", "mode": "down", "count": 0 }));
        client.advance(0);
        assert_eq!(client.ask(&jar.own("GET", "/me")).status, 200);
    });
}

#[test]
fn h02_claims_that_outgrow_the_cookie_leave_the_session_as_it_is() {
    play(&rendered(json!({})), |client| {
        let carries = |client: &mut Client<'_>, bytes: usize| {
            let claims = json!({ "groups": "g".repeat(bytes) });
            client.control(
                "user",
                json!({ "sub": "alice", "state": "enabled", "claims": claims }),
            );
        };
        let mut jar = Jar::signed_in(client);
        // Alone the access cookie would be kept; both lines are too long for a proxy's buffer.
        for bytes in [2750, 3500] {
            carries(client, bytes);
            let login = json!({ "sub": "alice", "transport": "cookie" });
            let login = Request::new("POST", "/login").json(&login);
            let login = client.ask(&login.with("sec-fetch-site", "same-origin"));
            assert_eq!(login.status, 500);
            for _ in 0..10 {
                client.advance(ELEVEN_MINUTES);
                for request in [
                    jar.own("POST", "/auth/refresh"),
                    jar.own("GET", "/me"),
                    jar.own("GET", "/maybe"),
                    jar.own("POST", "/me"),
                ] {
                    let reply = client.ask(&request);
                    assert_eq!((reply.status, set(&reply)), (500, vec![]));
                    assert_eq!(reply.json(), login.json(), "as the login");
                }
            }
        }
        assert_eq!(refreshes(client), [""; 0]);
        carries(client, 10);
        assert_eq!(jar.load(client, "/me"), [303, 200]);
        let reply = client.ask(&jar.own("POST", "/auth/refresh"));
        assert_eq!(reply.status, 200);
        assert_eq!(alarms(client), [""; 0]);
        assert_eq!(refreshes(client), ["rotated", "fresh"]);
    });
}

#[test]
fn h03_pages_that_another_site_stops_rotate_nothing() {
    play_both(|client| {
        let mut jar = Jar::signed_in(client);
        client.advance(ELEVEN_MINUTES);
        for visit in 0..50 {
            let mut link = jar.link("/me");
            if visit % 2 == 1 {
                link.headers.retain(|(name, _)| name != "sec-fetch-site");
                link = link.with("sec-fetch-site", "same-site");
            }
            hang_up(client, &link);
            client.advance(10);
        }
        assert_eq!(refreshes(client), [""; 0]);
        assert_eq!(jar.load(client, "/me"), [303, 200]);
        assert_eq!(alarms(client), [""; 0]);
    });
}

/// Sends a request and does not wait for the answer.
fn hang_up(client: &Client<'_>, request: &Request) {
    let mut stream = TcpStream::connect(client.address()).unwrap();
    stream.write_all(&request.to_bytes()).unwrap();
}

#[test]
fn h04_a_client_that_hangs_up_on_pages_is_not_signed_out() {
    play_both(|client| {
        let mut jar = Jar::signed_in(client);
        for _ in 0..20 {
            client.advance(ELEVEN_MINUTES);
            let moved = client.ask(&jar.own("GET", "/me"));
            assert_eq!(moved.status, 303);
            jar.keep(&moved);
            hang_up(client, &jar.own("GET", "/me"));
        }
        assert_eq!(jar.load(client, "/me"), [200]);
        assert_eq!(alarms(client), [""; 0]);
    });
}

#[test]
fn h04_a_form_that_took_long_to_fill_in_is_sent_again() {
    play_both(|client| {
        let mut jar = Jar::signed_in(client);
        client.advance(ELEVEN_MINUTES);
        let form = |jar: &Jar| {
            jar.own("POST", "/boom")
                .json(&json!({ "text": "x".repeat(3000) }))
        };
        let moved = client.ask(&form(&jar));
        assert_eq!(
            (moved.status, moved.header("location")),
            (307, Some("./boom"))
        );
        jar.keep(&moved);
        assert_eq!(client.ask(&form(&jar)).status, 500, "it has arrived");
        assert_eq!(refreshes(client), ["rotated"]);
    });
}

#[test]
fn h05_what_does_not_say_that_it_is_ours_is_signed_out_and_never_goes_round() {
    play_both(|client| {
        let jar = Jar::signed_in(client);
        client.advance(ELEVEN_MINUTES);
        let get = |sites: &[&str]| {
            let request = jar.on(Request::get("/me"));
            sites.iter().fold(request, |request, site| {
                request.with("sec-fetch-site", site)
            })
        };
        let upgrade = get(&["same-origin"]).with("upgrade", "websocket");
        let mut form = jar.own("POST", "/me");
        form.headers.retain(|(name, _)| name != "sec-fetch-site");
        for request in [
            get(&[]),
            get(&["cross-site"]),
            get(&["same-site"]),
            get(&["same-origin", "same-origin"]),
            get(&["same-origin", "none"]),
            get(&["Same-Origin"]),
            upgrade.with("connection", "upgrade"),
            form.clone(),
            form.clone().with("sec-fetch-site", "none"),
            form.clone().with("sec-fetch-site", "cross-site"),
            jar.link("/me").with("sec-fetch-dest", "document"),
        ] {
            let reply = client.ask(&request);
            assert_eq!((reply.status, set(&reply)), (401, vec![]), "{request:?}");
            let maybe = Request {
                target: "/maybe".to_owned(),
                ..request
            };
            let reply = client.ask(&maybe);
            assert_eq!((reply.status, set(&reply)), (200, vec![]));
            assert_eq!(reply.json()["sub"], Value::Null);
        }
        assert_eq!(refreshes(client), [""; 0]);
        assert_eq!(client.ask(&get(&["none"])).status, 303);
    });
}

#[test]
fn h05_who_only_ever_follows_links_stays_signed_in_for_60_days() {
    play(&rendered(json!({})), |client| {
        let mut jar = Jar::signed_in(client);
        for _ in 0..60 {
            client.advance(86_400);
            let page = client.ask(&jar.link("/me?from=letter"));
            assert!(String::from_utf8_lossy(&page.body).contains("url=?from=letter\""));
            jar.keep(&page);
            // The browser's own clock.
            jar = jar.without(NOTE);
            assert_eq!(jar.load(client, "/me?from=letter"), [303, 200]);
        }
        assert_eq!(refreshes(client), ["rotated"; 60]);
        assert_eq!(alarms(client), [""; 0]);
    });
}

#[test]
fn h21_prefixes_slashes_and_quotes_lead_to_no_other_host_and_no_markup() {
    play(&rendered(json!({})), |client| {
        for (target, reference) in [
            ("/nested/a/b", "./b"),
            (
                "/nested/a/b?x=%22%3E&y=//evil.test",
                "?x=%22%3E&y=//evil.test",
            ),
            ("/nested/a/b?", "?"),
            ("/nested//evil.test", "./evil.test"),
            ("/nested/x%5C%5Cevil.test", "./x%5C%5Cevil.test"),
            ("/nested/\"", "./%22"),
            ("/nested/'onload='", "./'onload='"),
            ("/me?\"'", "?%22'"),
        ] {
            let jar = Jar::signed_in(client);
            client.advance(ELEVEN_MINUTES);
            let page = client.ask(&jar.link(target));
            let html = String::from_utf8(page.body).unwrap();
            let escaped = reference.replace('&', "&amp;").replace('\'', "&#39;");
            assert!(
                html.contains(&format!("content=\"0;url={escaped}\"")),
                "{html}"
            );
            assert!(html.contains(&format!("href=\"{escaped}\"")), "{html}");
            let moved = client.ask(&jar.own("GET", target));
            assert_eq!(moved.header("location"), Some(reference), "{target}");
        }
    });
}

#[test]
fn h22_a_thief_who_takes_pages_is_caught_as_on_the_route() {
    play_both(|client| {
        let mut owner = Jar::signed_in(client);
        client.advance(ELEVEN_MINUTES);
        let mut thief = owner.clone();
        // Links show nothing; a forged field uses the token up, also if nobody waits for the answer.
        assert_eq!(client.ask(&thief.link("/me")).status, 200);
        assert_eq!(refreshes(client), [""; 0]);
        assert_eq!(thief.load(client, "/me"), [303, 200]);
        assert_eq!(refreshes(client), ["rotated"]);
        client.advance(ELEVEN_MINUTES);
        assert_eq!(owner.load(client, "/me"), [303, 200]);
        assert_eq!(alarms(client), ["recovered "]);
        client.advance(SETTLED);
        let caught = client.ask(&thief.without(ACCESS).own("GET", "/me"));
        assert_eq!(caught.status, 401);
        assert_eq!(caught.headers("set-cookie").len(), 2, "cleared");
        assert_eq!(
            alarms(client),
            ["recovered ", "revoked reuse", "reuse orphan"]
        );
        assert_eq!(client.ask(&owner.own("POST", "/auth/refresh")).status, 400);
    });
}

#[test]
fn h23_strict_mode_with_silent_refresh_does_not_build() {
    let session = json!({ "silent_refresh": true, "retry_window_s": 0, "settle_s": 0 });
    let config = base_with(json!({
        "store": "memory:", "cookies": "server_rendered", "session": session,
    }));
    assert!(refused(&config).contains("silent_refresh"));
}
