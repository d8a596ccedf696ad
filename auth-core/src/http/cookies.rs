//! How core asks for cookies to be read and written, without knowing how: `auth-cookie` does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::http::request::RequestView;
use crate::http::source::{CredentialError, PresentedToken};

/// Tokens in cookies: implemented by `auth_cookie::CookiePolicy`.
///
/// The texts that come back are complete `Set-Cookie` values (RFC 6265bis §4.1).
pub trait CookieTransport: Send + Sync + fmt::Debug {
    /// The access token in the request's cookies.
    ///
    /// # Errors
    /// [`CredentialError::Ambiguous`] if two cookies of our name carry a value,
    /// [`CredentialError::Malformed`] if the value has bytes that no cookie of ours has.
    fn find_access<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError>;

    /// The refresh token in the request's cookies.
    ///
    /// # Errors
    /// As for the access token.
    fn find_refresh<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError>;

    /// The `Set-Cookie` value that stores an access token. Without `max_age` the cookie ends with
    /// the browser session.
    ///
    /// # Errors
    /// [`CookieError`] if browsers would drop or misread it.
    fn set_access(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieError>;

    /// The `Set-Cookie` value that stores a refresh token.
    ///
    /// # Errors
    /// [`CookieError`] if browsers would drop or misread it.
    fn set_refresh(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieError>;

    /// The `Set-Cookie` values that delete both cookies, each repeating every attribute of the
    /// cookie it deletes.
    fn clear(&self) -> Vec<String>;

    /// A custom header, in lower case, that cookie-carried requests must have besides the origin
    /// check, because the cookies are sent across sites.
    fn required_header(&self) -> Option<&str> {
        None
    }
}

impl<C: CookieTransport + ?Sized> CookieTransport for Arc<C> {
    fn find_access<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        (**self).find_access(request)
    }

    fn find_refresh<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        (**self).find_refresh(request)
    }

    fn set_access(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieError> {
        (**self).set_access(token, max_age)
    }

    fn set_refresh(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieError> {
        (**self).set_refresh(token, max_age)
    }

    fn clear(&self) -> Vec<String> {
        (**self).clear()
    }

    fn required_header(&self) -> Option<&str> {
        (**self).required_header()
    }
}

/// Why a token cannot be put into a cookie. The token itself is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// Browsers would silently drop it.
    #[error(transparent)]
    TooLong(#[from] CookieTooLong),
    /// Proxies would refuse the answer: they keep its whole head in one buffer.
    #[error(
        "the lines of the cookies are {size} bytes long together, {limit} are allowed: carry fewer claims, use reference tokens, or raise the limit to what every proxy in front buffers"
    )]
    LinesTooLong {
        /// Length of all `Set-Cookie` lines, in bytes.
        size: usize,
        /// What is allowed, in bytes.
        limit: usize,
    },
    /// It has a byte that no cookie value may have (RFC 6265bis §4.1.1 `cookie-octet`): a `;`
    /// would end the value and begin attributes.
    #[error("the token has a byte that a cookie value must not have")]
    Value,
}

/// A cookie that browsers would silently drop: name and value exceed 4096 bytes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cookie is {size} bytes long, browsers keep at most {limit}: carry fewer claims or use reference tokens"
)]
pub struct CookieTooLong {
    /// Length of name and value together, in bytes.
    pub size: usize,
    /// What browsers keep, in bytes.
    pub limit: usize,
}
