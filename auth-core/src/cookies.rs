//! How core asks for cookies to be read and written, without knowing how: `auth-cookie` does.

use std::fmt;
use std::time::Duration;

use crate::request::RequestView;
use crate::source::{CredentialError, PresentedToken};

/// Tokens in cookies: implemented by `auth_cookie::CookiePolicy`.
///
/// The texts that come back are complete `Set-Cookie` values (RFC 6265bis §4.1).
pub trait CookieTransport: Send + Sync + fmt::Debug {
    /// The access token in the request's cookies.
    ///
    /// # Errors
    /// [`CredentialError::Ambiguous`] if our name occurs twice.
    fn find_access<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError>;

    /// The refresh token in the request's cookies.
    ///
    /// # Errors
    /// [`CredentialError::Ambiguous`] if our name occurs twice.
    fn find_refresh<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError>;

    /// The `Set-Cookie` value that stores an access token. Without `max_age` the cookie ends with
    /// the browser session.
    ///
    /// # Errors
    /// [`CookieTooLong`] if browsers would drop it.
    fn set_access(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieTooLong>;

    /// The `Set-Cookie` value that stores a refresh token.
    ///
    /// # Errors
    /// [`CookieTooLong`] if browsers would drop it.
    fn set_refresh(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieTooLong>;

    /// The `Set-Cookie` values that delete both cookies, each repeating every attribute of the
    /// cookie it deletes.
    fn clear(&self) -> Vec<String>;

    /// A custom header, in lower case, that cookie-carried requests must have besides the origin
    /// check, because the cookies are sent across sites.
    fn required_header(&self) -> Option<&str> {
        None
    }
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
