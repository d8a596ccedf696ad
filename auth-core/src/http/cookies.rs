//! [`CookieTransport`]: the interface for tokens in cookies, implemented by `auth-cookie`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::http::request::RequestView;
use crate::http::source::{CredentialError, PresentedToken};

/// Reads and writes tokens in cookies. Implemented by `auth_cookie::CookiePolicy`.
///
/// Returned texts are complete `Set-Cookie` values (RFC 6265bis §4.1).
pub trait CookieTransport: Send + Sync + fmt::Debug {
    /// Finds the access token in the cookies of a request.
    ///
    /// # Errors
    /// [`CredentialError::Ambiguous`] if two cookies with the access cookie's name carry a value,
    /// [`CredentialError::Malformed`] if the value has bytes that these cookies never contain.
    fn find_access<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError>;

    /// Finds the refresh token in the cookies of a request.
    ///
    /// # Errors
    /// The same as for [`find_access`](Self::find_access).
    fn find_refresh<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError>;

    /// The `Set-Cookie` value that stores an access token. Without `max_age` it is a session
    /// cookie, which the browser deletes when its session ends.
    ///
    /// # Errors
    /// [`CookieError`] if browsers would drop or misread the cookie.
    fn set_access(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieError>;

    /// The `Set-Cookie` value that stores a refresh token. `max_age` is as for
    /// [`set_access`](Self::set_access).
    ///
    /// # Errors
    /// [`CookieError`] if browsers would drop or misread the cookie.
    fn set_refresh(&self, token: &str, max_age: Option<Duration>) -> Result<String, CookieError>;

    /// The `Set-Cookie` values that delete both cookies. Each repeats every attribute of the cookie
    /// that it deletes.
    fn clear(&self) -> Vec<String>;

    /// The name, in lower case, of a custom header that requests with these cookies must have in
    /// addition to the origin check. `Some` if the cookies are sent across sites.
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

/// The error for a token that does not fit into a cookie. It does not contain the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// The cookie exceeds the size limit of browsers, which drop it silently.
    #[error(transparent)]
    TooLong(#[from] CookieTooLong),
    /// The cookie lines exceed the header buffer of a proxy, which holds the whole head of a
    /// response.
    #[error(
        "the Set-Cookie lines take {size} bytes, the limit is {limit}: use fewer claims or \
         reference tokens, or raise the limit to the header buffer of every proxy"
    )]
    LinesTooLong {
        /// Total length of all `Set-Cookie` lines, in bytes.
        size: usize,
        /// Allowed total length, in bytes.
        limit: usize,
    },
    /// The token has a byte that is not allowed in a cookie value (RFC 6265bis §4.1.1
    /// `cookie-octet`). A `;` would end the value and begin attributes.
    #[error("the token has a byte that is not allowed in a cookie value")]
    Value,
}

/// A cookie that browsers drop silently: name and value together exceed 4096 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cookie is {size} bytes long, browsers keep at most {limit}: use fewer claims or \
     reference tokens"
)]
pub struct CookieTooLong {
    /// Total length of name and value, in bytes.
    pub size: usize,
    /// Limit of browsers, in bytes.
    pub limit: usize,
}
