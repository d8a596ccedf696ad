//! Cookie names and the prefixes that browsers enforce.

use auth_core::ConfigError;

/// Prefixes that browsers enforce, in any letter case (RFC 6265bis §4.1.3, and "Cookie prefixes" in
/// the layered-cookies draft).
pub(crate) const HOST_HTTP: &str = "__Host-Http-";
pub(crate) const HOST: &str = "__Host-";
pub(crate) const SECURE: &str = "__Secure-";

/// Maximum length of a name. The rest of a cookie's 4096 bytes is for the token.
const MAX_LENGTH: usize = 128;

const SETTING: &str = "cookie name";

/// Checks a whole name, including its prefix.
pub(crate) fn check(name: &str) -> Result<(), ConfigError> {
    // RFC 9110 §5.6.2 `token`.
    let is_token = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if name.is_empty() || name.len() > MAX_LENGTH || !is_token {
        let problem = format!(
            "{name:?}: must be 1 to {MAX_LENGTH} characters of a token: letters, digits and some \
             punctuation (RFC 9110 §5.6.2)"
        );
        return Err(ConfigError::new(SETTING, problem));
    }
    Ok(())
}

/// Prepends `prefix` to a name without a prefix. Browsers ignore the case of prefixes, so some drop
/// a cookie `__host-at` that does not conform to `__Host-`.
pub(crate) fn with_prefix(prefix: &str, name: &str) -> Result<Box<str>, ConfigError> {
    check(name)?;
    if name.starts_with("__") {
        return Err(ConfigError::new(
            SETTING,
            format!("{name:?}: must have no prefix, because the constructor adds it"),
        ));
    }
    let name = format!("{prefix}{name}");
    check(&name)?;
    Ok(name.into_boxed_str())
}
