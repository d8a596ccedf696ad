//! The endpoints for OAuth clients: RFC 7009, 7662, 8414 and 9728.

use serde_json::{Value, json};

use crate::client::{Reply, Request};
use crate::forge::{self, token_with};
use crate::player::{config, play};
use crate::shims::{AUDIENCE, ISSUER, NOW, base_with, contenders, invalid_token};

const METADATA: &str = "/.well-known/oauth-protected-resource/v1";
const RESOURCE: &str = "https://api.example/v1";

fn endpoints() -> Value {
    json!({ "oauth": { "resource": RESOURCE, "introspect": "introspect" } })
}

fn form(target: &str, body: &str) -> Request {
    let media = "application/x-www-form-urlencoded";
    let mut request = Request::new("POST", target).with("content-type", media);
    request.body = body.as_bytes().to_vec();
    request
}

fn error(reply: &Reply) -> (u16, String) {
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let code = reply.json()["error"].as_str().unwrap().to_owned();
    (reply.status, code)
}

#[test]
fn the_resource_says_who_issues_its_tokens() {
    let shims = contenders(&base_with(endpoints()));
    let reply = shims.ask(&Request::get(METADATA));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.json(),
        json!({
            "resource": RESOURCE,
            "authorization_servers": [ISSUER],
            "scopes_supported": ["admin"],
            "bearer_methods_supported": ["header"],
            "resource_name": "the shim",
        })
    );
    assert_eq!(shims.ask(&Request::new("HEAD", METADATA)).status, 200);
    let post = shims.ask(&Request::new("POST", METADATA));
    assert_eq!(
        (post.status, post.header("allow")),
        (405, Some("GET, HEAD"))
    );
    assert_eq!(post.header("cache-control"), Some("no-store"));
    let without = contenders(&base_with(json!({})));
    assert_eq!(without.ask(&Request::get(METADATA)).status, 404);
}

#[test]
fn every_challenge_names_the_metadata_and_nothing_else_does() {
    let shims = contenders(&base_with(endpoints()));
    let url = format!("https://api.example{METADATA}");
    let good = forge::token();
    for (request, status) in [
        (Request::get("/me"), 401),
        (Request::get("/me").bearer("x"), 401),
        (Request::get("/me").with("authorization", "Bearer"), 400),
        (Request::get("/admin").bearer(&good), 403),
        (Request::get("/recent").bearer(&good), 401),
    ] {
        let reply = shims.ask(&request);
        let challenge = reply.challenge().unwrap();
        assert_eq!(
            (reply.status, &challenge["resource_metadata"]),
            (status, &url)
        );
    }
    let cross_site = Request::new("POST", "/me").cookie(&good);
    let reply = shims.ask(&cross_site.with("sec-fetch-site", "cross-site"));
    assert_eq!((reply.status, reply.challenge()), (403, None));
}

#[test]
fn the_issuer_says_where_its_keys_are() {
    let mut changes = endpoints();
    changes["store"] = json!("memory:");
    let shims = contenders(&base_with(changes));
    let reply = shims.ask(&Request::get("/.well-known/oauth-authorization-server"));
    assert_eq!(
        reply.json(),
        json!({
            "issuer": ISSUER,
            "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
            "revocation_endpoint": format!("{ISSUER}/oauth/revoke"),
            "revocation_endpoint_auth_methods_supported": ["none"],
            "introspection_endpoint": format!("{ISSUER}/oauth/introspect"),
            "introspection_endpoint_auth_methods_supported": ["Bearer"],
        })
    );
}

fn introspect(token: &str) -> Request {
    form("/oauth/introspect", &format!("token={token}"))
}

#[test]
fn introspection_tells_callers_what_a_good_token_says() {
    let shims = contenders(&base_with(endpoints()));
    let caller = token_with(json!({ "scope": "introspect", "sub": "gateway" }));
    let asked = token_with(json!({ "scope": "a b", "acr": "mfa", "auth_time": NOW - 5,
        "client_id": "web", "nbf": NOW - 1, "secret": "private", "sid": "s" }));
    let reply = shims.ask(&introspect(&asked).bearer(&caller));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let said = reply.json();
    for (name, value) in [
        ("active", json!(true)),
        ("token_type", json!("Bearer")),
        ("scope", json!("a b")),
        ("client_id", json!("web")),
        ("iss", json!(ISSUER)),
        ("sub", json!(forge::SUBJECT)),
        ("aud", json!(AUDIENCE)),
        ("acr", json!("mfa")),
        ("auth_time", json!(NOW - 5)),
        ("nbf", json!(NOW - 1)),
    ] {
        assert_eq!(said[name], value, "{name} in {said}");
    }
    assert!(said["exp"].is_i64() && said["iat"].is_i64() && said["jti"].is_string());
    assert!(
        !said.to_string().contains("private"),
        "the app's own claims"
    );
}

#[test]
fn introspection_says_nothing_about_a_token_that_is_not_good() {
    let shims = contenders(&base_with(endpoints()));
    let caller = token_with(json!({ "scope": "introspect" }));
    let good = forge::token();
    for (token, why) in [
        (token_with(json!({ "exp": NOW })), "expired"),
        (token_with(json!({ "nbf": NOW + 60 })), "not yet"),
        (
            token_with(json!({ "aud": "https://other.example" })),
            "for another API",
        ),
        (
            token_with(json!({ "iss": "https://other.example" })),
            "of another issuer",
        ),
        (good[..good.len() - 4].to_owned(), "forged"),
        ("x".to_owned(), "no token"),
        ("rt1_x".to_owned(), "not an access token"),
    ] {
        let reply = shims.ask(&introspect(&token).bearer(&caller));
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({ "active": false })),
            "{why}"
        );
    }
}

#[test]
fn nobody_introspects_without_the_scope() {
    let shims = contenders(&base_with(endpoints()));
    let good = forge::token();
    let asked = introspect(&good);
    let stranger = shims.ask(&asked);
    assert_eq!((stranger.status, stranger.error_code()), (401, Some(None)));
    let user = shims.ask(&asked.clone().bearer(&good));
    let challenge = user.challenge().unwrap();
    assert_eq!(
        (user.status, challenge["scope"].as_str()),
        (403, "introspect")
    );
    let forged = shims.ask(&asked.clone().bearer("x"));
    assert_eq!((forged.status, forged.body), (401, invalid_token().body));
    // A page of another site cannot ask with the cookie of whoever may.
    let caller = token_with(json!({ "scope": "introspect" }));
    let foreign = asked.clone().cookie(&caller);
    assert_eq!(
        shims
            .ask(&foreign.with("origin", "https://evil.example"))
            .status,
        403
    );
    // They are not told that the form is wrong, either.
    assert_eq!(
        shims.ask(&Request::new("POST", "/oauth/introspect")).status,
        401
    );
}

#[test]
fn what_is_no_form_is_no_request() {
    let mut changes = endpoints();
    changes["store"] = json!("memory:");
    let shims = contenders(&base_with(changes));
    let caller = token_with(json!({ "scope": "introspect" }));
    let good = forge::token();
    for target in ["/oauth/introspect", "/oauth/revoke"] {
        let get = shims.ask(&Request::get(&format!("{target}?token={good}")).bearer(&caller));
        assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
        let json_body = Request::new("POST", target).json(&json!({ "token": good }));
        for request in [
            json_body,
            form(target, ""),
            form(target, "token="),
            form(target, "token=a&token=b"),
            form(target, "token=a&%74oken=b"),
            form(target, "token=%"),
            form(target, "token_type_hint=a&token_type_hint=b&token=a"),
        ] {
            let request = match target {
                "/oauth/introspect" => request.bearer(&caller),
                _ => request,
            };
            let refused = (400, "invalid_request".to_owned());
            assert_eq!(error(&shims.ask(&request)), refused, "{request:?}");
        }
        let long = form(target, &format!("token={}", "a".repeat(40_000)));
        assert_eq!(shims.ask(&long.bearer(&caller)).status, 413);
    }
}

fn revoking(changes: Value) -> Value {
    let mut config = config(json!({}));
    config["revocation"] = json!({ "stale": "fail_closed", "after_s": 30 });
    config["oauth"] = endpoints()["oauth"].clone();
    for (name, value) in changes.as_object().unwrap() {
        config["oauth"][name] = value.clone();
    }
    config
}

#[test]
fn a_token_that_is_given_back_ends_its_session() {
    play(&revoking(json!({})), |client| {
        let (one, two) = (client.login("alice"), client.login("alice"));
        let refresh = one.refresh.clone();
        for (token, extra) in [
            // A wrong hint changes nothing.
            (
                &refresh,
                "&token_type_hint=access_token&client_id=first-party",
            ),
            (&two.access, "&token_type_hint=nonsense"),
        ] {
            let access = if token == &refresh {
                &one.access
            } else {
                &two.access
            };
            assert_eq!(client.me(access), 200);
            for _ in 0..2 {
                // The second time there is nothing left to do.
                let reply = client.ask(&form("/oauth/revoke", &format!("token={token}{extra}")));
                assert_eq!((reply.status, reply.body.len()), (200, 0));
                assert_eq!(reply.header("cache-control"), Some("no-store"));
            }
            assert_eq!(client.me(access), 401);
        }
        assert_eq!(error(&client.refresh(&refresh)).1, "invalid_grant");
    });
}

#[test]
fn a_token_that_is_not_ours_is_revoked_already() {
    play(&revoking(json!({})), |client| {
        let tokens = client.login("alice");
        let refresh = tokens.refresh.clone();
        let forged = format!("{}AAAA", &refresh[..refresh.len() - 4]);
        let expired = token_with(json!({ "exp": NOW - 1 }));
        for token in ["x", "rt1_", &forged, &expired] {
            let reply = client.ask(&form("/oauth/revoke", &format!("token={token}")));
            assert_eq!((reply.status, reply.body.len()), (200, 0), "{token}");
        }
        assert_eq!(client.me(&tokens.access), 200);
        // Good, but of no session: there is nothing to revoke it by.
        let lone = token_with(json!({ "client_id": "first-party" }));
        let reply = client.ask(&form("/oauth/revoke", &format!("token={lone}")));
        assert_eq!(error(&reply), (400, "unsupported_token_type".to_owned()));
    });
}

#[test]
fn only_the_tokens_own_client_revokes_it() {
    let known = json!({ "client": ["first-party", "s3cret of the client"] });
    play(&revoking(known), |client| {
        let tokens = client.login("alice");
        let body = format!("token={}", tokens.access);
        let revoke = form("/oauth/revoke", &body);
        let basic = |id: &str, secret: &str| {
            let pair = format!("{id}:{secret}");
            format!("Basic {}", base64_simd::STANDARD.encode_to_string(pair))
        };
        let secret = "s3cret+of+the+client";
        let wrong = [
            (revoke.clone(), None),
            (
                form("/oauth/revoke", &format!("{body}&client_id=first-party")),
                None,
            ),
            (
                form(
                    "/oauth/revoke",
                    &format!("{body}&client_id=first-party&client_secret=x"),
                ),
                None,
            ),
            (
                revoke
                    .clone()
                    .with("authorization", basic("first-party", "")),
                Some(()),
            ),
            (
                revoke.clone().with("authorization", basic("other", secret)),
                Some(()),
            ),
            (revoke.clone().bearer(&tokens.access), Some(())),
        ];
        for (request, tried_header) in wrong {
            let reply = client.ask(&request);
            assert_eq!(
                error(&reply),
                (401, "invalid_client".to_owned()),
                "{request:?}"
            );
            let challenge = reply.header("www-authenticate");
            assert_eq!(challenge, tried_header.map(|()| "Basic realm=\"oauth\""));
        }
        // Two ways at once.
        let twice = form("/oauth/revoke", &format!("{body}&client_secret=x"));
        let twice = twice.with("authorization", basic("first-party", secret));
        assert_eq!(error(&client.ask(&twice)).1, "invalid_request");
        // Nobody can say.
        let unsure = revoke.clone().with("authorization", basic("unsure", "x"));
        let reply = client.ask(&unsure);
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (503, Some("1"))
        );
        // Another client's token.
        let theirs = form("/oauth/revoke", &format!("token={}", forge::token()));
        let theirs = theirs.with("authorization", basic("first-party", secret));
        assert_eq!(
            error(&client.ask(&theirs)),
            (400, "invalid_grant".to_owned())
        );
        assert_eq!(client.me(&tokens.access), 200);
        let own = revoke.with("authorization", basic("first-party", secret));
        assert_eq!(client.ask(&own).status, 200);
        assert_eq!(client.me(&tokens.access), 401);
    });
}

#[test]
fn a_revocation_that_the_store_did_not_answer_is_503_and_felt_on_the_node_that_asked() {
    play(&revoking(json!({})), |client| {
        let tokens = client.login("alice");
        client.control("fault", json!({ "op": "any", "mode": "down", "count": 1 }));
        let revoke = form("/oauth/revoke", &format!("token={}", tokens.access));
        let reply = client.ask(&revoke);
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (503, Some("1"))
        );
        // Nobody knows whether it took effect: the node that asked refuses the token all the same.
        assert_eq!(client.me(&tokens.access), 401);
    });
}

#[test]
fn an_introspection_guard_must_choose() {
    let mut changes = endpoints();
    changes["oauth"]["introspect"] = json!("");
    crate::shims::refused(&base_with(changes));
    for resource in [
        "",
        "http://api.example",
        "https://api.example/?x",
        "https://api.example/#x",
    ] {
        let mut changes = endpoints();
        changes["oauth"]["resource"] = json!(resource);
        crate::shims::refused(&base_with(changes));
    }
}
