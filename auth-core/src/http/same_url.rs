//! Relative references for responses that redirect a browser to the URL it has just requested.
//!
//! 1. The reference is relative. Scheme, host and any path prefix that a proxy or a router removed
//!    stay as the browser sent them.
//! 2. The reference is `?QUERY`, or `./LAST` with the last path segment if there is no query
//!    (RFC 3986 §5.2.2). It is never the path itself: `//evil.test` is a valid path, but as a
//!    reference it names another host.
//! 3. Bytes that no browser sends unencoded are percent-encoded, so nothing in the reference ends a
//!    header line, an attribute or a tag. A backslash is encoded too: browsers read it as a slash.

use std::fmt::Write;

/// A relative reference to the URL of a request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SameUrl(String);

impl SameUrl {
    /// Builds the reference from `target`, the path and query as the client sent them.
    pub(crate) fn of(target: &str) -> Self {
        let target = target.split('#').next().unwrap_or_default();
        let (start, rest) = match target.split_once('?') {
            Some((_, query)) => ("?", query),
            None => ("./", target.rsplit('/').next().unwrap_or_default()),
        };
        let mut text = String::with_capacity(start.len() + rest.len());
        text.push_str(start);
        for byte in rest.bytes() {
            match byte {
                b'"' | b'<' | b'>' | b'\\' => encode(&mut text, byte),
                0x21..=0x7E => text.push(char::from(byte)),
                _ => encode(&mut text, byte),
            }
        }
        Self(text)
    }

    /// The reference as visible ASCII, for a `Location` field.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The reference escaped for an attribute in double quotes.
    pub(crate) fn to_html(&self) -> String {
        self.0.replace('&', "&amp;").replace('\'', "&#39;")
    }
}

fn encode(text: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(text, "%{byte:02X}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reference(target: &str) -> String {
        SameUrl::of(target).0
    }

    #[test]
    fn h21_the_query_or_the_last_segment_and_never_the_path() {
        for (target, expected) in [
            ("/", "./"),
            ("/orders", "./orders"),
            ("/orders/", "./"),
            ("/orders/7", "./7"),
            ("/orders/7?a=1&b=2", "?a=1&b=2"),
            ("/orders?", "?"),
            ("/?next=https://evil.test/", "?next=https://evil.test/"),
            ("//evil.test", "./evil.test"),
            ("//evil.test/", "./"),
            ("//evil.test?q", "?q"),
            ("/\\evil.test", "./%5Cevil.test"),
            ("/x/javascript:alert(1)", "./javascript:alert(1)"),
            ("/a?b?c", "?b?c"),
            ("/a?b#c", "?b"),
            ("/a#?c", "./a"),
            ("*", "./*"),
            ("", "./"),
        ] {
            assert_eq!(reference(target), expected, "{target}");
        }
    }

    #[test]
    fn h21_nothing_in_it_ends_a_line_an_attribute_or_a_tag() {
        assert_eq!(reference("/a\"><script>"), "./a%22%3E%3Cscript%3E");
        assert_eq!(reference("/?a\"'<b>&c"), "?a%22'%3Cb%3E&c");
        assert_eq!(
            reference("/a b\r\nc\u{e9}\u{7f}"),
            "./a%20b%0D%0Ac%C3%A9%7F"
        );
        assert_eq!(SameUrl::of("/?a'b&lt;").to_html(), "?a&#39;b&amp;lt;");
    }

    proptest! {
        #[test]
        fn h21_whatever_was_sent_it_is_relative_visible_and_inert(target in "\\PC*|[/\\\\?#.:@a\"'<>&\r\n ]*") {
            let reference = reference(&target);
            prop_assert!(reference.starts_with('?') || reference.starts_with("./"));
            let inert = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\#".contains(&byte);
            prop_assert!(reference.bytes().all(inert));
            if let Some(last) = reference.strip_prefix("./") {
                prop_assert!(!last.contains('/'));
            }
        }
    }
}
