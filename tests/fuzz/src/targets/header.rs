//! `Authorization`: exactly one token68 after our scheme, or nothing of ours, or malformed.

use auth_core::source::{BearerHeader, CredentialError, TokenSource};
use serde_json::Value;

use crate::world::{BEARER_CASES, Request, cases, lines};

/// What RFC 9110 §11.4 makes of a line, read piece by piece.
#[derive(Debug, PartialEq, Eq)]
enum Read<'l> {
    Other,
    Token(&'l [u8]),
    Malformed,
}

fn read(line: &[u8]) -> Read<'_> {
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let length = line.iter().take_while(|byte| is_scheme(byte)).count();
    let (scheme, rest) = line.split_at(length);
    // `Bearer:` looks like a field of its own, so it is nobody's credential.
    if !scheme.eq_ignore_ascii_case(b"bearer") || rest.starts_with(b":") {
        return Read::Other;
    }
    let token: Vec<u8> = rest
        .iter()
        .copied()
        .skip_while(|byte| *byte == b' ')
        .collect();
    let body = token.split(|byte| *byte == b'=').next().unwrap_or_default();
    let padded = token[body.len()..].iter().all(|byte| *byte == b'=');
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    if rest.starts_with(b" ") && !body.is_empty() && padded && body.iter().all(plain) {
        Read::Token(&line[line.len() - token.len()..])
    } else {
        Read::Malformed
    }
}

pub(super) fn header(data: &[u8]) {
    let lines = lines(data);
    let request = Request::get("authorization", lines.iter().copied());
    let found = BearerHeader.find(&request);
    match (&lines[..], found) {
        ([_, _, ..], found) => assert_eq!(found.err(), Some(CredentialError::Ambiguous)),
        ([line], Ok(None)) => assert_eq!(read(line), Read::Other),
        ([line], Ok(Some(token))) => {
            assert_eq!(read(line), Read::Token(token.expose().as_bytes()));
        }
        ([line], Err(error)) => {
            assert_eq!(error, CredentialError::Malformed);
            assert_eq!(read(line), Read::Malformed);
        }
        ([], _) => unreachable!("a split has at least one part"),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let token = "eyJhbGciOiJIUzI1NiJ9.e30.AAAA";
    let value = |case: &Value| -> Vec<String> {
        let lines = case["headers"].as_array().into_iter().flatten();
        lines
            .filter(|line| line[0] == "Authorization")
            .map(|line| {
                let value = line[1].as_str().unwrap_or_default();
                value
                    .replace("{REPEAT_DOT_1MiB}", &".".repeat(9000))
                    .replace("{A}", token)
                    .replace("{B}", "b.b.b")
            })
            .collect()
    };
    cases(BEARER_CASES)
        .iter()
        .map(|case| value(case).join("\n").into_bytes())
        .collect()
}
