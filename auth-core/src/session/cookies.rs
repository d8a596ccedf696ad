//! The cookies of an answer with tokens: written and measured before a session is.

use crate::http::cookies::{CookieError, CookieTransport};
use crate::http::header::{HeaderLine, SET_COOKIE};
use crate::session::outcome::{Tokens, Unavailable};

/// What an answer's cookies are written with, and the room for their lines.
#[derive(Clone, Copy)]
pub(crate) struct CookieHead<'a> {
    pub(crate) cookies: &'a dyn CookieTransport,
    /// In bytes, all lines together.
    pub(crate) limit: usize,
}

impl CookieHead<'_> {
    /// The lines for what is granted, the access cookie first. Without a refresh token it is alone.
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
    /// Writes the cookies of the answer, where it has any.
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
