//! The cookies of a response with tokens, built and measured before the session is written.

use crate::http::cookies::{CookieError, CookieTransport};
use crate::http::header::{HeaderLine, SET_COOKIE};
use crate::session::outcome::{Tokens, Unavailable};

/// The cookie settings of a response, and the limit for its lines.
#[derive(Clone, Copy)]
pub(crate) struct CookieHead<'a> {
    pub(crate) cookies: &'a dyn CookieTransport,
    /// Limit of all lines together, in bytes.
    pub(crate) limit: usize,
}

impl CookieHead<'_> {
    /// The cookie lines of a grant: the access cookie, then the refresh cookie if there is a
    /// refresh token.
    pub(crate) fn lines(&self, tokens: &Tokens) -> Result<Vec<HeaderLine>, CookieError> {
        let max_age = tokens.cookie_max_age();
        let access = self.cookies.set_access(tokens.access().expose(), max_age)?;
        let mut lines = vec![HeaderLine::new(SET_COOKIE, access)];
        if let Some(refresh) = tokens.refresh() {
            let refresh = self.cookies.set_refresh(refresh.expose(), max_age)?;
            lines.push(HeaderLine::new(SET_COOKIE, refresh));
        }
        let size = lines.iter().map(HeaderLine::size).sum();
        if size > self.limit {
            let limit = self.limit;
            return Err(CookieError::LinesTooLong { size, limit });
        }
        Ok(lines)
    }
}

impl Tokens {
    /// Adds the cookie lines to `tokens`, if the response has cookies.
    pub(crate) fn with_cookies(
        mut self,
        head: Option<CookieHead<'_>>,
    ) -> Result<Self, Unavailable> {
        if let Some(head) = head {
            self.lines = head.lines(&self)?;
        }
        Ok(self)
    }
}
