//! Checks for JSON that a skipping parser accepts too easily.
//!
//! serde_json checks the grammar of skipped values, but accepts in them:
//! 1. `\u` escapes that are half of a surrogate pair: such a string is not Unicode text;
//! 2. numbers that exceed a double, such as `1e400`;
//! 3. nesting of any depth.
//!
//! Two parsers that disagree about such a payload could be played against each other. It is refused
//! whether or not the app's type reads the value.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// An object with distinct names, in any escaping (RFC 7515 §4, RFC 7517 §4).
pub(crate) struct Object(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name appears twice"));
                    }
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// serde_json's nesting limit for the values that it builds.
const MAX_DEPTH: usize = 127;

/// Length in characters up to which a number without an exponent fits a double.
const HARMLESS_DIGITS: usize = 308;

/// Bytes that are checked at once, to compile to vector instructions. Far fewer than
/// [`HARMLESS_DIGITS`], so that any longer number contains a whole piece.
const PIECE: usize = 32;

/// Whether `json` is free of strings, numbers and nesting that only a lax parser accepts.
///
/// Does not check the grammar; the parser does.
pub(crate) fn is_strict(json: &str) -> bool {
    is_plain(json.as_bytes()) || has_strict_values(json)
}

/// Whether `json` has no suspicious bytes, inside strings or outside: no escape, no large exponent,
/// few brackets, no long run of digits. True for most tokens, and found without looking for the
/// ends of strings.
fn is_plain(json: &[u8]) -> bool {
    memchr::memchr(b'\\', json).is_none()
        && memchr::memchr2_iter(b'[', b'{', json)
            .nth(MAX_DEPTH)
            .is_none()
        && !has_large_exponent(json)
        && !has_long_number(json)
}

/// Whether `json` contains a digit or dot, an `e`, a digit or plus, and two digits, in this order.
///
/// Below 1e100, a number that is not [long](has_long_number) is finite. Hexadecimal ids rarely
/// match. Integers instead of `bool`, and parallel slices instead of windows, compile to vector
/// instructions.
fn has_large_exponent(json: &[u8]) -> bool {
    let from = |start: usize| json.get(start..).unwrap_or_default();
    let bytes = json.iter().zip(from(1)).zip(from(2));
    let bytes = bytes.zip(from(3)).zip(from(4));
    let found = bytes.fold(0, |found, ((((before, e), sign), first), second)| {
        let number = u8::from(is_digit(before)) | u8::from(*before == b'.');
        let exponent = u8::from(is_digit(sign)) | u8::from(*sign == b'+');
        let digits = u8::from(is_digit(first)) & u8::from(is_digit(second));
        found | (number & u8::from(*e | 0x20 == b'e') & exponent & digits)
    });
    found != 0
}

/// Whether a whole [`PIECE`] is digits.
fn has_long_number(json: &[u8]) -> bool {
    let (pieces, _) = json.as_chunks::<PIECE>();
    let digits = |piece: &[u8; PIECE]| piece.iter().fold(true, |all, byte| all & is_digit(byte));
    pieces.iter().any(digits)
}

const fn is_digit(byte: &u8) -> bool {
    byte.wrapping_sub(b'0') < 10
}

fn has_strict_values(json: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = json.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'"' => match string(after) {
                Some(after) => after,
                None => return false,
            },
            b'-' | b'0'..=b'9' => {
                let end = rest.iter().position(|byte| !is_number_byte(*byte));
                let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
                if !is_finite(number) {
                    return false;
                }
                after
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
                after
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                after
            }
            _ => after,
        };
    }
    true
}

fn is_number_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

fn is_finite(number: &[u8]) -> bool {
    let exponent = number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    if !exponent && number.len() <= HARMLESS_DIGITS {
        return true;
    }
    std::str::from_utf8(number)
        .ok()
        .and_then(|number| number.parse::<f64>().ok())
        .is_some_and(f64::is_finite)
}

/// Skips the string that `rest` starts inside of. Returns `None` if it is not Unicode text.
fn string(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let stop = memchr::memchr2(b'"', b'\\', rest)?;
        let (stop, after) = rest.get(stop..)?.split_first()?;
        if *stop == b'"' {
            return Some(after);
        }
        let (escape, after) = after.split_first()?;
        rest = if *escape == b'u' {
            scalar(after)?
        } else {
            after
        };
    }
}

/// Skips the escaped character whose digits start `hex`. Returns `None` for a lone surrogate.
fn scalar(hex: &[u8]) -> Option<&[u8]> {
    let (unit, after) = code_unit(hex)?;
    match unit {
        0xD800..=0xDBFF => {
            let (low, after) = code_unit(after.strip_prefix(b"\\u")?)?;
            (0xDC00..=0xDFFF).contains(&low).then_some(after)
        }
        0xDC00..=0xDFFF => None,
        _ => Some(after),
    }
}

fn code_unit(hex: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, after) = hex.split_at_checked(4)?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u16::from_str_radix(digits, 16).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a23_lone_surrogates_are_not_strict() {
        for lone in [
            r#"["\ud800"]"#,
            r#"["\uDFFF"]"#,
            r#"["\ud800\ud800"]"#,
            r#"["\ud800x"]"#,
            r#"["\ud800\n"]"#,
            r#"{"\udc00\ud800":1}"#,
        ] {
            assert!(!is_strict(lone), "{lone}");
        }
        for fine in [
            r#"["\ud83d\ude00"]"#,
            r#"["\\ud800"]"#,
            r#"["\"", "\u00e9"]"#,
        ] {
            assert!(is_strict(fine), "{fine}");
        }
    }

    #[test]
    fn a23_lone_surrogates_are_found_wherever_they_stand() {
        for before in 0..40 {
            for after in 0..20 {
                let (before, after) = ("é".repeat(before) + &"x".repeat(before), "!".repeat(after));
                let text = |escape: &str| format!("{{\"{before}{escape}{after}\":\"\\\\\"}}");
                assert!(is_strict(&text(r"\u00e9")));
                assert!(is_strict(&text(r#"\""#)));
                assert!(!is_strict(&text(r"\ud800")), "{before} {after}");
                assert!(!is_strict(&format!("[\"{after}\",1e400]")), "{after}");
            }
        }
    }

    #[test]
    fn a23_numbers_beyond_a_double_are_not_strict() {
        let digits = "9".repeat(310);
        for huge in ["1e400", "-1E+309", "0.1e999", digits.as_str()] {
            assert!(!is_strict(&format!("[{huge}]")), "{huge}");
            assert!(is_strict(&format!("[\"{huge}\"]")), "{huge}");
        }
        assert!(is_strict("[1e308,-1E-400,0,12.5,-0]"));
    }

    #[test]
    fn a23_the_quick_look_overlooks_no_number() {
        for digits in [1, 2, 30, 62, 63, 64, 200, 310] {
            for exponent in 0..=400 {
                for (dot, sign) in [("", ""), ("", "+"), (".0", ""), (".5", "+"), ("", "-")] {
                    let number = format!("{}{dot}E{sign}{exponent}", "9".repeat(digits));
                    let finite = number.parse::<f64>().is_ok_and(f64::is_finite);
                    for before in ["", "        ", "\"tenant\":\"acme\","] {
                        let json = format!("{{{before}\"n\":{number}}}");
                        assert_eq!(is_strict(&json), finite, "{json}");
                    }
                }
            }
        }
    }

    #[test]
    fn a23_depth_is_counted_not_the_number_of_brackets() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_strict(&nested(MAX_DEPTH)));
        assert!(!is_strict(&nested(MAX_DEPTH + 1)));
        assert!(is_strict(&format!("[{}]", vec!["[]"; 500].join(","))));
        assert!(is_strict(&format!("[\"{}\"]", "[".repeat(500))));
    }
}
