//! Revocation over HTTP, on every store: from the answer that acknowledges it, access tokens are
//! refused, without a call to the store.

use std::time::Duration;

use auth_tests::fault::servers::{Flush, Postgres, Redis, Server};
use serde_json::{Value, json};

use crate::client::{Request, send};
use crate::player::{Client, Tokens, config, play, refused, tokens};
use crate::shims::{BINARIES, Shim};
use crate::stores::Kind;

/// A node that refuses once it has heard nothing from its store for more than 30 s.
fn guarded(session: Value) -> Value {
    let mut config = config(session);
    config["revocation"] = json!({ "stale": "fail_closed", "after_s": 30 });
    config
}

/// Asserts that the access token is refused as any bad token is, and that the store was not asked.
#[track_caller]
fn is_dead(client: &mut Client<'_>, tokens: &Tokens, why: &str) {
    let before = client.stats()["store_calls"].clone();
    assert_eq!(client.me(&tokens.access), 401, "{why}");
    assert_eq!(
        client.stats()["store_calls"],
        before,
        "{why}: asked the store"
    );
}

#[track_caller]
fn causes(client: &mut Client<'_>) -> Vec<String> {
    let events = client.events().into_iter();
    let revoked = events.filter(|(kind, _)| kind == "revoked");
    revoked.map(|(_, cause)| cause).collect()
}

fn post(path: &str, access: &str) -> Request {
    Request::new("POST", path).bearer(access)
}

#[test]
fn d12_signing_out_ends_the_access_token_at_once() {
    play(&guarded(json!({})), |client| {
        let (gone, stays) = (client.login("alice"), client.login("alice"));
        assert_eq!(client.me(&gone.access), 200);
        let body = json!({ "refresh_token": gone.refresh });
        let logout = client.ask(&Request::new("POST", "/auth/logout").json(&body));
        assert_eq!(logout.status, 204);
        is_dead(client, &gone, "logout");
        refused(&client.refresh(&gone.refresh));
        assert_eq!(client.me(&stays.access), 200, "another device");
        assert_eq!(client.stats()["revoked_entries"], 1);
        assert_eq!(causes(client), ["logout"]);
    });
}

#[test]
fn d12_ending_one_the_others_or_all_sessions_ends_their_access_tokens() {
    play(&guarded(json!({})), |client| {
        let [here, there, elsewhere] = ["alice"; 3].map(|subject| client.login(subject));
        let stranger = client.login("mallory");
        let sid = client
            .ask(&Request::get("/me").bearer(&there.access))
            .json()["sid"]
            .clone();
        let one = format!("/auth/sessions/{}", sid.as_str().unwrap());
        let ended = client.ask(&Request::new("DELETE", &one).bearer(&here.access));
        assert_eq!(ended.status, 204);
        is_dead(client, &there, "one");
        assert_eq!(client.me(&elsewhere.access), 200);

        let kept = client.ask(&post("/auth/logout-others", &here.access));
        is_dead(client, &elsewhere, "others");
        let kept = kept.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(client.me(&kept), 200, "the session that asked");

        assert_eq!(client.ask(&post("/auth/logout-all", &kept)).status, 204);
        is_dead(
            client,
            &Tokens {
                access: kept,
                refresh: String::new(),
            },
            "all",
        );
        is_dead(client, &here, "all, an earlier token");
        assert_eq!(client.me(&stranger.access), 200, "another user");
        let again = client.login("alice");
        assert_eq!(client.me(&again.access), 200, "a login after the end");
    });
}

#[test]
fn d12_a_replayed_refresh_token_ends_the_access_tokens_of_its_session() {
    play(&guarded(json!({ "late_recovery": false })), |client| {
        let stolen = client.login("alice");
        let mut current = stolen.clone();
        for _ in 0..2 {
            client.advance(200);
            current = tokens(&client.refresh(&current.refresh));
        }
        assert_eq!(client.me(&current.access), 200);
        refused(&client.refresh(&stolen.refresh));
        is_dead(client, &current, "reuse");
        assert_eq!(causes(client), ["reuse"]);
    });
}

#[test]
fn d12_a_disabled_user_loses_the_access_token_with_the_next_refresh() {
    play(&guarded(json!({})), |client| {
        let first = client.login("alice");
        client.control("user", json!({ "sub": "alice", "state": "disabled" }));
        client.advance(200);
        refused(&client.refresh(&first.refresh));
        is_dead(client, &first, "disabled");
    });
}

#[test]
fn d12_the_app_ends_one_session_or_a_subject() {
    play(&guarded(json!({})), |client| {
        let (one, other) = (client.login("alice"), client.login("alice"));
        let sid = client.ask(&Request::get("/me").bearer(&one.access)).json()["sid"].clone();
        client.control("revoke", json!({ "sid": sid }));
        is_dead(client, &one, "by sid");
        assert_eq!(client.me(&other.access), 200);
        client.control("revoke", json!({ "sub": "alice" }));
        is_dead(client, &other, "by subject");
        assert_eq!(
            client.stats()["revoked_entries"],
            2,
            "the end of all is one entry"
        );
    });
}

#[test]
fn d12_d22_a_session_that_the_limit_ends_is_refused_at_once() {
    play(&guarded(json!({ "max_per_subject": 1 })), |client| {
        let first = client.login("alice");
        client.advance(1);
        let second = client.login("alice");
        is_dead(client, &first, "limit");
        assert_eq!(client.me(&second.access), 200);
    });
}

#[test]
fn e10_an_end_that_the_store_did_not_acknowledge_is_not_reported_as_done() {
    play(&guarded(json!({})), |client| {
        let tokens = client.login("alice");
        client.control(
            "fault",
            json!({ "op": "revoke", "mode": "down", "count": 1 }),
        );
        let all = client.ask(&post("/auth/logout-all", &tokens.access));
        assert_eq!(all.status, 503);
        assert!(all.header("retry-after").is_some());
        assert_eq!(
            client.ask(&post("/auth/logout-all", &tokens.access)).status,
            204
        );
        is_dead(client, &tokens, "the second time");
    });
}

#[test]
fn entries_leave_when_the_last_access_token_they_concern_has_expired() {
    play(&guarded(json!({})), |client| {
        let tokens = client.login("alice");
        client.ask(&post("/auth/logout-all", &tokens.access));
        assert_eq!(client.stats()["revoked_entries"], 1);
        client.advance(3600);
        assert_eq!(client.me(&tokens.access), 401);
        let left = (0..200).find(|_| {
            std::thread::sleep(Duration::from_millis(50));
            client.stats()["revoked_entries"] == 0
        });
        assert!(left.is_some(), "it sweeps by itself");
        let next = client.login("alice");
        assert_eq!(client.me(&next.access), 200);
    });
}

/// A server that a test may freeze.
fn own_server(kind: Kind) -> Box<dyn Server> {
    const MISSING: &str = "what AUTH_TEST_… names is installed";
    match kind {
        Kind::Redis => Box::new(Redis::begin().unwrap().expect(MISSING)),
        _ => Box::new(Postgres::begin(Flush::Skipped).unwrap().expect(MISSING)),
    }
}

/// The status of `/me`, and how stale the node says that it is.
fn look(shim: &Shim, access: &str) -> (u16, i64) {
    let me = send(shim.address, &Request::get("/me").bearer(access)).unwrap();
    assert_eq!(me.status == 503, me.header("retry-after").is_some());
    assert_eq!(
        me.status == 503,
        me.header("www-authenticate").is_none() && me.status != 200
    );
    let stats = send(shim.address, &Request::get("/shim/stats"))
        .unwrap()
        .json();
    (me.status, stats["feed_staleness_ms"].as_i64().unwrap())
}

#[test]
fn e10_a_node_without_its_store_does_as_its_policy_says() {
    for kind in Kind::servers() {
        for (policy, beyond) in [
            (json!({ "stale": "fail_closed", "after_s": 30 }), 503),
            (json!({ "stale": "fail_open" }), 200),
        ] {
            let mut server = own_server(kind);
            let mut config = config(json!({}));
            config["revocation"] = policy;
            config["store"] = json!(server.url());
            let shims = BINARIES.map(|binary| Shim::start(binary, &config, &[]));
            let access = shims.each_ref().map(|shim| {
                let login = json!({ "sub": "alice", "transport": "body" });
                let reply = send(shim.address, &Request::new("POST", "/login").json(&login));
                tokens(&reply.unwrap()).access
            });
            server.freeze().unwrap();
            let told = |shim: &Shim, seconds: i64| {
                let advance = Request::new("POST", "/shim/clock");
                let advance = advance.json(&json!({ "advance_s": seconds }));
                assert_eq!(send(shim.address, &advance).unwrap().status, 204);
            };
            for (shim, access) in shims.iter().zip(&access) {
                told(shim, 30);
                assert_eq!(
                    look(shim, access),
                    (200, 30_000),
                    "{kind:?}: within the bound"
                );
                told(shim, 1);
                assert_eq!(look(shim, access), (beyond, 31_000), "{kind:?}: beyond it");
            }
            server.thaw().unwrap();
            for (shim, access) in shims.iter().zip(&access) {
                healed(shim, access);
            }
        }
    }
}

/// Two clocks: what a node knows is measured with the one that nobody sets.
#[test]
fn h12_a_wall_clock_that_is_set_makes_no_node_stale_or_fresh() {
    for kind in Kind::servers() {
        let mut server = own_server(kind);
        let mut config = guarded(json!({ "access_s": 36_000 }));
        config["store"] = json!(server.url());
        let shims = BINARIES.map(|binary| Shim::start(binary, &config, &[]));
        let tell = |shim: &Shim, how: Value| {
            let told = Request::new("POST", "/shim/clock").json(&how);
            assert_eq!(send(shim.address, &told).unwrap().status, 204);
        };
        let access = shims.each_ref().map(|shim| {
            let login = json!({ "sub": "alice", "transport": "body" });
            let reply = send(shim.address, &Request::new("POST", "/login").json(&login));
            // No token is from the future when the clock is set back.
            tell(shim, json!({ "advance_s": 7200 }));
            tokens(&reply.unwrap()).access
        });
        server.freeze().unwrap();
        for (shim, access) in shims.iter().zip(&access) {
            tell(shim, json!({ "advance_s": 20 }));
            for step in [3600, -7200, 3600] {
                tell(shim, json!({ "step_s": step }));
                assert_eq!(look(shim, access), (200, 20_000), "{kind:?} {step}");
            }
            tell(shim, json!({ "advance_s": 11 }));
            for step in [-3600, 7200, -3600] {
                tell(shim, json!({ "step_s": step }));
                assert_eq!(look(shim, access), (503, 31_000), "{kind:?} {step}");
            }
        }
        server.thaw().unwrap();
        for (shim, access) in shims.iter().zip(&access) {
            healed(shim, access);
        }
    }
}

/// Waits until the node serves again and knows everything.
fn healed(shim: &Shim, access: &str) {
    for _ in 0..600 {
        if look(shim, access) == (200, 0) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!(
        "still {:?} half a minute after the store is back",
        look(shim, access)
    );
}
