//! Reads of a cookie among other cookies, in any form that a client can send.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use auth_cookie::{CookiePolicy, CookieSource};
use auth_core::adapter::CookieTransport;
use auth_core::source::{Carrier, CredentialError, TokenSource};
use proptest::prelude::*;
use support::Cookies;

const NAME: &str = "__Host-rt";

fn find(lines: &[&str]) -> Result<Option<String>, CredentialError> {
    find_in(&Cookies::of(lines))
}

fn find_in(request: &Cookies) -> Result<Option<String>, CredentialError> {
    let found = CookieSource::named(NAME).unwrap().find(request)?;
    Ok(found.map(|token| {
        assert_eq!(token.carrier(), Carrier::Cookie);
        token.expose().to_owned()
    }))
}

fn good() -> Result<Option<String>, CredentialError> {
    Ok(Some("GOOD".to_owned()))
}

/// The shared case table.
#[test]
fn corpus_cookies_json() {
    let text = include_str!("../../tests/corpora/own-open/cookies.json");
    let table: serde_json::Value = serde_json::from_str(text).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert_eq!(cases.len() as u64, table["count"].as_u64().unwrap());
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let found = find_in(&Cookies(lines_of(case)));
        let wanted = match case["expect"].as_str() {
            None => Ok(None),
            // A percent sign is a normal cookie octet.
            Some("REJECT_OR_LITERAL") => Ok(Some("%FF".to_owned())),
            Some("REJECT") => Err(CredentialError::Malformed),
            // The limit that leads to 431 is the server's, not the parser's.
            Some("GOOD_OR_431") => good(),
            Some(value) => Ok(Some(value.to_owned())),
        };
        assert_eq!(found, wanted, "{id}: {}", case["why"]);
    }
}

fn lines_of(case: &serde_json::Value) -> Vec<Vec<u8>> {
    let unhex = |text: &str| {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    };
    match case["cookie_headers_hex"].as_array() {
        Some(lines) => lines
            .iter()
            .map(|line| unhex(line.as_str().unwrap()))
            .collect(),
        None => {
            assert_eq!(
                case["id"], "C-017",
                "the one case that is described in words"
            );
            vec![[b"a=;".repeat(100_000).as_slice(), b"__Host-rt=GOOD"].concat()]
        }
    }
}

#[test]
fn c07_a_nameless_cookie_is_not_a_named_one() {
    for line in [
        "=__Host-rt=EVIL",
        " =__Host-rt=EVIL",
        "==__Host-rt=EVIL",
        "=",
        "==",
    ] {
        assert_eq!(find(&[line]), Ok(None), "{line}");
        assert_eq!(find(&[line, "__Host-rt=GOOD"]), good(), "{line}");
    }
    for line in [
        "__Host-rt",
        "__Host-rt;",
        "x=__Host-rt=EVIL",
        "__Host-rt EVIL",
    ] {
        assert_eq!(find(&[line]), Ok(None), "{line}");
    }
}

#[test]
fn c10_the_name_is_ours_byte_for_byte() {
    for name in [
        "__host-rt",
        "__HOST-RT",
        "__Host-Rt",
        "__Host-rt2",
        "x__Host-rt",
        "_Host-rt",
        "__Host-r",
        "__Host-r%74",
        "%5F%5FHost-rt",
        "\"__Host-rt\"",
        "__Host-rt ",
        "__Host-rt\t",
        "__Ho\u{17f}t-rt",
        // White space in Unicode, Python or PHP, but not in HTTP.
        "\u{a0}__Host-rt",
        "\u{2000}__Host-rt",
        "\u{2003}__Host-rt",
        "\u{feff}__Host-rt",
        "\u{b}__Host-rt",
        "\u{c}__Host-rt",
        "\r\n__Host-rt",
        "\0__Host-rt",
        "$Version=1,__Host-rt",
    ] {
        let line = format!("{name}=EVIL");
        assert_eq!(find(&[&line]), Ok(None), "{line:?}");
        let line = format!("{line}; __Host-rt=GOOD");
        assert_eq!(find(&[&line]), good(), "{line:?}");
    }
}

#[test]
fn c09_values_are_taken_literally_or_refused() {
    for (value, wanted) in [
        ("%47OOD", Ok("%47OOD")),
        ("a%3Bb", Ok("a%3Bb")),
        ("a=b==", Ok("a=b==")),
        ("a+b/c.d-e_f~g", Ok("a+b/c.d-e_f~g")),
        ("$x'(y)", Ok("$x'(y)")),
        ("\"GOOD\"", Err(CredentialError::Malformed)),
        ("\"GO", Err(CredentialError::Malformed)),
        ("GO OD", Err(CredentialError::Malformed)),
        (" GOOD", Err(CredentialError::Malformed)),
        ("GO\tOD", Err(CredentialError::Malformed)),
        ("GOOD,EVIL", Err(CredentialError::Malformed)),
        ("GO\\OD", Err(CredentialError::Malformed)),
        ("GO\0OD", Err(CredentialError::Malformed)),
        ("GO\r\nOD", Err(CredentialError::Malformed)),
        ("GO\u{7f}OD", Err(CredentialError::Malformed)),
        ("GO\u{e9}OD", Err(CredentialError::Malformed)),
        ("GOOD\u{a0}", Err(CredentialError::Malformed)),
    ] {
        let line = format!("a=b; __Host-rt={value}; c=d");
        let wanted = wanted.map(|value| Some(value.to_owned()));
        assert_eq!(find(&[&line]), wanted, "{value:?}");
    }
    let latin1 = Cookies(vec![b"__Host-rt=\xE9\xFF".to_vec()]);
    assert_eq!(find_in(&latin1), Err(CredentialError::Malformed));
}

/// A server that interprets quotes would read `a="x; __Host-rt=EVIL; y"` as one cookie.
#[test]
fn c09_quotes_neither_hide_nor_smuggle() {
    assert_eq!(find(&["a=\"x; __Host-rt=GOOD; y\""]), good());
    assert_eq!(
        find(&["__Host-rt=\"x; b=y\""]),
        Err(CredentialError::Malformed)
    );
}

#[test]
fn neighbours_do_not_matter() {
    for line in [
        b"x=\xFF\xFE; __Host-rt=GOOD".as_slice(),
        b"\xC3\x28; \x80=\x81; __Host-rt=GOOD",
        b"\0\x01\x02=; __Host-rt=GOOD",
        b"__Host-rt=GOOD;\xF0",
        b"\t; \t__Host-rt=GOOD \t; \t",
    ] {
        assert_eq!(find_in(&Cookies(vec![line.to_vec()])), good(), "{line:?}");
    }
}

#[test]
fn two_values_are_ambiguous_however_they_come() {
    for lines in [
        &["__Host-rt=GOOD; __Host-rt=EVIL"][..],
        &["__Host-rt=EVIL", "__Host-rt=GOOD"],
        &["__Host-rt=GOOD; __Host-rt=GOOD"],
        &["__Host-rt=GOOD", "a=b", "c=d; __Host-rt=\"EVIL\""],
        &["__Host-rt=a; __Host-rt=b; __Host-rt=c"],
    ] {
        assert_eq!(find(lines), Err(CredentialError::Ambiguous), "{lines:?}");
    }
}

/// An empty cookie holds no credential. A planted one must neither count as the app's, nor make a
/// request with the app's cookie ambiguous.
#[test]
fn an_empty_duplicate_neither_hides_nor_locks_out() {
    for lines in [
        &["__Host-rt=; __Host-rt=GOOD"][..],
        &["__Host-rt=GOOD; __Host-rt="],
        &["__Host-rt=", "__Host-rt=GOOD", "__Host-rt= "],
    ] {
        assert_eq!(find(lines), good(), "{lines:?}");
    }
    assert_eq!(find(&["__Host-rt=; __Host-rt=", "__Host-rt="]), Ok(None));
}

#[test]
fn b20_one_cookie_a_line_ours_last_of_fifty() {
    let mut lines: Vec<_> = (0..49).map(|n| format!("c{n}=v{n}").into_bytes()).collect();
    lines.push(b"__Host-rt=GOOD".to_vec());
    assert_eq!(find_in(&Cookies(lines)), good());
    assert_eq!(find(&["a=b; c=d", "__Host-rt=GOOD"]), good());
    assert_eq!(find(&[]), Ok(None));
}

/// Quadratic work would take minutes with this input.
#[test]
fn c12_300k_cookies_are_one_pass() {
    let many = b"a=;".repeat(300_000);
    let line = [many.as_slice(), b"__Host-rt=GOOD;", &many].concat();
    assert_eq!(find_in(&Cookies(vec![line])), good());

    let mut lines = vec![b"a=b".to_vec(); 300_000];
    lines.push(b"__Host-rt=GOOD".to_vec());
    assert_eq!(find_in(&Cookies(lines)), good());

    // Names equal to the app's except for the last byte, and white space without pairs.
    let line = [b"__Host-r=x;".repeat(300_000), b" ".repeat(900_000)].concat();
    assert_eq!(find_in(&Cookies(vec![line])), Ok(None));

    let line = b"__Host-rt=x;".repeat(300_000);
    assert_eq!(
        find_in(&Cookies(vec![line])),
        Err(CredentialError::Ambiguous)
    );
}

#[test]
fn a_policy_tells_its_two_cookies_apart() {
    let request = Cookies::of(&["__Host-Http-rt=REFRESH; __Host-Http-at=ACCESS"]);
    let text = |found: Result<Option<auth_core::source::PresentedToken<'_>>, _>| {
        found.unwrap().unwrap().expose().to_owned()
    };
    let cookies = CookiePolicy::same_origin_spa();
    assert_eq!(text(cookies.find_access(&request)), "ACCESS");
    assert_eq!(text(cookies.find_refresh(&request)), "REFRESH");

    let subdomains = CookiePolicy::subdomains("example.com").unwrap();
    assert!(subdomains.find_access(&request).unwrap().is_none());
    assert_eq!(text(subdomains.find_refresh(&request)), "REFRESH");
}

/// The rules again, in the simplest form.
fn naive(lines: &[Vec<u8>]) -> Result<Option<String>, CredentialError> {
    let is_ows = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut values = Vec::new();
    for pair in lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b';'))
    {
        let Some(start) = pair.iter().position(|byte| !is_ows(byte)) else {
            continue;
        };
        let end = pair.iter().rposition(|byte| !is_ows(byte)).unwrap() + 1;
        let pair = &pair[start..end];
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        if name == NAME.as_bytes() && !value.is_empty() {
            values.push(value.to_vec());
        }
    }
    match values.as_slice() {
        [] => Ok(None),
        [value]
            if value
                .iter()
                .all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(byte)) =>
        {
            Ok(Some(String::from_utf8(value.clone()).unwrap()))
        }
        [_] => Err(CredentialError::Malformed),
        _ => Err(CredentialError::Ambiguous),
    }
}

/// Bytes that are likely to match: pieces of the name, separators, white space, random bytes.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"__Host-rt".to_vec()),
        4 => Just(b"=".to_vec()),
        4 => Just(b";".to_vec()),
        2 => Just(b"; ".to_vec()),
        2 => Just(b" ".to_vec()),
        1 => Just(b"\t".to_vec()),
        2 => Just(b"__Host-rt=GOOD".to_vec()),
        1 => Just(b"__host-rt=".to_vec()),
        2 => "[a-zA-Z0-9%\"]{0,4}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn parsing_agrees_with_the_naive_reading(lines in proptest::collection::vec(line(), 0..4)) {
        let wanted = naive(&lines);
        prop_assert_eq!(find_in(&Cookies(lines)), wanted);
    }

    /// A written cookie is read back, among any other cookies.
    #[test]
    fn a_token_comes_back_as_it_was_set(
        token in "[A-Za-z0-9._~+/=-]{1,200}",
        before in "[a-z]{1,5}=[a-z]{0,5}",
        after in "[a-z]{1,5}=[a-z]{0,5}",
    ) {
        let cookies = CookiePolicy::server_rendered();
        let set = cookies.set_access(&token, None).unwrap();
        let pair = set.split(';').next().unwrap();
        let line = format!("{before}; {pair}; {after}");
        let request = Cookies::of(&[&line]);
        let found = cookies.find_access(&request).unwrap().unwrap();
        prop_assert_eq!(found.expose(), token);
    }
}
