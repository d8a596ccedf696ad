//! [`Sessions`]: login and refresh.
//!
//! 1. The order is load, decide, ask the app's hook, build the whole response, write conditionally,
//!    send. The access token and the cookies are built before the write: if the signer fails, or they
//!    are too long, nothing is consumed.
//! 2. A write that lost its condition is followed by another load and decision, up to a limit, then by
//!    503.
//! 3. Every call ends within the policy's request deadline.
//! 4. A revocation is complete when the store has acknowledged it. For this node's list and events
//!    see [`ending`](crate::session::ending).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::{Timestamp, is_same_clock};
use crate::base::config::ConfigError;
use crate::base::id::{Generation, SessionId};
use crate::keys::refresh::RefreshKeys;
use crate::keys::rotation::task::KeyRotation;
use crate::observe::events::{Event, Events};
use crate::observe::metrics;
use crate::observe::words::{GrantKind, RevokeReason, StoreErrorKind, UnavailableKind};
use crate::revocation::Revocations;
use crate::session::cookies::CookieHead;
use crate::session::ending::LongestLifetime;
use crate::session::flight::Flights;
use crate::session::hook::{AsGranted, ClaimsHook, CurrentClaims, UserQuery, UserState};
use crate::session::login::{LoginError, LoginRequest, LoginStart, check_subject};
use crate::session::manage::is_live_of;
use crate::session::minting::{AccessKind, Minted, Minting};
use crate::session::outcome::{Tokens, Unavailable};
use crate::session::policy::SessionPolicy;
use crate::session::replays::{ReplayLog, Replays};
use crate::session::store::ending::RevocationMark;
use crate::session::store::record::SessionDetails;
use crate::session::store::{InsertOutcome, NewSession, RefreshStore, StoreError};
use crate::session::token::{RefreshCodec, SessionSecret};
use crate::token::issuer::Issuer;

/// A thousand years: milliseconds since 1970 stay exact in every store.
const LONGEST_SESSION: Duration = Duration::from_secs(365_250 * 24 * 60 * 60);

/// Sessions of one issuer in one store. Cheap to clone.
///
/// ```
/// use std::sync::Arc;
/// use auth_core::session::{
///     ClientInfo, LoginRequest, MemoryStore, RefreshOutcome, RefreshKey, Sessions,
/// };
/// use auth_core::{Issuer, Key};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = Key::hs256("k1", b"a secret of at least thirty-two bytes, from a generator")?;
/// let issuer = Issuer::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(key)?;
/// let store = Arc::new(MemoryStore::new());
/// let sessions = Sessions::builder(issuer, store, RefreshKey::ephemeral()?).build()?;
///
/// // The user has proved who they are:
/// let tokens = sessions.login(LoginRequest::for_subject("ada")).await?;
/// let first = tokens.refresh().unwrap();
///
/// // Ten minutes later:
/// let outcome = sessions.refresh(first.expose(), &ClientInfo::new()).await;
/// assert!(matches!(outcome, RefreshOutcome::Granted(_)));
///
/// // What is not ours is refused without asking the store:
/// let outcome = sessions.refresh("rt1_nonsense", &ClientInfo::new()).await;
/// assert!(matches!(outcome, RefreshOutcome::TokenRejected(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sessions(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) issuer: Issuer,
    pub(super) store: Arc<dyn RefreshStore>,
    pub(super) codec: RefreshCodec,
    pub(super) policy: SessionPolicy,
    pub(super) hook: Arc<dyn ClaimsHook>,
    pub(super) events: Option<Arc<dyn Events>>,
    pub(super) revocations: Option<Revocations>,
    pub(super) access: AccessKind,
    pub(super) flights: Flights,
    pub(super) replays: ReplayLog,
    pub(super) longest: LongestLifetime,
}

/// A builder of [`Sessions`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionsBuilder {
    issuer: Issuer,
    store: Arc<dyn RefreshStore>,
    keys: RefreshKeys,
    policy: SessionPolicy,
    hook: Arc<dyn ClaimsHook>,
    events: Option<Arc<dyn Events>>,
    revocations: Option<Revocations>,
    access: AccessKind,
}

impl SessionsBuilder {
    /// Sets the policy. Default: [`SessionPolicy::default`].
    pub fn with_policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the hook that returns, whenever tokens are made, the current state and claims of the
    /// user. Default: every user stays enabled, with the scope of the login.
    pub fn with_claims(mut self, hook: Arc<dyn ClaimsHook>) -> Self {
        self.hook = hook;
        self
    }

    /// Sets a listener for session events. Default: none.
    pub fn with_events(mut self, events: Arc<dyn Events>) -> Self {
        self.events = Some(events);
        self
    }

    /// Sets this node's revocation list. Revocations are added as soon as the store has
    /// acknowledged them, so that access tokens end at once. Entries from other nodes are
    /// respected.
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Issues opaque access tokens instead of JWTs: the claims stay in the store, each request
    /// costs one load, and the end of a session takes effect at once without a list. The
    /// authenticator reads them with
    /// [`with_reference_tokens`](crate::AuthenticatorBuilder::with_reference_tokens).
    pub fn with_reference_tokens(mut self) -> Self {
        self.access = AccessKind::Reference;
        self
    }

    /// Checks all settings and builds the sessions.
    ///
    /// # Errors
    /// [`ConfigError`]: see [`SessionPolicy::check`]. Opaque access tokens must live for at least
    /// twice the minimum rotation interval. Issuer and revocations must use one clock.
    pub fn build(self) -> Result<Sessions, ConfigError> {
        let lifetime = self.issuer.lifetime();
        self.policy.check(lifetime)?;
        if let Some(revocations) = &self.revocations
            && !is_same_clock(revocations.clock(), self.issuer.clock())
        {
            return Err(ConfigError::new(
                "clock",
                "the sessions' revocations and their issuer use different clocks: pass both the same",
            ));
        }
        // Within the minimum rotation interval the response contains the session's current access
        // token.
        if self.access == AccessKind::Reference
            && lifetime < self.policy.min_rotation_interval().saturating_mul(2)
        {
            return Err(ConfigError::new(
                "access lifetime",
                "opaque access tokens must live for at least twice the minimum rotation interval",
            ));
        }
        Ok(Sessions(Arc::new(Inner {
            codec: RefreshCodec::new(self.issuer.name(), self.keys),
            issuer: self.issuer,
            #[cfg(feature = "metrics")]
            store: super::store::metered::metered(self.store),
            #[cfg(not(feature = "metrics"))]
            store: self.store,
            policy: self.policy,
            hook: self.hook,
            events: self.events,
            revocations: self.revocations,
            access: self.access,
            flights: Flights::default(),
            replays: ReplayLog::default(),
            longest: LongestLifetime::default(),
        })))
    }
}

impl Sessions {
    /// Creates a builder for sessions in `store`, whose access tokens come from `issuer`, and whose
    /// refresh tokens use `keys`.
    pub fn builder(
        issuer: Issuer,
        store: Arc<dyn RefreshStore>,
        keys: impl Into<RefreshKeys>,
    ) -> SessionsBuilder {
        SessionsBuilder {
            issuer,
            store,
            keys: keys.into(),
            policy: SessionPolicy::default(),
            hook: Arc::new(AsGranted),
            events: None,
            revocations: None,
            access: AccessKind::Jwt,
        }
    }

    /// The policy of the sessions.
    pub fn policy(&self) -> &SessionPolicy {
        &self.0.policy
    }

    /// The issuer of the access tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.0.issuer
    }

    /// Counters of repeated refresh tokens since this node started, with advice.
    #[must_use]
    pub fn replays(&self) -> Replays {
        self.0.replays.all()
    }

    /// The revocation list of this node.
    pub(crate) fn revocations(&self) -> Option<&Revocations> {
        self.0.revocations.as_ref()
    }

    /// Pings the store by loading a session that cannot exist.
    ///
    /// # Errors
    /// The error of the store.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let nobody = SessionId::from_bytes([0; 16]);
        self.0.store.load(&nobody).await.map(|_| ())
    }

    /// Replaces the refresh keys. Tokens of removed keys are refused from now on.
    pub fn replace_refresh_keys(&self, keys: impl Into<RefreshKeys>) {
        self.0.codec.replace_keys(keys.into());
    }

    /// Starts a login, before the user is authenticated: if all their sessions are ended in the
    /// meantime, e.g. because the password was changed, the login will fail. Pass the result to
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

    /// Creates a session for an authenticated user, and ends the one that their request carried.
    ///
    /// # Errors
    /// [`LoginError`]
    ///
    /// # Cancel safety
    /// If the future is dropped, there is a new session or there is none. A session whose tokens
    /// were not delivered ends after its idle time.
    ///
    /// # Security
    /// The method trusts the app's identification of the user.
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
                self.tell_of_end(Some(old), None, RevokeReason::Replaced, None, true);
            }
        }
        for old in evicted {
            self.list_session(old, listed_until);
            let subject = Some(&*request.subject);
            self.tell_of_end(Some(old), subject, RevokeReason::Limit, None, true);
        }
        Ok(tokens)
    }

    /// The subject version for a session: that at the start of its login.
    async fn subject_version_of_login(&self, request: &LoginRequest) -> Result<u64, LoginError> {
        let Some(began_in) = request.subject_version else {
            return Ok(self.subject_version(&request.subject).await?);
        };
        // All sessions were ended since, even if the store does not know it.
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

    /// Whether the session that a login carries is a live one of the same user.
    async fn is_signed_in(&self, subject: &str, session: SessionId) -> Result<bool, Unavailable> {
        let loaded = self.store.load(&session).await?;
        Ok(loaded.is_some_and(|loaded| is_live_of(&loaded, subject)))
    }

    /// The app's current claims of the user. `None` if the user is disabled.
    pub(super) async fn current_claims(
        &self,
        subject: &str,
        session: SessionId,
        details: &SessionDetails,
    ) -> Result<Option<CurrentClaims>, Unavailable> {
        let query = UserQuery {
            subject,
            session,
            details,
        };
        match self.hook.current(&query).await {
            Ok(UserState::Enabled(claims)) => Ok(Some(claims)),
            Ok(UserState::Disabled) => Ok(None),
            Err(error) => {
                Err(Unavailable::new(UnavailableKind::Claims).with_source(error.into_source()))
            }
        }
    }

    pub(super) fn emit(&self, event: &Event<'_>) {
        event.trace();
        match event {
            Event::Reuse { cause, .. } => metrics::reused(*cause),
            Event::Revoked { reason, .. } => metrics::revoked(*reason),
            _ => {}
        }
        if let Some(events) = &self.events {
            events.on_event(event);
        }
    }

    pub(super) async fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        match tokio::time::timeout(self.policy.request_deadline(), work).await {
            Ok(result) => result,
            Err(_) => Err(Unavailable::new(UnavailableKind::Deadline)),
        }
    }
}

fn details_of(request: &LoginRequest, idle: Duration, now: Timestamp) -> SessionDetails {
    let mut details = request.details.clone();
    details.idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    details.auth_time = request.auth_time(now).map(Timestamp::as_secs);
    request.client.note_in(&mut details);
    details
}

/// Whether the result of an insert is certain: these errors mean that nothing was written.
fn is_answer(inserted: &Result<InsertOutcome, StoreError>) -> bool {
    inserted
        .as_ref()
        .err()
        .is_none_or(|error| matches!(error.kind(), StoreErrorKind::Corrupt | StoreErrorKind::Full))
}

fn ended_at_once() -> ConfigError {
    ConfigError::new("lifetime", "the session would end before its first second")
}

impl KeyRotation {
    /// Keeps the refresh keys of `sessions` up to date. Create the sessions with
    /// [`refresh_keys`](Self::refresh_keys).
    #[must_use]
    pub fn with_sessions(self, sessions: Sessions) -> Self {
        self.on_refresh_keys(move |keys| sessions.replace_refresh_keys(keys))
    }
}
