//! The name and the attributes of one cookie, checked against each other.
//!
//! 1. The prefix determines the attributes that can be set: `__Host-Http-` and `__Host-` require
//!    `Secure`, `Path=/` and no `Domain`, and their builder has no methods for these. `__Secure-`
//!    requires `Secure`; path and domain are free.
//! 2. `HttpOnly` and an explicit `SameSite` are on every cookie, deletions included.
//! 3. Only [`TokenCookie::insecure_plain_http`] makes a cookie without `Secure`. It has no prefix,
//!    and cannot have `SameSite=None` or `Partitioned`.
//! 4. A combination that browsers refuse is an error when it is built.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use auth_core::ConfigError;
use auth_core::adapter::{CookieError, CookieTooLong};
use cookie::Cookie;
use cookie::time;

use crate::name;
use crate::source::is_cookie_value;

/// Maximum length of name and value together, in bytes (RFC 6265bis §5.6).
const MAX_NAME_AND_VALUE: usize = 4096;
/// Maximum length of the value of an attribute, in bytes (RFC 6265bis §5.6).
const MAX_ATTRIBUTE: usize = 1024;
/// Maximum lifetime of a cookie; browsers shorten longer ones (RFC 6265bis §5.5).
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The `SameSite` attribute: the requests from other sites that include the cookie (RFC 6265bis
/// §5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "closed by RFC 6265bis")]
pub enum SameSite {
    /// No requests from other sites, not even a followed link.
    Strict,
    /// Top-level navigations with a safe method, such as a followed link.
    Lax,
    /// All requests. Needs `Secure` and another defence against request forgery.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    Secure,
    PlainToo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jar {
    Shared,
    Partitioned,
}

/// A cookie for a token: name and attributes, checked to fit together.
///
/// ```
/// use auth_cookie::{SameSite, TokenCookie};
///
/// let cookie = TokenCookie::host("session").with_same_site(SameSite::Lax).build()?;
/// assert_eq!(cookie.name(), "__Host-session");
///
/// let shared = TokenCookie::secure("at").with_domain("example.com").build()?;
/// assert_eq!(shared.name(), "__Secure-at");
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
///
/// A `__Host-` cookie has no domain and no path of its own, so its builder has no such methods:
///
/// ```compile_fail,E0599
/// # use auth_cookie::TokenCookie;
/// TokenCookie::host("at").with_domain("example.com");
/// ```
///
/// ```compile_fail,E0599
/// # use auth_cookie::TokenCookie;
/// TokenCookie::host_http("at").with_path("/auth");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCookie {
    name: Box<str>,
    domain: Option<Box<str>>,
    path: Box<str>,
    transfer: Transfer,
    same_site: SameSite,
    jar: Jar,
}

impl TokenCookie {
    /// A cookie `__Host-Http-` + `name`, for this host over HTTPS, which only a server can set, not a
    /// script. Browsers that know only `__Host-` enforce that part.
    pub fn host_http(name: &str) -> CookieBuilder<HostOnly> {
        CookieBuilder::new(name::HOST_HTTP, name)
    }

    /// A cookie `__Host-` + `name`, for this host over HTTPS.
    pub fn host(name: &str) -> CookieBuilder<HostOnly> {
        CookieBuilder::new(name::HOST, name)
    }

    /// A cookie `__Secure-` + `name`, over HTTPS, with a free choice of domain and path.
    ///
    /// # Security
    /// Any sibling subdomain can plant a cookie of this name. It gains no identity by that, but can
    /// make requests ambiguous (400) or log the browser in to an account of its choice.
    pub fn secure(name: &str) -> CookieBuilder<Scoped> {
        CookieBuilder::new(name::SECURE, name)
    }

    /// A cookie `name` without prefix and without `Secure`, for sites without HTTPS.
    ///
    /// Not needed for `http://localhost` in Chromium and Firefox, which accept `Secure` cookies
    /// there.
    ///
    /// # Security
    /// Any network between browser and server can read the token and plant another one.
    pub fn insecure_plain_http(name: &str) -> CookieBuilder<Scoped> {
        let mut builder = CookieBuilder::new("", name);
        builder.draft.transfer = Transfer::PlainToo;
        builder
    }

    /// A cookie of a preset, which needs no check.
    pub(crate) fn preset(name: &str, same_site: SameSite, jar: Jar) -> Self {
        Self {
            name: name.into(),
            domain: None,
            path: "/".into(),
            transfer: Transfer::Secure,
            same_site,
            jar,
        }
    }

    /// The name, including the prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `SameSite` attribute.
    #[must_use]
    pub fn same_site(&self) -> SameSite {
        self.same_site
    }

    /// The `Domain` attribute; `None` means this host only.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// The `Path` attribute.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the cookie has `Secure`. All but those of
    /// [`insecure_plain_http`](Self::insecure_plain_http) do.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.transfer == Transfer::Secure
    }

    /// Whether the cookie has `Partitioned`, that is, a separate cookie jar in each embedding site.
    #[must_use]
    pub fn is_partitioned(&self) -> bool {
        self.jar == Jar::Partitioned
    }

    /// The `Set-Cookie` value that stores `token`. `max_age` is rounded down to whole seconds and
    /// limited to 400 days; without it, the cookie ends with the browser session.
    ///
    /// For tokens of your own, such as the `state` of a login at an identity provider; a
    /// [`CookiePolicy`](crate::CookiePolicy) writes the access and the refresh cookie. Append the
    /// value to the `Set-Cookie` fields, do not replace others. Read the cookie with a
    /// [`CookieSource`](crate::CookieSource) of the same name.
    ///
    /// # Errors
    /// [`CookieError`] if browsers would drop or misread it.
    pub fn set(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieError> {
        let size = self.name.len().saturating_add(token.len());
        if size > MAX_NAME_AND_VALUE {
            let limit = MAX_NAME_AND_VALUE;
            return Err(CookieTooLong { size, limit }.into());
        }
        if !is_cookie_value(token.as_bytes()) {
            return Err(CookieError::Value);
        }
        let mut cookie = self.with_value(token);
        if let Some(max_age) = max_age {
            let secs = max_age.min(MAX_AGE).as_secs();
            cookie.set_max_age(time::Duration::seconds(
                i64::try_from(secs).unwrap_or_default(),
            ));
        }
        Ok(cookie.to_string())
    }

    /// The `Set-Cookie` value that deletes the cookie. It repeats every attribute, because browsers
    /// find a cookie by name, domain, path and partition, and enforce prefixes on deletions too.
    #[must_use]
    pub fn clear(&self) -> String {
        let mut cookie = self.with_value("");
        cookie.set_max_age(time::Duration::ZERO);
        cookie.set_expires(time::OffsetDateTime::UNIX_EPOCH);
        cookie.to_string()
    }

    fn with_value<'c>(&'c self, value: &'c str) -> Cookie<'c> {
        let mut cookie = Cookie::new(&*self.name, value);
        cookie.set_http_only(true);
        cookie.set_secure(self.is_secure());
        cookie.set_same_site(match self.same_site {
            SameSite::Strict => cookie::SameSite::Strict,
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::None => cookie::SameSite::None,
        });
        cookie.set_partitioned(self.is_partitioned());
        cookie.set_path(&*self.path);
        if let Some(domain) = &self.domain {
            cookie.set_domain(&**domain);
        }
        cookie
    }

    /// Whether browsers treat both as one cookie, so that the later replaces the earlier.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.name == other.name
            && self.domain == other.domain
            && self.path == other.path
            && self.jar == other.jar
    }
}

/// The state of a builder whose prefix pins the cookie to this host and to `Path=/`.
#[derive(Clone, Copy, Debug)]
pub struct HostOnly(());

/// The state of a builder whose cookie may have a domain and a path.
#[derive(Clone, Copy, Debug)]
pub struct Scoped(());

/// Builder of a [`TokenCookie`], made by its constructors.
///
/// Defaults: `SameSite=Lax`, `Path=/`, no `Domain`.
#[must_use]
pub struct CookieBuilder<S> {
    prefix: &'static str,
    draft: TokenCookie,
    scope: PhantomData<fn() -> S>,
}

impl<S> fmt::Debug for CookieBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieBuilder")
            .field("prefix", &self.prefix)
            .field("draft", &self.draft)
            .finish()
    }
}

impl<S> Clone for CookieBuilder<S> {
    fn clone(&self) -> Self {
        Self {
            prefix: self.prefix,
            draft: self.draft.clone(),
            scope: PhantomData,
        }
    }
}

impl<S> CookieBuilder<S> {
    fn new(prefix: &'static str, name: &str) -> Self {
        Self {
            prefix,
            draft: TokenCookie::preset(name, SameSite::Lax, Jar::Shared),
            scope: PhantomData,
        }
    }

    /// Sets the `SameSite` attribute. Default: [`SameSite::Lax`].
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.draft.same_site = same_site;
        self
    }

    /// Adds `Partitioned` (CHIPS): a separate cookie jar in each embedding site. Chromium and
    /// Firefox accept these cookies even if they block third-party cookies; WebKit 2.50 does not.
    /// Default: off.
    pub fn with_partitioned_jar(mut self) -> Self {
        self.draft.jar = Jar::Partitioned;
        self
    }

    /// Builds the cookie.
    ///
    /// # Errors
    /// [`ConfigError`] for an invalid name or one with a prefix, for `SameSite=None` or
    /// `Partitioned` without `Secure`, for an invalid or refused domain, and for a path that is not
    /// absolute.
    pub fn build(self) -> Result<TokenCookie, ConfigError> {
        let mut cookie = self.draft;
        cookie.name = name::with_prefix(self.prefix, &cookie.name)?;
        cookie.domain = cookie.domain.as_deref().map(domain).transpose()?;
        check_path(&cookie.path)?;
        if cookie.transfer == Transfer::PlainToo {
            if cookie.same_site == SameSite::None {
                let problem = "SameSite=None needs Secure: browsers drop the cookie without it";
                return Err(ConfigError::new("SameSite", problem));
            }
            if cookie.jar == Jar::Partitioned {
                let problem = "Partitioned needs Secure: browsers drop the cookie without it";
                return Err(ConfigError::new("Partitioned", problem));
            }
        }
        Ok(cookie)
    }
}

impl CookieBuilder<Scoped> {
    /// Sends the cookie to `domain` and to all its subdomains. Letter case makes no difference.
    ///
    /// # Security
    /// Every one of these hosts receives the token, including one that an attacker has taken over.
    pub fn with_domain(mut self, domain: &str) -> Self {
        self.draft.domain = Some(domain.into());
        self
    }

    /// Sends the cookie only to paths below `path`. Default: `/`.
    ///
    /// # Security
    /// This saves bytes and gives no protection: pages under other paths of the host can reach the
    /// cookie.
    pub fn with_path(mut self, path: &str) -> Self {
        self.draft.path = path.into();
        self
    }
}

/// Checks a domain name for the `Domain` attribute, and converts it to lower case.
fn domain(text: &str) -> Result<Box<str>, ConfigError> {
    let error = |problem: &str| ConfigError::new("cookie domain", format!("{text:?}: {problem}"));
    if text.starts_with('.') {
        return Err(error("must not begin with a dot, which browsers ignore"));
    }
    if text.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err(error("an address has no subdomains"));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if text.len() > 253 || !text.split('.').all(is_label) {
        return Err(error(
            "not a domain name; write international names in punycode",
        ));
    }
    if !text.contains('.') {
        return Err(error(
            "browsers refuse cookies for a whole top-level domain",
        ));
    }
    Ok(text.to_ascii_lowercase().into_boxed_str())
}

/// Checks an RFC 6265bis §4.1.1 `path-value`. It must be absolute: browsers replace other paths.
fn check_path(path: &str) -> Result<(), ConfigError> {
    let plain = |byte: u8| matches!(byte, 0x21..=0x7E) && byte != b';';
    if path.starts_with('/') && path.len() <= MAX_ATTRIBUTE && path.bytes().all(plain) {
        Ok(())
    } else {
        Err(ConfigError::new(
            "cookie path",
            format!(
                "{path:?}: must begin with / and contain only visible ASCII without semicolons"
            ),
        ))
    }
}
