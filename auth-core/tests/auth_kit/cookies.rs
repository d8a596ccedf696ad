//! Cookies named `at` and `rt`, without attributes.

use std::time::Duration;

use auth_core::adapter::{CookieError, CookieTransport, RequestView};
use auth_core::source::{Carrier, CredentialError, PresentedToken};

#[derive(Debug)]
pub(crate) struct Cookies;

impl Cookies {
    fn find<'r>(
        name: &str,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        let mut found = None;
        request.visit_header("cookie", &mut |line| {
            let line = std::str::from_utf8(line).unwrap();
            for (own, value) in line.split("; ").filter_map(|pair| pair.split_once('=')) {
                if own == name {
                    found = Some(value);
                }
            }
        });
        Ok(found.and_then(|token| PresentedToken::new(token, Carrier::Cookie)))
    }
}

impl CookieTransport for Cookies {
    fn find_access<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        Self::find("at", request)
    }

    fn find_refresh<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        Self::find("rt", request)
    }

    fn set_access(&self, token: &str, _: Option<Duration>) -> Result<String, CookieError> {
        Ok(format!("at={token}"))
    }

    fn set_refresh(&self, token: &str, _: Option<Duration>) -> Result<String, CookieError> {
        Ok(format!("rt={token}"))
    }

    fn clear(&self) -> Vec<String> {
        vec!["at=".to_owned(), "rt=".to_owned()]
    }
}
