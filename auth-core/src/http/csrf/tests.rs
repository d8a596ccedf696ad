use proptest::prelude::*;

use crate::http::csrf::*;

/// A request's head: method, authority, field lines.
struct Head<'a> {
    method: &'a str,
    authority: Option<&'a str>,
    fields: Vec<(&'a str, &'a [u8])>,
}

impl RequestView for Head<'_> {
    fn method(&self) -> &str {
        self.method
    }
    fn path(&self) -> &str {
        "/"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        self.authority
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        for (field, value) in &self.fields {
            if *field == name {
                visit(value);
            }
        }
    }
}

const HOST: &str = "app.example";
const LISTED: &str = "https://front.example:8443";

fn policy() -> CsrfPolicy {
    CsrfPolicy::new().with_trusted_origin(LISTED).unwrap()
}

fn post<'a>(host: Option<&'a str>, origin: &[&'a str], site: &[&'a str]) -> Head<'a> {
    let line = |name| move |value: &&'a str| (name, value.as_bytes());
    let fields = origin
        .iter()
        .map(line("origin"))
        .chain(site.iter().map(line("sec-fetch-site")))
        .collect();
    Head {
        method: "POST",
        authority: host,
        fields,
    }
}

fn passes(host: &str, origin: &[&str], site: &[&str]) -> bool {
    match policy().check(&post(Some(host), origin, site)) {
        Ok(()) => true,
        Err(cause) => {
            assert_eq!(cause, Cause::Origin);
            false
        }
    }
}

#[test]
fn c14_a_get_that_opens_a_websocket_needs_proof_too() {
    let with_header = policy().with_required_header("x-csrf").unwrap();
    let check =
        |method, upgrade: &[&'static str], origin: &[&'static str], site: &[&'static str]| {
            let mut head = post(Some(HOST), origin, site);
            head.method = method;
            head.fields
                .extend(upgrade.iter().map(|value| ("upgrade", value.as_bytes())));
            let checked = policy().check(&head);
            // No script can add a field to the handshake, so the rule requires none.
            assert_eq!(with_header.check(&head), checked);
            checked
        };
    let refused = Err(Cause::Origin);
    for upgrade in [
        &["websocket"][..],
        &["WebSocket"],
        &["h2c, websocket/13"],
        &["h2c", "websocket"],
    ] {
        assert_eq!(check("GET", upgrade, &["https://app.example"], &[]), Ok(()));
        assert_eq!(check("GET", upgrade, &[LISTED], &["cross-site"]), Ok(()));
        assert_eq!(check("GET", upgrade, &[], &["same-origin"]), Ok(()));
        for origin in [
            &["https://app.example:444"][..],
            &["https://evil.app.example"],
            &["null"],
            &[],
        ] {
            assert_eq!(check("GET", upgrade, origin, &[]), refused, "{origin:?}");
        }
        assert_eq!(check("GET", upgrade, &[], &["same-site"]), refused);
    }
    for harmless in [&["h2c"][..], &[]] {
        assert_eq!(check("GET", harmless, &[], &["cross-site"]), Ok(()));
    }
    // A handshake over HTTP/2 (RFC 8441).
    assert_eq!(check("CONNECT", &[], &["https://app.example"], &[]), Ok(()));
    assert_eq!(
        check("CONNECT", &[], &["https://evil.example"], &[]),
        refused
    );
}

#[test]
fn c14_unsafe_methods_need_proof_and_safe_ones_do_not() {
    let mut head = post(Some(HOST), &[], &[]);
    for (method, wanted) in [
        ("GET", Ok(())),
        ("HEAD", Ok(())),
        ("OPTIONS", Ok(())),
        ("POST", Err(Cause::Origin)),
        ("PUT", Err(Cause::Origin)),
        ("PATCH", Err(Cause::Origin)),
        ("DELETE", Err(Cause::Origin)),
        ("TRACE", Err(Cause::Origin)),
        ("CONNECT", Err(Cause::Origin)),
        ("QUERY", Err(Cause::Origin)),
        ("get", Err(Cause::Origin)),
        ("", Err(Cause::Origin)),
    ] {
        head.method = method;
        assert_eq!(policy().check(&head), wanted, "{method}");
        assert_eq!(policy().check_always(&head), Err(Cause::Origin), "{method}");
    }
}

#[test]
fn c14_the_named_knob_allows_only_the_absence_of_both() {
    let open = policy().with_insecure_missing_origin_allowed();
    let check = |origin: &[&str], site: &[&str]| open.check(&post(Some(HOST), origin, site));
    assert_eq!(check(&[], &[]), Ok(()));
    assert_eq!(check(&["null"], &[]), Err(Cause::Origin));
    assert_eq!(check(&["https://evil.example"], &[]), Err(Cause::Origin));
    assert_eq!(check(&[], &["cross-site"]), Err(Cause::Origin));
    assert_eq!(check(&[], &["same-site"]), Err(Cause::Origin));
}

/// All combinations of the two fields. Columns: `Sec-Fetch-Site` absent, same-origin, none,
/// same-site, cross-site, unknown.
#[test]
fn c15_table_of_origin_against_sec_fetch_site() {
    const SITES: [&[&str]; 6] = [
        &[],
        &["same-origin"],
        &["none"],
        &["same-site"],
        &["cross-site"],
        &["same-planet"],
    ];
    const P: bool = true;
    const R: bool = false;
    let table: &[(&[&str], [bool; 6])] = &[
        (&[], [R, P, P, R, R, R]),
        (&["https://app.example"], [P, P, P, R, R, R]),
        (&[LISTED], [P, P, P, P, P, R]),
        (&["https://evil.example"], [R, P, P, R, R, R]),
        (&["null"], [R, P, P, R, R, R]),
        (&["HTTPS://APP.EXAMPLE"], [R, R, R, R, R, R]),
        (&["app.example"], [R, R, R, R, R, R]),
        (&[""], [R, R, R, R, R, R]),
        (
            &["https://app.example", "https://app.example"],
            [R, R, R, R, R, R],
        ),
        (
            &["https://app.example", "https://evil.example"],
            [R, R, R, R, R, R],
        ),
        (&[LISTED, LISTED], [R, R, R, R, R, R]),
        (&["https://app.example", "null"], [R, R, R, R, R, R]),
    ];
    for (origin, wanted) in table {
        for (site, wanted) in SITES.iter().zip(wanted) {
            assert_eq!(passes(HOST, origin, site), *wanted, "{origin:?} {site:?}");
        }
    }
}

#[test]
fn c15_sec_fetch_site_is_one_exact_word() {
    for site in [
        &["same-origin", "same-origin"][..],
        &["same-origin", "cross-site"],
        &["cross-site", "same-origin"],
        &["same-origin, cross-site"],
        &["Same-Origin"],
        &["SAME-ORIGIN"],
        &["\"same-origin\""],
        &["same-origin;x=1"],
        &["same-origin "],
        &[" same-origin"],
        &[""],
        &["None"],
    ] {
        assert!(!passes(HOST, &["https://app.example"], site), "{site:?}");
    }
    assert!(
        !passes(HOST, &[LISTED], &["cross-site", "cross-site"]),
        "a listed origin does not excuse a repeated field"
    );
}

#[test]
fn c15_origin_must_be_the_host_and_port_asked_for() {
    for (host, origin, wanted) in [
        ("app.example", "https://app.example", true),
        ("app.example:443", "https://app.example", true),
        ("app.example", "https://app.example:443", true),
        ("App.Example", "https://app.example", true),
        ("app.example:8443", "https://app.example:8443", true),
        ("app.example.", "https://app.example.", true),
        ("[2001:db8::1]", "https://[2001:db8::1]", true),
        ("[2001:DB8::1]:443", "https://[2001:db8::1]", true),
        (
            "xn--bcher-kva.example",
            "https://xn--bcher-kva.example",
            true,
        ),
        // A different port.
        ("app.example", "https://app.example:8443", false),
        ("app.example:8443", "https://app.example", false),
        ("app.example:80", "https://app.example", false),
        ("app.example:8443", "https://app.example:8444", false),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]", false),
        // A different scheme.
        ("app.example", "http://app.example", false),
        ("app.example:80", "http://app.example", false),
        ("app.example:443", "http://app.example:443", false),
        ("app.example", "ftp://app.example", false),
        ("app.example", "capacitor://app.example", false),
        // A different host with a similar name.
        ("good.example", "https://good.example.evil", false),
        ("good.example", "https://evilgood.example", false),
        ("good.example", "https://www.good.example", false),
        ("www.good.example", "https://good.example", false),
        ("good.example", "https://good.example@evil.example", false),
        ("good.example", "https://evil.example@good.example", false),
        ("good.example", "https://good.example.", false),
        ("good.example.", "https://good.example", false),
        ("good.example", "https://good.exampl", false),
        ("good.example", "https://GOOD.example", false),
        ("good.example", "Https://good.example", false),
        ("[::1]", "https://[::2]", false),
        // A text that is not an origin.
        ("good.example", "good.example", false),
        ("good.example", "//good.example", false),
        ("good.example", "://good.example", false),
        ("good.example", "https:good.example", false),
        ("good.example", "https:/good.example", false),
        ("good.example", "https:///good.example", false),
        ("good.example", "https://good.example/", false),
        ("good.example", "https://good.example/path", false),
        ("good.example", "https://good.example?", false),
        ("good.example", "https://good.example#", false),
        ("good.example", "https://good.example\\", false),
        (
            "good.example",
            "https://good.example https://good.example",
            false,
        ),
        (
            "good.example",
            "https://good.example, https://good.example",
            false,
        ),
        ("good.example", "https://good.example:", false),
        ("good.example", "https://good.example:0443", false),
        ("good.example", "https://good.example:+443", false),
        ("good.example", "https://good.example:65979", false),
        ("good.example", "https://good.example:443:443", false),
        ("good.example", " https://good.example", false),
        ("good.example", "https://good%2eexample", false),
        ("good.example", "https://*", false),
        ("good.example", "*", false),
        ("good.example", "NULL", false),
        ("good.example", "null, https://good.example", false),
        ("", "https://", false),
        ("[::1", "https://[::1", false),
        ("[::1]x", "https://[::1]x", false),
        ("[fe80::1%25eth0]", "https://[fe80::1%25eth0]", false),
        // An authority that names no host and port.
        ("", "https://good.example", false),
        ("user@good.example", "https://good.example", false),
        ("good.example:", "https://good.example", false),
        ("good.example:x", "https://good.example", false),
        ("good.example/", "https://good.example", false),
        ("good.example,good.example", "https://good.example", false),
    ] {
        assert_eq!(passes(host, &[origin], &[]), wanted, "{host} {origin}");
    }
}

#[test]
fn c15_plain_http_is_ours_on_loopback_only() {
    for (host, wanted) in [
        ("localhost:3000", true),
        ("app.localhost:3000", true),
        ("127.0.0.1:3000", true),
        ("127.9.9.9:3000", true),
        ("[::1]:3000", true),
        ("192.168.1.5:3000", false),
        ("evillocalhost:3000", false),
        ("localhost.evil.example:3000", false),
        ("127.0.0.1.evil.example:3000", false),
        ("[::ffff:10.0.0.1]:3000", false),
    ] {
        assert_eq!(
            passes(host, &[&format!("http://{host}")], &[]),
            wanted,
            "{host}"
        );
        assert!(passes(host, &[&format!("https://{host}")], &[]), "{host}");
    }
    assert!(passes("localhost", &["http://localhost"], &[]));
    assert!(passes("localhost:80", &["http://localhost"], &[]));
    assert!(!passes("localhost:3000", &["http://localhost:4000"], &[]));
    assert!(!passes("localhost:3000", &["http://127.0.0.1:3000"], &[]));
}

#[test]
fn c15_unknown_authority_leaves_only_listed_origins() {
    let check = |origin: &[&str]| policy().check(&post(None, origin, &[]));
    assert_eq!(check(&["https://app.example"]), Err(Cause::Origin));
    assert_eq!(check(&[LISTED]), Ok(()));
}

#[test]
fn c15_a_field_that_is_no_text_is_refused() {
    let head = Head {
        method: "POST",
        authority: Some(HOST),
        fields: vec![("origin", b"https://app.example\xFF")],
    };
    assert_eq!(policy().check(&head), Err(Cause::Origin));
    let head = Head {
        method: "POST",
        authority: Some(HOST),
        fields: vec![("sec-fetch-site", b"same-origin\xFF")],
    };
    assert_eq!(policy().check(&head), Err(Cause::Origin));
}

#[test]
fn c15_a_listed_origin_is_matched_exactly() {
    for (origin, wanted) in [
        ("https://front.example:8443", true),
        ("https://front.example", false),
        ("https://front.example:443", false),
        ("http://front.example:8443", false),
        ("https://sub.front.example:8443", false),
        ("https://front.example.:8443", false),
        ("https://front.example:8443.evil.example", false),
    ] {
        assert_eq!(passes(HOST, &[origin], &["cross-site"]), wanted, "{origin}");
    }
}

#[test]
fn c15_trusted_origins_are_normalised_or_refused_when_built() {
    for (listed, sent) in [
        ("https://front.example", "https://front.example"),
        ("HTTPS://Front.Example", "https://front.example"),
        ("https://front.example:443", "https://front.example"),
        ("http://front.example:80", "http://front.example"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
        ("capacitor://localhost", "capacitor://localhost"),
    ] {
        let policy = CsrfPolicy::new().with_trusted_origin(listed).unwrap();
        let head = post(Some(HOST), &[sent], &["cross-site"]);
        assert_eq!(policy.check(&head), Ok(()), "{listed}");
    }
    for bad in [
        "",
        "*",
        "null",
        "front.example",
        "//front.example",
        "https://",
        "https://*",
        "https://*.front.example",
        "https://front.example/",
        "https://front.example/app",
        "https://front.example?x",
        "https://front.example#x",
        "https://user@front.example",
        "https://front.example:",
        "https://front.example:0",
        "https://front.example:99999",
        "https://front.example.",
        "https://.front.example",
        "https://front..example",
        "https://fr\u{f6}nt.example",
        "https://front.example ",
        " https://front.example",
        "https://[::1",
        "https://[0:0:0:0:0:0:0:1]",
        "file://",
        "1http://front.example",
    ] {
        let error = CsrfPolicy::new().with_trusted_origin(bad).unwrap_err();
        assert_eq!(error.setting(), "trusted origin", "{bad}");
    }
}

#[test]
fn c14_the_required_header_comes_on_top() {
    let policy = policy().with_required_header("X-Requested-With").unwrap();
    assert_eq!(policy.required_header(), Some("x-requested-with"));

    let mut head = post(Some(HOST), &[], &["same-origin"]);
    assert_eq!(policy.check(&head), Err(Cause::UnprovenHeader));
    head.fields.push(("x-requested-with", b""));
    assert_eq!(policy.check(&head), Ok(()), "any value will do");

    let mut head = post(Some(HOST), &["https://evil.example"], &["cross-site"]);
    head.fields.push(("x-requested-with", b"fetch"));
    assert_eq!(
        policy.check(&head),
        Err(Cause::Origin),
        "it replaces nothing"
    );

    let mut head = post(Some(HOST), &[], &[]);
    let open = policy.clone().with_insecure_missing_origin_allowed();
    assert_eq!(open.check(&head), Err(Cause::UnprovenHeader));
    head.method = "GET";
    assert_eq!(open.check(&head), Ok(()));
    assert_eq!(open.check_always(&head), Err(Cause::UnprovenHeader));
}

#[test]
fn c14_a_header_that_any_site_can_send_is_no_proof() {
    for bad in [
        "",
        "x y",
        "x:y",
        "x\r\ny",
        "\u{e9}",
        "Content-Type",
        "accept",
        "Accept-Language",
        "Cookie",
        "Origin",
        "Referer",
        "User-Agent",
        "Sec-Fetch-Site",
        "Sec-Anything",
        "Range",
        "Authorization",
        "X-Forwarded-For",
    ] {
        assert!(
            CsrfPolicy::new().with_required_header(bad).is_err(),
            "{bad}"
        );
    }
    for good in ["X-Requested-With", "x-csrf", "App-Client"] {
        assert!(
            CsrfPolicy::new().with_required_header(good).is_ok(),
            "{good}"
        );
    }
}

proptest! {
    #[test]
    fn c15_no_field_makes_the_rule_panic_or_pass_by_accident(
        origin in proptest::collection::vec(any::<u8>(), 0..40),
        authority in ".{0,30}",
    ) {
        let head = Head {
            method: "POST",
            authority: Some(&authority),
            fields: vec![("origin", &origin)],
        };
        prop_assert_eq!(policy().check(&head), Err(Cause::Origin));
    }

    /// An origin passes for its own authority, and for no other.
    #[test]
    fn c15_only_the_same_host_and_port_pass(
        host in "[a-z]{1,4}(\\.[a-z]{1,4}){0,2}",
        other in "[a-z]{1,4}(\\.[a-z]{1,4}){0,2}",
        port in 1u16..,
        other_port in 1u16..,
    ) {
        let origin = format!("https://{host}:{port}");
        let (own, foreign) = (format!("{host}:{port}"), format!("{other}:{port}"));
        let elsewhere = format!("{host}:{other_port}");
        prop_assert!(passes(&own, &[&origin], &[]));
        prop_assert_eq!(passes(&foreign, &[&origin], &[]), other == host);
        prop_assert_eq!(passes(&elsewhere, &[&origin], &[]), other_port == port);
    }
}
