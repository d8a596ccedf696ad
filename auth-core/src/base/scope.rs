//! [`Scope`]: the scope of an access token (RFC 6749 §3.3).

use std::fmt;

use crate::base::config::ConfigError;

/// A set of scope tokens, stored as the space-separated text of the wire format.
///
/// ```
/// use auth_core::Scope;
///
/// let scope = Scope::parse("read write").unwrap();
/// assert!(scope.contains("read"));
/// assert!(!scope.contains("admin"));
/// assert!(Scope::parse("quo\"te").is_err());
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Scope(Box<str>);

impl Scope {
    /// Creates the empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Parses space-separated scope tokens.
    ///
    /// # Errors
    /// [`ConfigError`] if a byte is not allowed in an RFC 6749 `scope-token` (printable ASCII
    /// without space, quote and backslash): such a scope could not be quoted in a challenge.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text.bytes().all(|byte| byte == b' ' || is_scope_byte(byte)) {
            Ok(Self::collect(text.split(' ')))
        } else {
            Err(ConfigError::new(
                "scope",
                "only printable ASCII without quote and backslash",
            ))
        }
    }

    /// Reads the `scope` claim of a verified token. Scope tokens that no challenge could quote are
    /// left out.
    pub(crate) fn from_claim(text: &str) -> Self {
        let plain = |token: &str| !token.is_empty() && token.bytes().all(is_scope_byte);
        if text.split(' ').all(plain) {
            Self(text.into())
        } else {
            Self::from_tokens(text.split(' '))
        }
    }

    /// Collects the scope tokens of a verified token. Those that no challenge could quote are left
    /// out.
    pub(crate) fn from_tokens<'a>(tokens: impl Iterator<Item = &'a str>) -> Self {
        Self::collect(tokens.filter(|token| token.bytes().all(is_scope_byte)))
    }

    /// Collects the elements of an array, like [`from_tokens`](Self::from_tokens).
    pub(crate) fn from_list<'a>(tokens: impl Iterator<Item = &'a str>) -> Self {
        Self::from_tokens(tokens.filter(|token| !token.contains(' ')))
    }

    fn collect<'a>(tokens: impl Iterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        for token in tokens.filter(|token| !token.is_empty()) {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(token);
        }
        Self(text.into_boxed_str())
    }

    /// Whether the set contains `token`. Scope tokens are case-sensitive.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|own| own == token)
    }

    /// Whether the set contains every scope token of `other`.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|token| self.contains(token))
    }

    /// The scope tokens, in their written order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The space-separated text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 6749 §3.3: `%x21 / %x23-5B / %x5D-7E`.
pub(crate) const fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scope").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
