//! Closes what a skipping JSON parser leaves open.
//!
//! serde_json checks the grammar of values that nobody wants, but of them it lets through:
//! 1. `\u` escapes that are half of a surrogate pair: such a string is no Unicode text;
//! 2. numbers that no double can hold, such as `1e400`;
//! 3. nesting of any depth.
//!
//! Two readers that disagree about such a payload could be played against each other, so it is
//! refused whatever the app's type looks at. Nearly no honest payload contains anything
//! [suspicious], so the walk itself is rare.

/// serde_json's own limit for the values that it does build.
const MAX_DEPTH: usize = 127;

/// A run of digits that contains none of the aligned blocks of this length has fewer digits than
/// the largest double.
const DIGIT_BLOCK: usize = 128;

/// Whether no string, number or nesting of `json` is one that only a lax parser accepts.
///
/// Says nothing about the grammar: that is for the parser proper.
pub(super) fn is_strict(json: &str) -> bool {
    !suspicious(json.as_bytes()) || walk(json)
}

/// Whether there may be something to find. Passes over whole slices, so they are vectorised.
fn suspicious(json: &[u8]) -> bool {
    // `[` and `{` differ in one bit.
    let opened = json.iter().filter(|&&byte| (byte | 0x20) == b'{').count();
    let exponent = json
        .iter()
        .zip(json.iter().skip(1))
        .fold(false, |found, (digit, e)| {
            found | (digit.is_ascii_digit() & ((e | 0x20) == b'e'))
        });
    opened > MAX_DEPTH
        || exponent
        || json.contains(&b'\\')
        || json
            .chunks_exact(DIGIT_BLOCK)
            .any(|block| block.iter().all(u8::is_ascii_digit))
}

fn walk(json: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some(first) = rest.bytes().next() {
        match first {
            b'"' => match string(rest.get(1..).unwrap_or_default()) {
                Some(after) => {
                    rest = after;
                    continue;
                }
                None => return false,
            },
            b'-' | b'0'..=b'9' => {
                let end = rest.find(|c| !is_number_char(c)).unwrap_or(rest.len());
                let (number, after) = rest.split_at(end);
                if !number.parse::<f64>().is_ok_and(f64::is_finite) {
                    return false;
                }
                rest = after;
                continue;
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let mut chars = rest.chars();
        chars.next();
        rest = chars.as_str();
    }
    true
}

fn is_number_char(c: char) -> bool {
    matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')
}

/// What follows the string that `rest` begins inside of; `None` if it is no Unicode text.
fn string(mut rest: &str) -> Option<&str> {
    loop {
        let (_, stop) = rest.split_at(rest.find(['"', '\\'])?);
        if let Some(after) = stop.strip_prefix('"') {
            return Some(after);
        }
        let escape = stop.get(1..)?;
        rest = match escape.strip_prefix('u') {
            Some(hex) => scalar(hex)?,
            None => {
                let mut chars = escape.chars();
                chars.next()?;
                chars.as_str()
            }
        };
    }
}

/// What follows the escaped character whose digits begin `hex`; `None` for a lone surrogate.
fn scalar(hex: &str) -> Option<&str> {
    let (unit, after) = code_unit(hex)?;
    match unit {
        0xD800..=0xDBFF => {
            let (low, after) = code_unit(after.strip_prefix("\\u")?)?;
            (0xDC00..=0xDFFF).contains(&low).then_some(after)
        }
        0xDC00..=0xDFFF => None,
        _ => Some(after),
    }
}

fn code_unit(hex: &str) -> Option<(u16, &str)> {
    let digits = hex.get(..4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, hex.get(4..)?))
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
        assert!(is_strict("[1e308,-1E-400,0,12.5]"));
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
