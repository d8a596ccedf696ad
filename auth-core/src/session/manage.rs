//! Ending sessions, and the list of devices.
//!
//! 1. Ending what has ended already is no error: signing out twice is signed out.
//! 2. "End all" raises the subject's epoch: one write, whatever the number of sessions, and logins
//!    that began before are dead too. "End others" takes the asker along to the new epoch.
//! 3. Nobody ends or sees another user's session: to them it does not exist.

use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::observe::words::{GrantKind, RevokeReason};
use crate::session::cookies::CookieHead;
use crate::session::decide::{Decision, RefreshRefusal, decide};
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

/// As many devices are listed.
const LONGEST_LIST: u32 = 1000;
/// To what the last use is rounded when users see it.
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

    /// Whether it is the one that asks.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.current
    }

    /// What it was called at login, or else its user agent.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        let details = &self.record.details;
        details.label().or(details.user_agent())
    }

    /// The user agent of its last rotation.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.record.details.user_agent()
    }

    /// The address of its last rotation.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.record.details.ip()
    }

    /// When its user signed in.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.record.created_at
    }

    /// When it last moved on, rounded down to five minutes, but not to before it began: enough to
    /// recognise a device, too little to watch somebody.
    #[must_use]
    pub fn last_used_at(&self) -> Timestamp {
        let secs = self.record.last_used_at.as_secs();
        let rounded = secs.saturating_sub(secs.rem_euclid(USE_SHOWN_TO));
        Timestamp::from_secs(rounded).max(self.created_at())
    }

    /// When it ends if it is not used.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.record.ends_at()
    }
}

impl Sessions {
    /// Signs out the session of a refresh token, whatever its generation. Answers which session
    /// that was; `None` for a token that is not ours.
    ///
    /// # Errors
    /// [`Unavailable`]: nobody knows whether the session has ended, so do not say that it has.
    pub async fn logout(&self, refresh_token: &str) -> Result<Option<SessionId>, Unavailable> {
        let inner = &*self.0;
        let Some(presented) = inner.codec.verify(refresh_token) else {
            return Ok(None);
        };
        inner
            .within_deadline(inner.revoke(presented.session, None, RevokeReason::Logout))
            .await?;
        Ok(Some(presented.session))
    }

    /// The session of a refresh token that we issued, whatever has become of it.
    pub(crate) fn session_of(&self, refresh_token: &str) -> Option<SessionId> {
        let presented = self.0.codec.verify(refresh_token)?;
        Some(presented.session)
    }

    /// Signs out a session whose token was given back.
    pub(crate) async fn give_back(&self, session: SessionId) -> Result<(), Unavailable> {
        let inner = &*self.0;
        inner
            .within_deadline(inner.revoke(session, None, RevokeReason::Logout))
            .await?;
        Ok(())
    }

    /// Signs out the session that a verified access token names, for clients that come without
    /// their refresh token.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn logout_session(
        &self,
        subject: &str,
        session: SessionId,
    ) -> Result<bool, Unavailable> {
        self.end_own(subject, session, RevokeReason::Logout).await
    }

    /// The subject's live sessions, the last used first, at most 1000; `current` marks the one
    /// that asks.
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

    /// Ends one of the subject's sessions, asked for by another one of them. `false` if the
    /// subject has no such live session, be it somebody else's or none.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn end_one(&self, subject: &str, session: SessionId) -> Result<bool, Unavailable> {
        self.end_own(subject, session, RevokeReason::Others).await
    }

    /// Ends all of the subject's sessions but the one that asks, which a verified access token
    /// names, and gives that one a new access token (and no refresh token: it keeps its own).
    ///
    /// `access` is the access token that asked: an opaque one stays as it is.
    pub async fn end_others(
        &self,
        subject: &str,
        session: SessionId,
        access: &str,
    ) -> RefreshOutcome {
        self.end_others_into(subject, session, access, None).await
    }

    /// As [`end_others`](Self::end_others), for an answer with cookies, which the tokens bring
    /// along.
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

    /// Ends all of the subject's sessions, at the subject's own wish.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn end_all(&self, subject: &str) -> Result<(), Unavailable> {
        self.end_subject(subject, RevokeReason::All).await
    }

    /// Ends one session by the app's own decision, whoever's it is. `false` if there is no such
    /// session, or it was ended before.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn revoke_session(&self, session: SessionId) -> Result<bool, Unavailable> {
        let inner = &*self.0;
        inner
            .within_deadline(inner.revoke(session, None, RevokeReason::App))
            .await
    }

    /// Ends all sessions of a subject by the app's own decision: a changed password, a stolen
    /// device, a user who has left.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn revoke_subject(&self, subject: &str) -> Result<(), Unavailable> {
        self.end_subject(subject, RevokeReason::App).await
    }

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
                        inner.revoke(session, Some(subject), reason).await
                    }
                    _ => Ok(false),
                }
            })
            .await
    }

    async fn end_subject(&self, subject: &str, reason: RevokeReason) -> Result<(), Unavailable> {
        // A subject that no login accepts has no sessions, and no row is made for it.
        if check_subject(subject).is_err() {
            return Ok(());
        }
        let inner = &*self.0;
        inner
            .within_deadline(inner.end_subject(subject, None, reason))
            .await?;
        Ok(())
    }
}

/// The session that stays when the others end, and who asked for that.
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
        // Its own generation is never reused or ahead: only the ends can speak against it.
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
            self.revoke(session, Some(subject), RevokeReason::Disabled)
                .await?;
            return Ok(RefreshOutcome::SessionEnded(SessionEnded::Disabled));
        };
        let keep = Keep {
            loaded: &loaded,
            began,
            claims: &claims,
            access,
            head,
        };
        // The answer is whole before the others end, unless the epoch is raised by more at once.
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

    /// What the session that stays gets, in `epoch`; `None` if it ends before the next second does.
    async fn keep(
        &self,
        keep: &Keep<'_>,
        subject_version: u64,
    ) -> Result<Option<Tokens>, Unavailable> {
        let record = &keep.loaded.record;
        let ends_in = record.ends_at().saturating_since(keep.loaded.now);
        let access = match &record.details.reference {
            Some(kept) if is_reference(keep.access) => AccessToken::new(
                Zeroizing::new(keep.access.to_owned()),
                keep.began,
                Timestamp::from_secs(kept.expires_at),
            ),
            _ => {
                let minting = Minting {
                    subject: &record.subject,
                    session: record.id,
                    subject_version,
                    details: &record.details,
                    began: keep.began,
                    ends_in,
                    secret: None,
                    generation: record.generation,
                    predecessor: record.predecessor,
                };
                match self.mint(&minting, keep.claims).await? {
                    Some(minted) => minted.access,
                    None => return Ok(None),
                }
            }
        };
        let tokens = Tokens {
            kind: GrantKind::Others,
            subject: record.subject.clone(),
            session: record.id,
            generation: record.generation,
            access,
            refresh: None,
            ends_in,
            transient: record.details.transient,
            lines: Vec::new(),
        };
        tokens.with_cookies(keep.head).map(Some)
    }
}
