//! The `Set-Cookie` text of presets and custom cookies, and the combinations that are refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use auth_cookie::{CookiePolicy, CookieSource, SameSite, TokenCookie};
use auth_core::ConfigError;
use auth_core::adapter::{CookieError, CookieTooLong, CookieTransport};
use cookie::Cookie;
use proptest::prelude::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GONE: &str = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";

fn presets() -> Vec<(&'static str, CookiePolicy)> {
    vec![
        ("same_origin_spa", CookiePolicy::same_origin_spa()),
        ("server_rendered", CookiePolicy::server_rendered()),
        (
            "cross_site",
            CookiePolicy::cross_site("X-Requested-With").unwrap(),
        ),
        (
            "subdomains",
            CookiePolicy::subdomains("Example.COM").unwrap(),
        ),
    ]
}

#[test]
fn c01_presets_are_these_bytes() {
    let strict = "HttpOnly; SameSite=Strict; Secure; Path=/";
    let lax = "HttpOnly; SameSite=Lax; Secure; Path=/";
    let none = "HttpOnly; SameSite=None; Partitioned; Secure; Path=/";
    let shared = "HttpOnly; SameSite=Lax; Secure; Path=/; Domain=example.com";
    let wanted = [
        [("__Host-Http-at", strict), ("__Host-Http-rt", strict)],
        [("__Host-Http-at", lax), ("__Host-Http-rt", lax)],
        [("__Host-Http-at", none), ("__Host-Http-rt", none)],
        [("__Secure-at", shared), ("__Host-Http-rt", lax)],
    ];
    for ((preset, policy), [access, refresh]) in presets().into_iter().zip(wanted) {
        let line = |(name, attributes), value| format!("{name}={value}; {attributes}");
        let set = policy.set_access("a.b.c", None).unwrap();
        assert_eq!(set, line(access, "a.b.c"), "{preset}");
        let set = policy.set_refresh("rt1_x", Some(DAY)).unwrap();
        assert_eq!(set, line(refresh, "rt1_x") + "; Max-Age=86400", "{preset}");
        let gone = [access, refresh].map(|cookie| format!("{}; {GONE}", line(cookie, "")));
        assert_eq!(policy.clear(), gone, "{preset}");
    }
}

#[test]
fn c01_every_default_is_secure_http_only_and_same_site() {
    for (preset, policy) in presets() {
        for cookie in [policy.access_cookie(), policy.refresh_cookie()] {
            assert!(cookie.is_secure(), "{preset}");
            let name = cookie.name();
            assert!(name.starts_with("__Host-") || name.starts_with("__Secure-"));
            if name.starts_with("__Host-") {
                assert_eq!((cookie.domain(), cookie.path()), (None, "/"), "{preset}");
            }
        }
        let only_cross_site = policy.access_cookie().same_site() == SameSite::None;
        assert_eq!(only_cross_site, preset == "cross_site");
        assert_eq!(policy.required_header().is_some(), only_cross_site);
    }
}

/// Presets skip the checks of the builder, so this test applies them.
#[test]
fn c01_presets_are_what_the_builder_builds() {
    let own = |same_site| {
        let cookie = |name| {
            TokenCookie::host_http(name)
                .with_same_site(same_site)
                .build()
        };
        CookiePolicy::custom(cookie("at").unwrap(), cookie("rt").unwrap()).unwrap()
    };
    assert_eq!(own(SameSite::Strict), CookiePolicy::same_origin_spa());
    assert_eq!(own(SameSite::Lax), CookiePolicy::server_rendered());

    let cookie = |name| {
        let builder = TokenCookie::host_http(name).with_same_site(SameSite::None);
        builder.with_partitioned_jar().build().unwrap()
    };
    let own = CookiePolicy::custom_cross_site(cookie("at"), cookie("rt"), "X-Requested-With");
    assert_eq!(own, CookiePolicy::cross_site("x-requested-with"));
}

#[test]
fn c02_names_that_are_refused() {
    let long = "x".repeat(200);
    for name in [
        "",
        "a b",
        "a;b",
        "a=b",
        "a,b",
        "a\r\nSet-Cookie: x",
        "a\nb",
        "a\0b",
        "a\tb",
        "a\"b",
        "a\\b",
        "a/b",
        "a\u{7f}",
        "\u{e9}",
        " a",
        long.as_str(),
        "__Host-a",
        "__host-a",
        "__Secure-a",
        "__Http-a",
        "__a",
    ] {
        let setting = |built: Result<TokenCookie, ConfigError>| built.unwrap_err().setting();
        assert_eq!(setting(TokenCookie::host_http(name).build()), "cookie name");
        assert_eq!(setting(TokenCookie::host(name).build()), "cookie name");
        assert_eq!(setting(TokenCookie::secure(name).build()), "cookie name");
        let insecure = TokenCookie::insecure_plain_http(name).build();
        assert_eq!(setting(insecure), "cookie name");
        if !name.starts_with("__") {
            assert!(CookieSource::named(name).is_err(), "{name:?}");
        }
    }
    assert_eq!(
        TokenCookie::host_http("at").build().unwrap().name(),
        "__Host-Http-at"
    );
    assert_eq!(
        TokenCookie::host("Host__x").build().unwrap().name(),
        "__Host-Host__x"
    );
}

#[test]
fn c02_attributes_that_no_browser_takes_are_refused() {
    for domain in [
        "",
        ".example.com",
        "example.com.",
        "example..com",
        "com",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "exam ple.com",
        "example.com; Path=/x",
        "example.com\r\nX: y",
        "-a.example",
        "a-.example",
        "b\u{fc}cher.example",
        "https://example.com",
        "example.com:443",
        "*.example.com",
        &"a.".repeat(130),
        &format!("{}.example", "a".repeat(64)),
    ] {
        let built = TokenCookie::secure("at").with_domain(domain).build();
        assert_eq!(built.unwrap_err().setting(), "cookie domain", "{domain:?}");
        assert!(CookiePolicy::subdomains(domain).is_err(), "{domain:?}");
    }
    for path in [
        "",
        "auth",
        "/a;b",
        "/a b",
        "/a\r\nb",
        "/\u{e9}",
        &format!("/{}", "a".repeat(1024)),
    ] {
        let built = TokenCookie::secure("at").with_path(path).build();
        assert_eq!(built.unwrap_err().setting(), "cookie path", "{path:?}");
    }
}

#[test]
fn c02_without_secure_neither_same_site_none_nor_partitioned() {
    let plain = || TokenCookie::insecure_plain_http("at");
    let error = plain().with_same_site(SameSite::None).build().unwrap_err();
    assert_eq!(error.setting(), "SameSite");
    let error = plain().with_partitioned_jar().build().unwrap_err();
    assert_eq!(error.setting(), "Partitioned");

    let cookie = plain().with_same_site(SameSite::Strict).build().unwrap();
    assert!(!cookie.is_secure());
    let policy = CookiePolicy::custom(cookie, TokenCookie::host("rt").build().unwrap()).unwrap();
    let line = policy.set_access("x", None).unwrap();
    assert_eq!(line, "at=x; HttpOnly; SameSite=Strict; Path=/");
}

#[test]
fn c02_cookies_for_other_sites_need_a_header() {
    let none = |name| {
        let builder = TokenCookie::host(name).with_same_site(SameSite::None);
        builder.build().unwrap()
    };
    let lax = |name| TokenCookie::host(name).build().unwrap();
    assert!(CookiePolicy::custom(none("at"), lax("rt")).is_err());
    assert!(CookiePolicy::custom(lax("at"), none("rt")).is_err());
    let built = CookiePolicy::custom_cross_site(none("at"), none("rt"), "X-App").unwrap();
    assert_eq!(built.required_header(), Some("x-app"));
    for header in ["", "Content-Type", "Origin", "X App", "X-App\r\nY: z"] {
        assert!(CookiePolicy::cross_site(header).is_err(), "{header:?}");
        assert!(CookiePolicy::custom_cross_site(none("at"), none("rt"), header).is_err());
    }
}

#[test]
fn c02_the_two_cookies_have_different_names() {
    let cookie = |name| TokenCookie::host(name).build().unwrap();
    assert!(CookiePolicy::custom(cookie("t"), cookie("t")).is_err());
    assert!(CookiePolicy::custom(cookie("t"), cookie("T")).is_err());
    assert!(CookiePolicy::custom(cookie("t"), cookie("u")).is_ok());
}

#[test]
fn c02_a_token_cannot_add_attributes() {
    let policy = CookiePolicy::same_origin_spa();
    for token in [
        "x; Domain=evil.example",
        "x\r\nSet-Cookie: y=z",
        "x\n",
        "x y",
        "\"x\"",
        "x,y",
        "x\\",
        "x\0",
        "\u{e9}",
    ] {
        assert_eq!(policy.set_access(token, None), Err(CookieError::Value));
        assert_eq!(policy.set_refresh(token, None), Err(CookieError::Value));
    }
}

#[test]
fn c11_an_oversized_cookie_is_an_error_that_names_the_size() {
    let policy = CookiePolicy::same_origin_spa();
    let fits = "x".repeat(4096 - "__Host-Http-at".len());
    assert!(policy.set_access(&fits, Some(DAY)).is_ok());

    let error = policy.set_access(&(fits + "x"), Some(DAY)).unwrap_err();
    let (size, limit) = (4097, 4096);
    assert_eq!(error, CookieError::TooLong(CookieTooLong { size, limit }));
    assert!(error.to_string().contains("4097 bytes"), "{error}");

    // The size of a token with 5 kB of claims.
    let error = policy.set_refresh(&"x".repeat(7000), None).unwrap_err();
    assert!(error.to_string().contains("7014 bytes"), "{error}");
}

#[test]
fn c13_max_age_is_clamped_and_never_panics() {
    let policy = CookiePolicy::server_rendered();
    for (max_age, wanted) in [
        (Duration::ZERO, 0),
        (Duration::from_millis(999), 0),
        (Duration::from_millis(60_999), 60),
        (400 * DAY, 34_560_000),
        (400 * DAY + Duration::from_secs(1), 34_560_000),
        (Duration::from_secs(i64::MAX as u64), 34_560_000),
        (Duration::from_secs(i64::MAX as u64 + 1), 34_560_000),
        (Duration::MAX, 34_560_000),
    ] {
        let line = policy.set_access("x", Some(max_age)).unwrap();
        let wanted = format!("; Path=/; Max-Age={wanted}");
        assert!(line.ends_with(&wanted), "{max_age:?}: {line}");
    }
    let session = policy.set_access("x", None).unwrap();
    assert!(!session.contains("Max-Age") && !session.contains("Expires"));
}

fn names(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line.split('=').next().unwrap())
        .collect()
}

#[test]
fn c19_clearing_reaches_the_cookies_of_earlier_policies() {
    let host_only = CookiePolicy::custom(
        TokenCookie::host("session").build().unwrap(),
        TokenCookie::host_http("rt").build().unwrap(),
    );
    let spanning = CookiePolicy::subdomains("example.com")
        .unwrap()
        .with_previous(host_only.unwrap())
        .unwrap();
    let cleared = spanning.clear();
    assert_eq!(
        names(&cleared),
        ["__Secure-at", "__Host-Http-rt", "__Host-session"]
    );
    let old = format!("__Host-session=; HttpOnly; SameSite=Lax; Secure; Path=/; {GONE}");
    assert_eq!(cleared[2], old);
    assert!(cleared[0].contains("; Domain=example.com;"));

    // The change back: the domain's cookie is deleted with its domain.
    let back = CookiePolicy::server_rendered()
        .with_previous(spanning)
        .unwrap();
    let cleared = back.clear();
    assert_eq!(
        names(&cleared),
        [
            "__Host-Http-at",
            "__Host-Http-rt",
            "__Secure-at",
            "__Host-session"
        ]
    );
    assert!(cleared[2].contains("; Domain=example.com;"));
}

/// Two Set-Cookie of one name in a response are forbidden, and two cookies of one name would be
/// ambiguous on every request.
#[test]
fn c19_one_name_in_two_places_is_refused_when_built() {
    let refresh = || TokenCookie::host("rt").build().unwrap();
    let policy = |access| CookiePolicy::custom(access, refresh()).unwrap();
    let host = || policy(TokenCookie::secure("at").build().unwrap());
    let domain = policy(
        TokenCookie::secure("at")
            .with_domain("example.com")
            .build()
            .unwrap(),
    );
    let path = policy(TokenCookie::secure("at").with_path("/app").build().unwrap());
    for changed in [domain, path] {
        let error = changed.clone().with_previous(host()).unwrap_err();
        assert_eq!(error.setting(), "previous cookies");
        assert!(host().with_previous(changed).is_err());
    }
    let cross_site = CookiePolicy::cross_site("X-App").unwrap();
    assert!(
        cross_site
            .with_previous(CookiePolicy::same_origin_spa())
            .is_err()
    );

    let same_place = CookiePolicy::same_origin_spa()
        .with_previous(CookiePolicy::server_rendered())
        .unwrap();
    assert_eq!(same_place.clear(), CookiePolicy::same_origin_spa().clear());
}

#[test]
fn c19_no_name_twice_whatever_the_history() {
    let policy = CookiePolicy::server_rendered()
        .with_previous(CookiePolicy::subdomains("example.com").unwrap())
        .and_then(|policy| policy.with_previous(CookiePolicy::same_origin_spa()))
        .and_then(|policy| policy.with_previous(CookiePolicy::subdomains("example.com").unwrap()))
        .unwrap();
    let cleared = policy.clear();
    assert_eq!(
        names(&cleared),
        ["__Host-Http-at", "__Host-Http-rt", "__Secure-at"]
    );
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    HostHttp,
    Host,
    Secure,
    Plain,
}

fn any_cookie() -> impl Strategy<Value = TokenCookie> {
    let kind = prop_oneof![
        Just(Kind::HostHttp),
        Just(Kind::Host),
        Just(Kind::Secure),
        Just(Kind::Plain)
    ];
    let same_site = prop_oneof![
        Just(SameSite::Strict),
        Just(SameSite::Lax),
        Just(SameSite::None)
    ];
    let name = "[a-zA-Z0-9!#$%&'*+.^`|~-]{1,20}";
    let domain = proptest::option::of("[a-z]{1,8}\\.[a-z]{1,8}");
    let path = "/[!-:<-~]{0,20}";
    (kind, name, same_site, any::<bool>(), domain, path).prop_filter_map(
        "conforming ones only",
        |(kind, name, same_site, partitioned, domain, path)| {
            macro_rules! build {
                ($builder:expr) => {{
                    let builder = $builder.with_same_site(same_site);
                    if partitioned {
                        builder.with_partitioned_jar()
                    } else {
                        builder
                    }
                }};
            }
            let scoped = |builder: auth_cookie::CookieBuilder<auth_cookie::Scoped>| match &domain {
                Some(domain) => builder.with_domain(domain).with_path(&path),
                None => builder.with_path(&path),
            };
            match kind {
                Kind::HostHttp => build!(TokenCookie::host_http(&name)).build(),
                Kind::Host => build!(TokenCookie::host(&name)).build(),
                Kind::Secure => scoped(build!(TokenCookie::secure(&name))).build(),
                Kind::Plain => scoped(build!(TokenCookie::insecure_plain_http(&name))).build(),
            }
            .ok()
        },
    )
}

proptest! {
    /// An independent parser reads every attribute back as it was configured.
    #[test]
    fn set_cookie_text_parses_back_to_the_same(
        cookie in any_cookie(),
        token in "[!#-+\\--:<-\\[\\]-~]{1,100}",
        max_age in proptest::option::of(any::<u32>()),
    ) {
        let other = TokenCookie::host("some-other-name-entirely").build().unwrap();
        let policy = CookiePolicy::custom_cross_site(cookie.clone(), other, "X-App").unwrap();
        let max_age = max_age.map(|secs| Duration::from_secs(secs.into()));
        let set = policy.set_access(&token, max_age).unwrap();
        let parsed = Cookie::parse(set).unwrap();
        prop_assert_eq!(parsed.value(), token);
        prop_assert_eq!(
            parsed.max_age().map(|age| age.whole_seconds()),
            max_age.map(|age| age.min(400 * DAY).as_secs() as i64)
        );
        prop_assert_eq!(parsed.expires(), None);
        agrees(&parsed, &cookie)?;

        let cleared = policy.clear();
        let parsed = Cookie::parse(cleared[0].as_str()).unwrap();
        prop_assert_eq!(parsed.value(), "");
        prop_assert_eq!(parsed.max_age().map(|age| age.whole_seconds()), Some(0));
        prop_assert_eq!(parsed.expires_datetime().map(|at| at.unix_timestamp()), Some(0));
        agrees(&parsed, &cookie)?;
    }
}

fn agrees(parsed: &Cookie<'_>, wanted: &TokenCookie) -> Result<(), TestCaseError> {
    prop_assert_eq!(parsed.name(), wanted.name());
    prop_assert_eq!(parsed.http_only(), Some(true));
    prop_assert_eq!(parsed.secure().unwrap_or(false), wanted.is_secure());
    prop_assert_eq!(parsed.path(), Some(wanted.path()));
    prop_assert_eq!(parsed.domain(), wanted.domain());
    prop_assert_eq!(
        parsed.partitioned().unwrap_or(false),
        wanted.is_partitioned()
    );
    let same_site = match wanted.same_site() {
        SameSite::Strict => cookie::SameSite::Strict,
        SameSite::Lax => cookie::SameSite::Lax,
        SameSite::None => cookie::SameSite::None,
    };
    prop_assert_eq!(parsed.same_site(), Some(same_site));
    let is_host = wanted.name().starts_with("__Host-");
    prop_assert!(
        !is_host || (wanted.is_secure() && wanted.path() == "/" && wanted.domain().is_none())
    );
    Ok(())
}

#[test]
fn the_longest_names_and_domains_are_good() {
    // 128 characters including the prefix, which every preset adds.
    let named = |length: usize| TokenCookie::host_http("x".repeat(length).as_str()).build();
    let prefix = named(1).unwrap().name().len() - 1;
    assert_eq!(named(128 - prefix).unwrap().name().len(), 128);
    assert!(named(129 - prefix).is_err());

    let label = "a".repeat(63);
    let longest = [&*label, &label, &label, &"b".repeat(61)].join(".");
    assert_eq!(longest.len(), 253);
    let with = |domain: &str| TokenCookie::secure("at").with_domain(domain).build();
    for good in [
        &*longest,
        "a-b.example",
        "a_b.example",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(with(good).unwrap().domain(), Some(good));
    }
    let too_long = format!("{longest}b");
    assert!(with(&too_long).is_err());
}
