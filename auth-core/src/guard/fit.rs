//! Checks that the parts of an app belong together: an authenticator, its revocation list, and
//! sessions.
//!
//! Each error names the setting, both values, and the call that mends it. A leeway needs no
//! comparison: every leeway that builds is shorter than the time for which a revocation is listed
//! after the last access token has expired.

use std::sync::Arc;

use crate::base::clock::{Clock, is_same_clock};
use crate::base::config::ConfigError;
use crate::guard::verifier::{TokenVerifier, Validity};
use crate::session::Sessions;
use crate::token::issuer::Issuer;

impl<T> TokenVerifier<T> {
    /// Checks that sessions and verifier belong to one app: the verifier accepts the tokens that
    /// the sessions issue, and sees their revocations, at the same time.
    pub(crate) fn check_sessions(&self, sessions: &Sessions) -> Result<(), ConfigError> {
        let issuer = sessions.issuer();
        self.check_issuer(issuer)?;
        check_clocks(
            ("the sessions' issuer", issuer.clock()),
            ("the authenticator", &self.validity.clock),
        )?;
        self.check_list(sessions)
    }

    fn check_issuer(&self, issuer: &Issuer) -> Result<(), ConfigError> {
        let (name, audience) = (issuer.name(), issuer.audience());
        let Some(trusted) = self.issuers.named(name) else {
            let accepted: Vec<&str> = self.issuers.iter().map(|own| &*own.issuer).collect();
            return Err(ConfigError::new(
                "issuer",
                format!(
                    "the sessions issue tokens as {name}, the authenticator accepts those of {}: \
                     build it with `issuer.authenticator()`",
                    accepted.join(", ")
                ),
            ));
        };
        if !trusted.audiences.iter().any(|own| &**own == audience) {
            return Err(ConfigError::new(
                "audience",
                format!(
                    "the sessions issue tokens for {audience}, the authenticator accepts {}: \
                     add `.with_audience({audience:?})` to it",
                    trusted.audiences.join(", ")
                ),
            ));
        }
        let (lifetime, most) = (issuer.lifetime(), self.validity.times.max_lifetime);
        if lifetime > most {
            let (lifetime, most) = (lifetime.as_secs_f64(), most.as_secs_f64());
            return Err(ConfigError::new(
                "max_lifetime",
                format!(
                    "the sessions' access tokens live {lifetime} s, the authenticator accepts at \
                     most {most} s: raise `.with_max_lifetime(…)`, or lower `Issuer::with_lifetime`"
                ),
            ));
        }
        Ok(())
    }

    fn check_list(&self, sessions: &Sessions) -> Result<(), ConfigError> {
        let refuse = |problem| Err(ConfigError::new("revocations", problem));
        match (sessions.revocations(), &self.validity.revocations) {
            (Some(own), Some(other)) if own.is(other) => Ok(()),
            (Some(_), Some(_)) => refuse(
                "the sessions and the authenticator have different revocation lists: pass clones \
                 of one to both with `.with_revocations(list.clone())`",
            ),
            (Some(_), None) => refuse(
                "the sessions have a revocation list, the authenticator has none: add \
                 `.with_revocations(list.clone())` to the authenticator",
            ),
            (None, Some(_)) if !sessions.are_opaque() => refuse(
                "the authenticator has a revocation list, the sessions have none: add \
                 `.with_revocations(list.clone())` to the sessions",
            ),
            (None, _) => Ok(()),
        }
    }
}

impl Validity {
    /// Checks that the revocation list uses the same clock.
    pub(super) fn check_list(&self) -> Result<(), ConfigError> {
        match &self.revocations {
            Some(list) => check_clocks(
                ("the revocation list", list.clock()),
                ("the authenticator", &self.clock),
            ),
            None => Ok(()),
        }
    }
}

fn check_clocks(
    (one, own): (&str, &Arc<dyn Clock>),
    (other, clock): (&str, &Arc<dyn Clock>),
) -> Result<(), ConfigError> {
    if is_same_clock(own, clock) {
        return Ok(());
    }
    Err(ConfigError::new(
        "clock",
        format!(
            "{one} uses {own:?}, {other} {clock:?}: pass one clock to both with \
             `.with_clock(clock.clone())`"
        ),
    ))
}
