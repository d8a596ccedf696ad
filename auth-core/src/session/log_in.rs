//! Login: creates a session for an authenticated user, and ends the session that the request
//! carried.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::config::ConfigError;
use crate::base::id::{Generation, SessionId};
use crate::observe::events::Event;
use crate::observe::metrics;
use crate::observe::words::{GrantKind, RevokeReason, StoreErrorKind, UnavailableKind};
use crate::session::cookies::CookieHead;
use crate::session::ending::EndCause;
use crate::session::inner::Inner;
use crate::session::login::{LoginError, LoginRequest, LoginStart, check_subject};
use crate::session::minting::{Minted, Minting};
use crate::session::outcome::{Tokens, Unavailable};
use crate::session::sessions::Sessions;
use crate::session::store::ending::RevocationMark;
use crate::session::store::error::StoreError;
use crate::session::store::record::SessionDetails;
use crate::session::store::{InsertOutcome, NewSession};
use crate::session::token::SessionSecret;

/// Maximum lifetime of a session: 1000 years. Milliseconds since 1970 stay far below the limits of
/// every store.
const LONGEST_SESSION: Duration = Duration::from_secs(365_250 * 24 * 60 * 60);

impl Sessions {
    /// Begins a login, before the user is authenticated. The login fails if all sessions of the
    /// user are ended in between, for example because the password was changed. Pass the result to
    /// [`LoginRequest::started`].
    ///
    /// # Errors
    /// [`LoginError::Invalid`] for an invalid subject, and [`LoginError::Unavailable`].
    pub async fn begin_login(&self, subject: &str) -> Result<LoginStart, LoginError> {
        check_subject(subject)?;
        let began = self.0.issuer.clock().now();
        let subject_version = self
            .0
            .within_deadline(self.0.subject_version(subject))
            .await?;
        Ok(LoginStart {
            subject: subject.into(),
            subject_version,
            began,
        })
    }

    /// Creates a session for an authenticated user, and ends the session that the request carried.
    ///
    /// # Errors
    /// [`LoginError`]
    ///
    /// # Cancel safety
    /// The future may be dropped at any await: the session exists as a whole or not at all. A
    /// session whose tokens were not delivered ends after its idle time.
    ///
    /// # Security
    /// The app must have authenticated the user: this call cannot check it.
    pub async fn login(&self, request: LoginRequest) -> Result<Tokens, LoginError> {
        self.login_into(request, None).await
    }

    /// Logs in like [`login`](Self::login), for a response with cookies, which the tokens include.
    pub(crate) async fn login_into(
        &self,
        request: LoginRequest,
        head: Option<CookieHead<'_>>,
    ) -> Result<Tokens, LoginError> {
        let done = self.0.checked_login(request, head).await;
        metrics::logged_in(done.as_ref().map_or_else(LoginError::as_str, |_| "done"));
        done
    }
}

impl Inner {
    async fn checked_login(
        &self,
        request: LoginRequest,
        head: Option<CookieHead<'_>>,
    ) -> Result<Tokens, LoginError> {
        request.check()?;
        self.within_deadline(async { Ok(self.login(request, head).await) })
            .await?
    }

    async fn login(
        &self,
        request: LoginRequest,
        head: Option<CookieHead<'_>>,
    ) -> Result<Tokens, LoginError> {
        let began = self.issuer.clock().now();
        let subject_version = self.subject_version_of_login(&request).await?;
        let secret =
            SessionSecret::random().ok_or_else(|| Unavailable::new(UnavailableKind::Mint))?;
        let absolute = request.absolute.unwrap_or(self.policy.absolute());
        let absolute = absolute.min(LONGEST_SESSION);
        let idle = request.idle.unwrap_or(self.policy.idle()).min(absolute);
        let replaces = request
            .replaces
            .as_deref()
            .and_then(|token| self.codec.verify(token))
            .map(|presented| presented.session);
        let mut details = details_of(&request, idle, began);
        if let (None, Some(old)) = (details.auth_time, replaces) {
            details.undated = self.is_signed_in(&request.subject, old).await?;
        }
        let session = secret.session();
        let Some(claims) = self
            .current_claims(&request.subject, session, &details)
            .await?
        else {
            return Err(LoginError::Disabled);
        };
        let minted = Minting {
            subject: &request.subject,
            session,
            subject_version,
            details: &details,
            began,
            ends_in: idle,
            secret: Some(&secret),
            generation: Generation::FIRST,
            predecessor: None,
        };
        let Minted { access, reference } = self
            .mint(&minted, &claims)
            .await?
            .ok_or_else(|| LoginError::Invalid(ended_at_once()))?;
        details.reference = reference;
        let tokens = Tokens {
            kind: GrantKind::Login,
            session,
            generation: Generation::FIRST,
            access,
            refresh: Some(self.codec.issue(&secret, Generation::FIRST)),
            ends_in: idle,
            transient: details.transient,
            subject: request.subject.clone(),
            lines: Vec::new(),
        }
        .with_cookies(head)?;
        let mark = RevocationMark::random().map_err(Unavailable::from)?;
        let asked = replaces.map(|old| self.asked_to_replace(old));
        let inserted = self
            .store
            .insert(&NewSession {
                id: session,
                subject: &request.subject,
                subject_version,
                idle,
                absolute,
                details: &details,
                limit: self.policy.session_limit(),
                replaces,
                mark,
                listing: self.listing(),
            })
            .await;
        if let (Some(asked), true) = (asked, is_answer(&inserted)) {
            asked.answered();
        }
        let InsertOutcome::Done {
            replaced,
            evicted,
            listed_until,
            ..
        } = inserted.map_err(Unavailable::from)?
        else {
            return Err(LoginError::Superseded);
        };
        self.emit(&Event::Login {
            session,
            subject: &request.subject,
            client: &request.client,
        });
        if let (Some(old), Some(ended)) = (replaces, replaced) {
            self.list_session(old, ended.listed_until);
            if ended.mark == Some(mark) {
                self.tell_of_end(Some(old), RevokeReason::Replaced.into(), true);
            }
        }
        for old in evicted {
            self.list_session(old, listed_until);
            let cause = EndCause::of(&request.subject, RevokeReason::Limit);
            self.tell_of_end(Some(old), cause, true);
        }
        Ok(tokens)
    }

    /// The subject version of a new session: that of the beginning of its login.
    async fn subject_version_of_login(&self, request: &LoginRequest) -> Result<u64, LoginError> {
        let Some(began_in) = request.subject_version else {
            return Ok(self.subject_version(&request.subject).await?);
        };
        // All sessions were ended since, even if the store has lost it.
        if let Some(lowest) = self.subject_version_ahead_of(began_in, &request.subject) {
            let raised = self
                .store
                .raise_subject_version(&request.subject, lowest)
                .await;
            raised.map_err(Unavailable::from)?;
            return Err(LoginError::Superseded);
        }
        Ok(began_in)
    }

    /// Whether the session that the request carried is a live one of the same user.
    async fn is_signed_in(&self, subject: &str, session: SessionId) -> Result<bool, Unavailable> {
        let loaded = self.store.load(&session).await?;
        Ok(loaded.is_some_and(|loaded| loaded.is_live_of(subject)))
    }
}

fn details_of(request: &LoginRequest, idle: Duration, now: Timestamp) -> SessionDetails {
    let mut details = request.details.clone();
    details.idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    details.auth_time = request.auth_time(now).map(Timestamp::as_secs);
    request.client.note_in(&mut details);
    details
}

/// Whether the result of an insert is known: these errors exclude a write.
fn is_answer(inserted: &Result<InsertOutcome, StoreError>) -> bool {
    inserted
        .as_ref()
        .err()
        .is_none_or(|error| matches!(error.kind(), StoreErrorKind::Corrupt | StoreErrorKind::Full))
}

fn ended_at_once() -> ConfigError {
    ConfigError::new("lifetime", "must be at least a second")
}
