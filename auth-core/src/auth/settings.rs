//! The settings of an [`Auth`](crate::Auth), and the checks across them.
//!
//! Every refusal names the setting, both values of a contradiction, and the line that mends it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::{Clock, SystemClock};
use crate::base::config::ConfigError;
use crate::endpoints::routes::SiteData;
use crate::guard::refusal::Responder;
use crate::http::cookies::CookieTransport;
use crate::http::csrf::CsrfPolicy;
use crate::http::site_path::is_site_path;
use crate::keys::Algorithm;
use crate::keys::rotation::{KeySchedule, RefreshKeySchedule};
use crate::observe::events::Events;
use crate::revocation::StalePolicy;
use crate::session::SessionPolicy;
use crate::token::verify::{MAX_LEEWAY, TrustedIssuer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SHORTEST_ACCESS: Duration = Duration::from_secs(1);
const DEFAULT_STALENESS: Duration = Duration::from_secs(30);
/// The feed is polled every second, and a poll may take several.
const SHORTEST_STALENESS: Duration = Duration::from_secs(5);
/// Leeway of verifiers elsewhere, if ours is shorter.
const USUAL_LEEWAY: Duration = Duration::from_secs(30);

/// Whether access tokens are checked for revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RevocationCheck {
    /// By the list; refused while it is staler than this.
    FailClosed(Duration),
    /// By the list, however stale.
    FailOpen,
    /// There is no list.
    Off,
}

impl RevocationCheck {
    pub(super) fn policy(self) -> Option<StalePolicy> {
        match self {
            Self::FailClosed(after) => Some(StalePolicy::FailClosed { after }),
            Self::FailOpen => Some(StalePolicy::FailOpen),
            Self::Off => None,
        }
    }
}

/// Whether tasks keep the parts up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tasks {
    Spawned,
    /// In tests, where time stands still.
    #[cfg(feature = "testing")]
    Off,
}

/// Everything but store and users.
pub(crate) struct Settings {
    pub(super) issuer: Box<str>,
    pub(super) audience: Box<str>,
    pub(super) access_lifetime: Duration,
    pub(super) leeway: Duration,
    pub(super) policy: SessionPolicy,
    pub(super) revocations: RevocationCheck,
    pub(super) cookies: Option<Arc<dyn CookieTransport>>,
    pub(super) max_cookie_bytes: Option<usize>,
    pub(super) login_page: Option<Box<str>>,
    pub(super) csrf: CsrfPolicy,
    pub(super) realm: Option<String>,
    pub(super) responder: Option<Arc<dyn Responder>>,
    pub(super) client_ip_field: Option<Box<str>>,
    pub(super) issuers: Vec<TrustedIssuer>,
    pub(super) grpc_statuses: bool,
    pub(super) reference_tokens: bool,
    pub(super) cache_size: Option<usize>,
    pub(super) site_data: Vec<SiteData>,
    pub(super) algorithm: Algorithm,
    pub(super) key_period: Option<Duration>,
    pub(super) events: Option<Arc<dyn Events>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
}

impl Settings {
    pub(super) fn new(issuer: Box<str>, audience: Box<str>) -> Self {
        Self {
            issuer,
            audience,
            access_lifetime: Duration::from_secs(10 * 60),
            leeway: USUAL_LEEWAY,
            policy: SessionPolicy::default(),
            revocations: RevocationCheck::FailClosed(DEFAULT_STALENESS),
            cookies: None,
            max_cookie_bytes: None,
            login_page: None,
            csrf: CsrfPolicy::new(),
            realm: None,
            responder: None,
            client_ip_field: None,
            issuers: Vec::new(),
            grpc_statuses: false,
            reference_tokens: false,
            cache_size: None,
            site_data: Vec::new(),
            algorithm: Algorithm::Es256,
            key_period: None,
            events: None,
            clock: Arc::new(SystemClock),
            tasks: Tasks::Spawned,
        }
    }

    /// Lets a test turn the clock: no task, and a list that is never stale.
    #[cfg(feature = "testing")]
    pub(crate) fn for_testing(&mut self, clock: Arc<dyn Clock>) {
        self.clock = clock;
        self.tasks = Tasks::Off;
        self.revocations = RevocationCheck::FailOpen;
    }

    /// The times of the signing keys, if tokens live for up to `longest`.
    pub(super) fn key_schedule(&self, longest: Duration) -> KeySchedule {
        let schedule = KeySchedule::for_lifetime(longest.max(self.access_lifetime))
            .with_leeway(self.leeway.max(USUAL_LEEWAY));
        match self.key_period {
            Some(period) => schedule.with_period(period),
            None => schedule,
        }
    }

    /// The times of the refresh keys. They outlast every session, so that a login may choose a
    /// longer idle time than the policy's.
    pub(super) fn refresh_key_schedule(&self) -> RefreshKeySchedule {
        let longest = self.policy.absolute();
        // Bounds the number of keys, whatever the lifetime.
        let period = (90 * DAY).max(longest / 4);
        RefreshKeySchedule::for_longest_idle(longest).with_period(period)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_lifetimes()?;
        self.check_staleness()?;
        self.check_keys()?;
        self.check_login_page()
    }

    fn check_keys(&self) -> Result<(), ConfigError> {
        let schedule = self.key_schedule(self.access_lifetime);
        let (Some(period), Err(error)) = (self.key_period, schedule.check()) else {
            return Ok(());
        };
        Err(ConfigError::new(
            "key period",
            format!(
                "{period:?} does not fit to {:?}, for which a key is published before it signs \
                 ({error}): .with_key_period(Duration::from_secs(30 * 86_400))",
                schedule.lead()
            ),
        ))
    }

    fn check_lifetimes(&self) -> Result<(), ConfigError> {
        let (access, idle, absolute) = (
            self.access_lifetime,
            self.policy.idle(),
            self.policy.absolute(),
        );
        let refuse = |setting, problem: String| Err(ConfigError::new(setting, problem));
        if access < SHORTEST_ACCESS || access > DAY {
            return refuse(
                "access lifetime",
                format!(
                    "{access:?} is not between 1s and 86400s; sessions are kept alive by refresh: \
                     .with_access_lifetime(Duration::from_secs(600))"
                ),
            );
        }
        if access > idle {
            return refuse(
                "access lifetime",
                format!(
                    "{access:?} is longer than the idle time of sessions, {idle:?}: shorten it \
                     with .with_access_lifetime(…), or .with_session_policy(\
                     SessionPolicy::default().with_idle(…)) with at least {access:?}"
                ),
            );
        }
        if idle > absolute {
            return refuse(
                "idle",
                format!(
                    "{idle:?} is longer than the absolute lifetime of sessions, {absolute:?}: \
                     .with_session_policy(SessionPolicy::default().with_idle(…).with_absolute(…)) \
                     with an idle time of at most the absolute one"
                ),
            );
        }
        if self.leeway > MAX_LEEWAY {
            return refuse(
                "leeway",
                format!(
                    "{:?} is longer than {MAX_LEEWAY:?}, for which revocations are listed beyond \
                     the life of a token: .with_leeway(Duration::from_secs(30))",
                    self.leeway
                ),
            );
        }
        self.policy.check(access)
    }

    fn check_staleness(&self) -> Result<(), ConfigError> {
        match self.revocations {
            RevocationCheck::FailClosed(after) if after < SHORTEST_STALENESS => {
                Err(ConfigError::new(
                    "max staleness",
                    format!(
                        "{after:?} is shorter than {SHORTEST_STALENESS:?}, which a poll of the \
                         feed may take: .with_max_staleness(Duration::from_secs(30))"
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    fn check_login_page(&self) -> Result<(), ConfigError> {
        let Some(page) = &self.login_page else {
            return Ok(());
        };
        if !is_site_path(page) {
            return Err(ConfigError::new(
                "login page",
                format!("{page:?} is not a path of this site: .with_login_page(\"/login\")"),
            ));
        }
        if self.cookies.is_none() {
            return Err(ConfigError::new(
                "login page",
                format!(
                    "{page:?} is for browsers, whose tokens are in cookies, and there are none: \
                     add .with_cookies(CookiePolicy::server_rendered()), or leave out \
                     .with_login_page({page:?})"
                ),
            ));
        }
        if self.policy.is_strict() {
            return Err(ConfigError::new(
                "login page",
                format!(
                    "pages that lead to {page:?} refresh silently, which strict mode would take \
                     for theft: leave out the strict mode of .with_session_policy(…), or \
                     .with_login_page({page:?})"
                ),
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
