//! [`Sessions`]: logging in and keeping logged in.
//!
//! 1. Load, decide, ask the app, make the whole answer, write conditionally, send. The access token
//!    is made before the write, and its cookies are: if the signer fails, or they are too long,
//!    nothing is consumed.
//! 2. A write that lost its condition is followed by another load and decision; a handful of times,
//!    then 503.
//! 3. Every call ends within the policy's request deadline.
//! 4. A revocation counts as done when the store has acknowledged it. What this node lists and
//!    tells of it: see [`ending`](crate::session::ending).

use std::sync::Arc;

use crate::base::clock::is_same_clock;
use crate::base::config::ConfigError;
use crate::base::id::SessionId;
use crate::keys::refresh::RefreshKeys;
use crate::keys::rotation::task::KeyRotation;
use crate::observe::events::Events;
use crate::revocation::Revocations;
use crate::session::flight::Flights;
use crate::session::hook::{AsGranted, ClaimsHook};
use crate::session::inner::{AccessKind, Inner, LongestLifetime};
use crate::session::policy::SessionPolicy;
use crate::session::replays::{ReplayLog, Replays};
use crate::session::store::RefreshStore;
use crate::session::store::error::StoreError;
#[cfg(feature = "metrics")]
use crate::session::store::metered::metered;
use crate::session::token::RefreshCodec;
use crate::token::issuer::Issuer;

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

/// Puts [`Sessions`] together.
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
    /// The numbers, instead of the defaults.
    pub fn with_policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Asks the app, whenever tokens are made, whether the user is still enabled and what they may
    /// do. Without it everybody stays enabled, with the scope of their login.
    pub fn with_claims(mut self, hook: Arc<dyn ClaimsHook>) -> Self {
        self.hook = hook;
        self
    }

    /// Tells the app what happens.
    pub fn with_events(mut self, events: Arc<dyn Events>) -> Self {
        self.events = Some(events);
        self
    }

    /// Puts revocations into this node's list as soon as the store has acknowledged them, so that
    /// access tokens die at once, and heeds those that the list has from other nodes.
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Hands out opaque access tokens instead of JWTs: the claims stay in the store, each request
    /// is one load, and a session's end is felt at once without a list. Let the authenticator read
    /// them with
    /// [`with_reference_tokens`](crate::AuthenticatorBuilder::with_reference_tokens).
    pub fn with_reference_tokens(mut self) -> Self {
        self.access = AccessKind::Reference;
        self
    }

    /// Checks the numbers against each other.
    ///
    /// # Errors
    /// [`ConfigError`]: see [`SessionPolicy::check`]. Opaque access tokens must live for at least
    /// twice the settle time. Issuer and revocations must go by one clock.
    pub fn build(self) -> Result<Sessions, ConfigError> {
        let lifetime = self.issuer.lifetime();
        self.policy.check(lifetime)?;
        if let Some(revocations) = &self.revocations
            && !is_same_clock(revocations.clock(), self.issuer.clock())
        {
            return Err(ConfigError::new(
                "clock",
                "the sessions' revocations and their issuer go by different clocks: give both one",
            ));
        }
        // Until settle has passed a session is answered with the access token that it has.
        if self.access == AccessKind::Reference
            && lifetime < self.policy.min_rotation_interval().saturating_mul(2)
        {
            return Err(ConfigError::new(
                "access lifetime",
                "opaque access tokens must live for at least twice the settle time",
            ));
        }
        Ok(Sessions(Arc::new(Inner {
            codec: RefreshCodec::new(self.issuer.name(), self.keys),
            issuer: self.issuer,
            #[cfg(feature = "metrics")]
            store: metered(self.store),
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
    /// Sessions whose access tokens `issuer` makes, kept in `store`, with refresh tokens under
    /// `keys`.
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

    /// The numbers.
    pub fn policy(&self) -> &SessionPolicy {
        &self.0.policy
    }

    /// What makes the access tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.0.issuer
    }

    /// How often refresh tokens came twice since this node started, and what to do about it.
    #[must_use]
    pub fn replays(&self) -> Replays {
        self.0.replays.all()
    }

    /// What the sessions put their revocations into.
    pub(crate) fn revocations(&self) -> Option<&Revocations> {
        self.0.revocations.as_ref()
    }

    /// Asks the store for a session that cannot exist, to know whether it answers.
    ///
    /// # Errors
    /// What the store says.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let nobody = SessionId::from_bytes([0; 16]);
        self.0.store.load(&nobody).await.map(|_| ())
    }

    /// Rotates the refresh keys: tokens of keys that are no longer there are refused from now on.
    pub fn replace_refresh_keys(&self, keys: impl Into<RefreshKeys>) {
        self.0.codec.replace_keys(keys.into());
    }
}

impl KeyRotation {
    /// Keeps the refresh keys of `sessions` up to date. Give the sessions
    /// [`refresh_keys`](Self::refresh_keys) to begin with.
    #[must_use]
    pub fn with_sessions(self, sessions: Sessions) -> Self {
        self.on_refresh_keys(move |keys| sessions.replace_refresh_keys(keys))
    }
}
