//! The policy of the two token cookies: presets, custom cookies, and the deletion of earlier ones.

use std::time::Duration;

use auth_core::adapter::{CookieError, CookieTransport, RequestView};
use auth_core::source::{CredentialError, PresentedToken};
use auth_core::{ConfigError, CsrfPolicy};

use crate::source;
use crate::token_cookie::{Jar, SameSite, TokenCookie};

const ACCESS: &str = "__Host-Http-at";
const REFRESH: &str = "__Host-Http-rt";

/// The cookies of the access token and the refresh token.
///
/// Every policy is checked when it is built. The [crate documentation](crate) has a table of presets
/// by kind of app.
///
/// ```
/// use auth_cookie::CookiePolicy;
/// use auth_core::adapter::CookieTransport;
/// use std::time::Duration;
///
/// let cookies = CookiePolicy::same_origin_spa();
/// let line = cookies.set_access("abc", Some(Duration::from_secs(600)))?;
/// assert_eq!(
///     line,
///     "__Host-Http-at=abc; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=600",
/// );
/// # Ok::<(), auth_core::adapter::CookieError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CookiePolicy {
    access: TokenCookie,
    refresh: TokenCookie,
    required_header: Option<Box<str>>,
    /// Cookies of earlier policies, deleted together with the current ones.
    previous: Vec<TokenCookie>,
}

impl CookiePolicy {
    #[doc = include_str!("docs/same_origin_spa.md")]
    pub fn same_origin_spa() -> Self {
        Self::host_only(SameSite::Strict, Jar::Shared)
    }

    #[doc = include_str!("docs/server_rendered.md")]
    pub fn server_rendered() -> Self {
        Self::host_only(SameSite::Lax, Jar::Shared)
    }

    #[doc = include_str!("docs/cross_site.md")]
    pub fn cross_site(required_header: &str) -> Result<Self, ConfigError> {
        let mut policy = Self::host_only(SameSite::None, Jar::Partitioned);
        policy.required_header = Some(custom_header(required_header)?);
        Ok(policy)
    }

    #[doc = include_str!("docs/subdomains.md")]
    pub fn subdomains(domain: &str) -> Result<Self, ConfigError> {
        let access = TokenCookie::secure("at").with_domain(domain).build()?;
        let refresh = TokenCookie::preset(REFRESH, SameSite::Lax, Jar::Shared);
        Self::custom(access, refresh)
    }

    #[doc = include_str!("docs/custom.md")]
    pub fn custom(access: TokenCookie, refresh: TokenCookie) -> Result<Self, ConfigError> {
        let crosses = |cookie: &TokenCookie| cookie.same_site() == SameSite::None;
        if crosses(&access) || crosses(&refresh) {
            return Err(ConfigError::new(
                "SameSite",
                "cookies with SameSite=None need a custom request header: use custom_cross_site",
            ));
        }
        Self::pair(access, refresh, None)
    }

    /// Custom cookies with `SameSite=None`, and the custom header that requests with them must have;
    /// see [`cross_site`](Self::cross_site).
    ///
    /// # Errors
    /// As for [`custom`](Self::custom), and if forms or scripts of any site can send
    /// `required_header`.
    pub fn custom_cross_site(
        access: TokenCookie,
        refresh: TokenCookie,
        required_header: &str,
    ) -> Result<Self, ConfigError> {
        Self::pair(access, refresh, Some(custom_header(required_header)?))
    }

    #[doc = include_str!("docs/with_previous.md")]
    pub fn with_previous(mut self, earlier: Self) -> Result<Self, ConfigError> {
        let left_behind = [earlier.access, earlier.refresh]
            .into_iter()
            .chain(earlier.previous);
        for cookie in left_behind {
            self.remember(cookie)?;
        }
        Ok(self)
    }

    /// The access token's cookie.
    #[must_use]
    pub fn access_cookie(&self) -> &TokenCookie {
        &self.access
    }

    /// The refresh token's cookie.
    #[must_use]
    pub fn refresh_cookie(&self) -> &TokenCookie {
        &self.refresh
    }

    fn host_only(same_site: SameSite, jar: Jar) -> Self {
        Self {
            access: TokenCookie::preset(ACCESS, same_site, jar),
            refresh: TokenCookie::preset(REFRESH, same_site, jar),
            required_header: None,
            previous: Vec::new(),
        }
    }

    fn pair(
        access: TokenCookie,
        refresh: TokenCookie,
        required_header: Option<Box<str>>,
    ) -> Result<Self, ConfigError> {
        // Names that differ only in letter case are two cookies, but easily confused.
        if access.name().eq_ignore_ascii_case(refresh.name()) {
            return Err(ConfigError::new(
                "cookie name",
                "the access and the refresh cookie must have different names",
            ));
        }
        Ok(Self {
            access,
            refresh,
            required_header,
            previous: Vec::new(),
        })
    }

    /// Adds a cookie of an earlier policy, unless a current one replaces it in browsers.
    fn remember(&mut self, cookie: TokenCookie) -> Result<(), ConfigError> {
        let known = [&self.access, &self.refresh]
            .into_iter()
            .chain(&self.previous)
            .find(|known| known.name() == cookie.name());
        match known {
            None => self.previous.push(cookie),
            Some(known) if known.is_same_as(&cookie) => {}
            // Browsers would send both, which is ambiguous, and RFC 6265bis §4.1.1 forbids two
            // Set-Cookie of one name in a response, so neither could be deleted beside the other.
            Some(_) => {
                return Err(ConfigError::new(
                    "previous cookies",
                    format!(
                        "{} had another domain, path or partition: browsers would send both \
                         cookies, and every request would be refused; choose another name for \
                         the new cookie",
                        cookie.name()
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl CookieTransport for CookiePolicy {
    fn find_access<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        source::find(self.access.name(), request)
    }

    fn find_refresh<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        source::find(self.refresh.name(), request)
    }

    fn set_access(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieError> {
        self.access.set(token, max_age)
    }

    fn set_refresh(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieError> {
        self.refresh.set(token, max_age)
    }

    fn clear(&self) -> Vec<String> {
        [&self.access, &self.refresh]
            .into_iter()
            .chain(&self.previous)
            .map(TokenCookie::clear)
            .collect()
    }

    fn required_header(&self) -> Option<&str> {
        self.required_header.as_deref()
    }
}

/// The name of the header, checked and normalized by the CSRF rule.
fn custom_header(name: &str) -> Result<Box<str>, ConfigError> {
    let policy = CsrfPolicy::new().with_required_header(name)?;
    Ok(policy.required_header().unwrap_or_default().into())
}
