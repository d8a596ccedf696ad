//! Closes what a skipping JSON parser leaves open.
//!
//! serde_json checks the grammar of values that nobody wants, but of them it lets through:
//! 1. `\u` escapes that are half of a surrogate pair: such a string is no Unicode text;
//! 2. numbers that no double can hold, such as `1e400`;
//! 3. nesting of any depth.
//!
//! Two readers that disagree about such a payload could be played against each other, so it is
//! refused whatever the app's type looks at.

/// serde_json's own limit for the values that it does build.
const MAX_DEPTH: usize = 127;

/// Without an exponent, so many characters never exceed the largest double.
const HARMLESS_DIGITS: usize = 308;

/// Whether no string, number or nesting of `json` is one that only a lax parser accepts.
///
/// Says nothing about the grammar: that is for the parser proper.
pub(crate) fn is_strict(json: &str) -> bool {
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

/// What follows the string that `rest` begins inside of; `None` if it is no Unicode text.
fn string(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
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

/// What follows the escaped character whose digits begin `hex`; `None` for a lone surrogate.
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
    fn a23_numbers_beyond_a_double_are_not_strict() {
        let digits = "9".repeat(310);
        for huge in ["1e400", "-1E+309", "0.1e999", digits.as_str()] {
            assert!(!is_strict(&format!("[{huge}]")), "{huge}");
            assert!(is_strict(&format!("[\"{huge}\"]")), "{huge}");
        }
        assert!(is_strict("[1e308,-1E-400,0,12.5,-0]"));
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
