//! `Cookie`: one value under our exact name in all lines, or none, or ambiguous, or malformed.

use auth_cookie::CookiePolicy;
use auth_core::adapter::CookieTransport;
use auth_core::source::CredentialError;

use crate::world::{COOKIE_CASES, Request, cases, lines, unhex};

const NAME: &str = "__Host-Http-at";

/// The plain reading: split, trim, compare.
fn read<'l>(lines: &[&'l [u8]]) -> Result<Option<&'l [u8]>, CredentialError> {
    let mut values = Vec::new();
    for line in lines {
        for pair in line.split(|byte| *byte == b';') {
            let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
            let begin = pair.iter().take_while(|byte| blank(byte)).count();
            let pair = &pair[begin..];
            let end = pair.len() - pair.iter().rev().take_while(|byte| blank(byte)).count();
            let pair = &pair[..end];
            let Some(equals) = pair.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            let value = &pair[equals + 1..];
            if &pair[..equals] == NAME.as_bytes() && !value.is_empty() {
                values.push(value);
            }
        }
    }
    let is_octet = |byte: &u8| byte.is_ascii_graphic() && !b"\",;\\".contains(byte);
    match values[..] {
        [] => Ok(None),
        [value] if value.iter().all(is_octet) => Ok(Some(value)),
        [_] => Err(CredentialError::Malformed),
        _ => Err(CredentialError::Ambiguous),
    }
}

pub(super) fn cookie(data: &[u8]) {
    let lines = lines(data);
    let request = Request::get("cookie", lines.iter().copied());
    let policy = CookiePolicy::server_rendered();
    let found = policy.find_access(&request);
    let found = found.map(|token| token.map(|token| token.expose().as_bytes()));
    assert_eq!(found, read(&lines));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let rename = |line: Vec<u8>| -> Vec<u8> {
        // Byte by byte, since some lines are no text.
        let text: String = line.into_iter().map(char::from).collect();
        let text = text.replace("__Host-rt", NAME);
        text.chars()
            .map(|char| u8::try_from(char).unwrap_or(b'?'))
            .collect()
    };
    let mut seeds: Vec<Vec<u8>> = cases(COOKIE_CASES)
        .iter()
        .filter_map(|case| case["cookie_headers_hex"].as_array())
        .map(|lines| {
            let lines = lines.iter().filter_map(|line| line.as_str());
            let lines: Vec<Vec<u8>> = lines.map(|line| rename(unhex(line))).collect();
            lines.join(&b'\n')
        })
        .collect();
    seeds.push(format!("{}{NAME}=GOOD", "a=;".repeat(2000)).into_bytes());
    seeds
}
