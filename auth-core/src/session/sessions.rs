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
/// use auth_core::session::{ClientInfo, LoginRequest, RefreshKey, RefreshOutcome, Sessions};
/// use auth_core::testing::MemoryStore;
/// use auth_core::{Issuer, Key};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = Key::hs256("k1", b"a secret of at least thirty-two bytes, from a generator")?;
/// let issuer = Issuer::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(key)?;
/// let store = Arc::new(MemoryStore::new());
/// let sessions = Sessions::builder(issuer, store, RefreshKey::ephemeral()?)
///     .without_revocations() // see `auth_core::revocation`
///     .build()?;
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
    revocations: RevocationChoice,
    access: AccessKind,
}

/// The choice between a revocation list and none. It has no default.
#[derive(Clone, Debug)]
enum RevocationChoice {
    Open,
    List(Revocations),
    None,
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
    /// respected. Required, unless [`without_revocations`](Self::without_revocations) or
    /// [`with_reference_tokens`](Self::with_reference_tokens) is called.
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = RevocationChoice::List(revocations);
        self
    }

    /// Builds sessions without a revocation list.
    ///
    /// # Security
    /// The access tokens of a session stay valid after its end, until they expire: 10 minutes with
    /// the default lifetime. Only refreshes are refused at once.
    pub fn without_revocations(mut self) -> Self {
        self.revocations = RevocationChoice::None;
        self
    }

    /// Issues opaque access tokens instead of JWTs. The claims stay in the store, each request
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
    /// twice the minimum rotation interval. Issuer and revocations must use one clock. The choice
    /// for or against a revocation list must be made.
    pub fn build(self) -> Result<Sessions, ConfigError> {
        let lifetime = self.issuer.lifetime();
        self.policy.check(lifetime)?;
        let revocations = self.revocations.resolve(&self.issuer, self.access)?;
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
            codec: Arc::new(RefreshCodec::new(self.issuer.name(), self.keys)),
            issuer: self.issuer,
            #[cfg(feature = "metrics")]
            store: metered(self.store),
            #[cfg(not(feature = "metrics"))]
            store: self.store,
            policy: self.policy,
            hook: self.hook,
            events: self.events,
            revocations,
            access: self.access,
            flights: Flights::default(),
            replays: ReplayLog::default(),
            longest: LongestLifetime::default(),
        })))
    }
}

impl RevocationChoice {
    fn resolve(
        self,
        issuer: &Issuer,
        access: AccessKind,
    ) -> Result<Option<Revocations>, ConfigError> {
        match self {
            Self::List(list) if !is_same_clock(list.clock(), issuer.clock()) => {
                Err(ConfigError::new(
                    "clock",
                    format!(
                        "the sessions' revocation list uses {:?}, their issuer {:?}: pass one clock \
                         to `Revocations::new` and `Issuer::with_clock`",
                        list.clock(),
                        issuer.clock()
                    ),
                ))
            }
            Self::List(list) => Ok(Some(list)),
            Self::Open if access == AccessKind::Jwt => Err(ConfigError::new(
                "revocations",
                format!(
                    "without a revocation list, access tokens stay valid for up to {} s after a \
                     logout: add `.with_revocations(list)`, or accept it with \
                     `.without_revocations()`",
                    issuer.lifetime().as_secs_f64()
                ),
            )),
            Self::Open | Self::None => Ok(None),
        }
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
            revocations: RevocationChoice::Open,
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

    /// Whether the access tokens are opaque: their claims are loaded with every request.
    pub(crate) fn are_opaque(&self) -> bool {
        self.0.access == AccessKind::Reference
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
}

impl KeyRotation {
    /// Keeps the refresh keys of `sessions` up to date. Create the sessions with
    /// [`refresh_keys`](Self::refresh_keys).
    ///
    /// # Errors
    /// [`ConfigError`] if keys would be removed before the last token that they signed has ended:
    /// the access tokens or the sessions' idle time are longer than the schedules allow for. Logins
    /// with a longer idle time of their own are not known here.
    pub fn with_sessions(self, sessions: Sessions) -> Result<Self, ConfigError> {
        self.check(sessions.issuer())?;
        let idle = sessions.policy().idle();
        if let Some(longest) = self.longest_idle()
            && idle > longest
        {
            return Err(ConfigError::new(
                "longest idle",
                format!(
                    "the sessions end after {} s without a refresh, the refresh keys are kept for \
                     sessions of at most {} s: raise `RefreshKeySchedule::for_longest_idle(…)`",
                    idle.as_secs_f64(),
                    longest.as_secs_f64()
                ),
            ));
        }
        // The codec alone: a rotation does not keep sessions alive.
        let codec = Arc::clone(&sessions.0.codec);
        Ok(self.with_refresh_key_listener(move |keys| codec.replace_keys(keys)))
    }
}
