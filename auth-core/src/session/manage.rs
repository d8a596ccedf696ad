//! The end of sessions, and the list of devices.
//!
//! 1. Ending an ended session is no error: a second logout succeeds like the first.
//! 2. "End all" raises the subject version: one write for any number of sessions. Logins that began
//!    before are invalid too. "End others" moves the current session to the new version.
//! 3. The session of another user counts as unknown: it can be neither ended nor listed.

use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::observe::words::{GrantKind, RevokeReason};
use crate::session::cookies::CookieHead;
use crate::session::decide::{Decision, RefreshRefusal, decide};
use crate::session::ending::EndCause;
use crate::session::hook::CurrentClaims;
use crate::session::inner::Inner;
use crate::session::login::check_subject;
use crate::session::minting::Minting;
use crate::session::outcome::{RefreshOutcome, SessionEnded, Tokens, Unavailable};
use crate::session::reference::is_reference;
use crate::session::sessions::Sessions;
use crate::session::store::LoadedSession;
use crate::session::store::record::SessionRecord;
use crate::token::issuer::AccessToken;

/// Maximum length of the list of devices.
const LONGEST_LIST: u32 = 1000;
/// Precision of the last use in the list, in seconds.
const USE_SHOWN_TO: i64 = 5 * 60;

/// A session in the list of devices.
#[derive(Clone, Debug)]
pub struct Device {
    record: SessionRecord,
    current: bool,
}

impl Device {
    /// The session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.record.id
    }

    /// Whether this is the session of the request.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.current
    }

    /// The label from the login, or else the user agent.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        let details = &self.record.details;
        details.label().or(details.user_agent())
    }

    /// The user agent of the last rotation.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.record.details.user_agent()
    }

    /// The address of the last rotation.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.record.details.ip()
    }

    /// The time of the login.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.record.created_at
    }

    /// The time of the last rotation, rounded down to 5 minutes, but not to before the login. The
    /// precision is enough to recognize a device, and too low to observe a user.
    #[must_use]
    pub fn last_used_at(&self) -> Timestamp {
        let secs = self.record.last_used_at.as_secs();
        let rounded = secs.saturating_sub(secs.rem_euclid(USE_SHOWN_TO));
        Timestamp::from_secs(rounded).max(self.created_at())
    }

    /// The time at which the session ends without further use.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.record.ends_at()
    }
}

/// The party that ends sessions: condition and [`RevokeReason`] of [`Sessions::end`] and
/// [`Sessions::end_all`].
///
/// | call | ends | reason |
/// |---|---|---|
/// | [`end_by_token`](Sessions::end_by_token) | the session of the refresh token | `Logout` |
/// | [`end(session, Logout(subject))`](Sessions::end) | the session, if it is a live one of the subject | `Logout` |
/// | [`end(session, User(subject))`](Sessions::end) | the session, if it is a live one of the subject | `Others` |
/// | [`end(session, App)`](Sessions::end) | the session, whatever its subject | `App` |
/// | [`end_others(subject, session, …)`](Sessions::end_others) | all sessions of the subject but this one | `Others` |
/// | [`end_all(subject, User(subject))`](Sessions::end_all) | all sessions of the subject | `All` |
/// | [`end_all(subject, App)`](Sessions::end_all) | all sessions of the subject | `App` |
///
/// The protocol ends sessions too: a login replaces the session of its client (`Replaced`) and
/// those above the limit (`Limit`), reuse of a refresh token ends its session, and a refresh ends
/// that of a disabled user (`Disabled`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedBy<'a> {
    /// The app.
    App,
    /// The session itself: a logout by a client without its refresh token. Subject and session are
    /// those of its verified access token.
    Logout(&'a str),
    /// The user with this subject, from any of their sessions: for a list of devices.
    User(&'a str),
}

impl Sessions {
    /// Ends the session of a refresh token, as a logout ([`RevokeReason::Logout`]). Any generation
    /// of the token will do. Returns the session; `None` if the token was not issued here.
    ///
    /// # Errors
    /// [`Unavailable`]: it is unknown whether the session has ended. Do not report a logout.
    pub async fn end_by_token(
        &self,
        refresh_token: &str,
    ) -> Result<Option<SessionId>, Unavailable> {
        let Some(session) = self.session_of(refresh_token) else {
            return Ok(None);
        };
        self.end_presented(session).await?;
        Ok(Some(session))
    }

    /// The session of a refresh token that was issued here, live or ended.
    pub(crate) fn session_of(&self, refresh_token: &str) -> Option<SessionId> {
        let presented = self.0.codec.verify(refresh_token)?;
        Some(presented.session)
    }

    /// Ends a session whose refresh token was presented.
    pub(crate) async fn end_presented(&self, session: SessionId) -> Result<(), Unavailable> {
        self.revoke(session, RevokeReason::Logout).await?;
        Ok(())
    }

    /// Ends one session. Returns whether this call did: `false` if it had ended before, does not
    /// exist, or `by` must not end it. See [`EndedBy`].
    ///
    /// ```
    /// # use auth_core::session::{EndedBy, SessionId, Sessions, Unavailable};
    /// # async fn example(sessions: Sessions, session: SessionId) -> Result<(), Unavailable> {
    /// // From Alice's list of devices. A session of another user stays.
    /// sessions.end(session, EndedBy::User("alice")).await?;
    /// // A decision of the app.
    /// sessions.end(session, EndedBy::App).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Unavailable`]: it is unknown whether the session has ended.
    pub async fn end(&self, session: SessionId, by: EndedBy<'_>) -> Result<bool, Unavailable> {
        match by {
            EndedBy::App => self.revoke(session, RevokeReason::App).await,
            EndedBy::Logout(subject) => self.end_own(subject, session, RevokeReason::Logout).await,
            EndedBy::User(subject) => self.end_own(subject, session, RevokeReason::Others).await,
        }
    }

    /// The subject's live sessions, the most recently used first, at most 1000. `current` marks the
    /// session of the request.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn list(
        &self,
        subject: &str,
        current: Option<SessionId>,
    ) -> Result<Vec<Device>, Unavailable> {
        let inner = &*self.0;
        let records = inner
            .within_deadline(async { Ok(inner.store.list(subject, LONGEST_LIST).await?) })
            .await?;
        Ok(records
            .into_iter()
            .map(|record| Device {
                current: current == Some(record.id),
                record,
            })
            .collect())
    }

    /// Ends all of the subject's sessions except the current one, and issues a new access token for
    /// that. Its refresh token stays the same.
    ///
    /// `session` is that of a verified access token, and `access` is that token: an opaque one
    /// stays as it is.
    pub async fn end_others(
        &self,
        subject: &str,
        session: SessionId,
        access: &str,
    ) -> RefreshOutcome {
        self.end_others_into(subject, session, access, None).await
    }

    /// Ends sessions like [`end_others`](Self::end_others), for a response with cookies, which the
    /// tokens include.
    pub(crate) async fn end_others_into(
        &self,
        subject: &str,
        session: SessionId,
        access: &str,
        head: Option<CookieHead<'_>>,
    ) -> RefreshOutcome {
        let inner = &*self.0;
        inner
            .within_deadline(inner.end_others(subject, session, access, head))
            .await
            .unwrap_or_else(RefreshOutcome::Unavailable)
    }

    /// Ends all sessions of a subject: by the app, for example after a changed password, or by the
    /// user. A user other than `subject` ends nothing. See [`EndedBy`].
    ///
    /// # Errors
    /// [`Unavailable`]: it is unknown whether the sessions have ended.
    pub async fn end_all(&self, subject: &str, by: EndedBy<'_>) -> Result<(), Unavailable> {
        let reason = match by {
            EndedBy::App => RevokeReason::App,
            EndedBy::Logout(user) | EndedBy::User(user) if user == subject => RevokeReason::All,
            EndedBy::Logout(_) | EndedBy::User(_) => return Ok(()),
        };
        // A subject that no login accepts has no sessions, and must not get a row.
        if check_subject(subject).is_err() {
            return Ok(());
        }
        let inner = &*self.0;
        inner
            .within_deadline(inner.end_subject(subject, None, reason))
            .await?;
        Ok(())
    }

    async fn revoke(&self, session: SessionId, reason: RevokeReason) -> Result<bool, Unavailable> {
        let inner = &*self.0;
        inner
            .within_deadline(inner.revoke(session, reason.into()))
            .await
    }

    /// Ends a session if it is a live one of `subject`.
    async fn end_own(
        &self,
        subject: &str,
        session: SessionId,
        reason: RevokeReason,
    ) -> Result<bool, Unavailable> {
        let inner = &*self.0;
        inner
            .within_deadline(async {
                match inner.load(&session).await? {
                    Some(loaded) if loaded.is_live_of(subject) => {
                        inner.revoke(session, EndCause::of(subject, reason)).await
                    }
                    _ => Ok(false),
                }
            })
            .await
    }
}

/// The session that stays when the others end, and the data of the request.
struct Keep<'a> {
    loaded: &'a LoadedSession,
    began: Timestamp,
    claims: &'a CurrentClaims,
    access: &'a str,
    head: Option<CookieHead<'a>>,
}

impl Inner {
    async fn end_others(
        &self,
        subject: &str,
        session: SessionId,
        access: &str,
        head: Option<CookieHead<'_>>,
    ) -> Result<RefreshOutcome, Unavailable> {
        let began = self.issuer.clock().now();
        let loaded = match self.load(&session).await? {
            Some(loaded) if *loaded.record.subject == *subject => loaded,
            _ => return Ok(RefreshOutcome::SessionEnded(SessionEnded::Unknown)),
        };
        let record = &loaded.record;
        // Its own generation is never reuse or ahead: only an end can refuse it.
        match decide(Some(&loaded), record.generation, &self.policy) {
            Decision::Grant(_) => {}
            Decision::Refuse(RefreshRefusal::Revoked { reason, .. }) => {
                return Ok(RefreshOutcome::SessionEnded(SessionEnded::Revoked(reason)));
            }
            Decision::Refuse(_) => {
                return Ok(RefreshOutcome::SessionEnded(SessionEnded::Expired));
            }
        }
        let Some(claims) = self
            .current_claims(subject, session, &record.details)
            .await?
        else {
            return self.disable(record).await;
        };
        let keep = Keep {
            loaded: &loaded,
            began,
            claims: &claims,
            access,
            head,
        };
        // The response is complete before the others end, unless a concurrent call raises the
        // version too.
        let foreseen = loaded.current_subject_version.saturating_add(1);
        let Some(tokens) = self.keep(&keep, foreseen).await? else {
            return Ok(RefreshOutcome::SessionEnded(SessionEnded::Expired));
        };
        let raised = self
            .end_subject(subject, Some(session), RevokeReason::Others)
            .await?;
        let Some(subject_version) = raised else {
            return Ok(RefreshOutcome::SessionEnded(SessionEnded::Revoked(
                RevokeReason::Others,
            )));
        };
        if subject_version == foreseen {
            return Ok(RefreshOutcome::Granted(tokens));
        }
        Ok(match self.keep(&keep, subject_version).await? {
            Some(tokens) => RefreshOutcome::Granted(tokens),
            None => RefreshOutcome::SessionEnded(SessionEnded::Expired),
        })
    }

    /// Issues the tokens of the session that stays, for `subject_version`. `None` if it ends within
    /// a second.
    async fn keep(
        &self,
        keep: &Keep<'_>,
        subject_version: u64,
    ) -> Result<Option<Tokens>, Unavailable> {
        let access = match &keep.loaded.record.details.reference {
            Some(kept) if is_reference(keep.access) => AccessToken::new(
                Zeroizing::new(keep.access.to_owned()),
                keep.began,
                Timestamp::from_secs(kept.expires_at),
            ),
            _ => {
                let minting = Minting {
                    subject_version,
                    ..Minting::of(keep.loaded, keep.began, None)
                };
                match self.mint(&minting, keep.claims).await? {
                    Some(minted) => minted.access,
                    None => return Ok(None),
                }
            }
        };
        let tokens = Tokens::of(keep.loaded, GrantKind::Others, access, None);
        tokens.with_cookies(keep.head).map(Some)
    }
}
