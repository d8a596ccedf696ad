//! Strict parsing of `application/x-www-form-urlencoded` (RFC 6749 §3.2 and appendix B).

use zeroize::Zeroizing;

use crate::http::request::{RequestView, SingleField, single_field};

const MEDIA_TYPE: &[u8] = b"application/x-www-form-urlencoded";

/// The error for a malformed form or a repeated parameter. The response is 400 `invalid_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadForm;

/// The parameters of a request. They hold secrets: zeroized on drop, and not in `Debug`.
pub(crate) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    pub(crate) fn read(request: &dyn RequestView, body: &[u8]) -> Result<Self, BadForm> {
        let SingleField::One(media) = single_field(request, "content-type") else {
            return Err(BadForm);
        };
        let media = media.split(|byte| *byte == b';').next().unwrap_or_default();
        if !media.trim_ascii().eq_ignore_ascii_case(MEDIA_TYPE) {
            return Err(BadForm);
        }
        let pairs = body
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty());
        let read = pairs.map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=').ok_or(BadForm)?;
            let (name, value) = pair.split_at(at);
            let value = value.get(1..).unwrap_or_default();
            Ok((decode(name)?.to_string(), decode(value)?))
        });
        read.collect::<Result<_, _>>().map(Self)
    }

    /// Takes a parameter, which must not be repeated. An empty one counts as absent (RFC 6749
    /// §3.2).
    pub(crate) fn take(&mut self, name: &str) -> Result<Option<Zeroizing<String>>, BadForm> {
        let mut found = None;
        for (own, value) in &mut self.0 {
            if own == name && found.replace(std::mem::take(value)).is_some() {
                return Err(BadForm);
            }
        }
        Ok(found.filter(|value| !value.is_empty()))
    }
}

/// Decodes a value: `+` is a space, `%` escapes a byte, the result is UTF-8.
pub(crate) fn decode(text: &[u8]) -> Result<Zeroizing<String>, BadForm> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let [high, low, after @ ..] = rest else {
                    return Err(BadForm);
                };
                rest = after;
                (hex(*high)? << 4) | hex(*low)?
            }
            byte => *byte,
        });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| BadForm)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn hex(digit: u8) -> Result<u8, BadForm> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
        .ok_or(BadForm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str) -> Result<String, BadForm> {
        decode(input.as_bytes()).map(|text| text.to_string())
    }

    #[test]
    fn escapes_are_two_digits_and_the_text_is_utf_8() {
        assert_eq!(text("a+b%20c%2B%c3%A9").unwrap(), "a b c+\u{e9}");
        for bad in ["%", "%2", "%2g", "%+2", "%ff"] {
            assert_eq!(text(bad), Err(BadForm), "{bad}");
        }
    }

    struct Head(&'static [&'static str]);

    impl RequestView for Head {
        fn method(&self) -> &str {
            "POST"
        }
        fn path(&self) -> &str {
            "/"
        }
        fn target(&self) -> &str {
            self.path()
        }
        fn authority(&self) -> Option<&str> {
            None
        }
        fn visit_header<'r>(&'r self, _: &str, visit: &mut dyn FnMut(&'r [u8])) {
            self.0.iter().for_each(|value| visit(value.as_bytes()));
        }
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn only_one_media_type_is_a_form() {
        for types in [
            &[FORM][..],
            &["Application/X-WWW-Form-URLEncoded ; charset=utf-8"],
        ] {
            assert!(Form::read(&Head(types), b"a=b").is_ok(), "{types:?}");
        }
        for types in [
            &[][..],
            &["text/plain"],
            &["application/json"],
            &[FORM, FORM],
        ] {
            assert!(Form::read(&Head(types), b"a=b").is_err(), "{types:?}");
        }
    }

    #[test]
    fn what_is_read_comes_once_and_what_is_empty_is_absent() {
        let form = |body: &str| Form::read(&Head(&[FORM]), body.as_bytes());
        let mut read = form("x=1&token=a%3Db&x=2&&empty=").unwrap();
        assert_eq!(read.take("token").unwrap().unwrap().as_str(), "a=b");
        assert!(read.take("empty").unwrap().is_none());
        assert!(read.take("absent").unwrap().is_none());
        assert!(read.take("x").is_err());
        // An escaped name is the same name.
        assert!(form("token=a&%74oken=b").unwrap().take("token").is_err());
        assert!(form("token").is_err());
    }
}
