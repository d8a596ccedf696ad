//! A provider, a clock, and an authenticator that trusts it.

use std::sync::Arc;
use std::time::Duration;

use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::remote::RemoteKeys;
use auth_core::testing::ManualClock;
use auth_core::{Algorithm, Authenticator, Clock, Timestamp};
use auth_jwks::RemoteIssuer;
use auth_jwks::testing::{Document, FakeProvider};

pub(crate) const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const AUDIENCE: &str = "https://api.example";

/// The refresh time of a set without `Cache-Control`, in seconds.
pub(crate) const REFRESH: u64 = 480;
pub(crate) const COOL_DOWN: u64 = 30;

pub(crate) type Auth = Arc<Authenticator<()>>;

/// A request with a bearer token only.
struct Bearer(String);

impl RequestView for Bearer {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if name == "authorization" {
            visit(self.0.as_bytes());
        }
    }
}

pub(crate) fn step(auth: &Auth, token: &str) -> Step {
    auth.authenticate(&Bearer(format!("Bearer {token}")))
}

pub(crate) fn status_of(verdict: &Verdict) -> u16 {
    match verdict {
        Verdict::Pass(_) => 200,
        Verdict::Refuse(refusal) => {
            let answer = refusal.response();
            let has = |name| answer.headers().iter().any(|line| line.name() == name);
            match answer.status() {
                // A 401 would make clients log out.
                503 => assert!(has("retry-after") && !has("www-authenticate")),
                status => assert!(status == 401 && has("www-authenticate"), "{status}"),
            }
            answer.status()
        }
    }
}

/// The status for this token, after any wait.
pub(crate) async fn status(auth: &Auth, token: &str) -> u16 {
    match step(auth, token) {
        Step::Done(verdict) => status_of(&verdict),
        Step::Wait(verdict) => status_of(&verdict.await),
    }
}

/// The status for this token. `None` if it would wait.
pub(crate) fn at_once(auth: &Auth, token: &str) -> Option<u16> {
    match step(auth, token) {
        Step::Done(verdict) => Some(status_of(&verdict)),
        Step::Wait(_) => None,
    }
}

/// Waits for sockets and tasks, until the condition holds.
pub(crate) async fn until(what: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("it never came");
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(T0))
}

/// An authenticator with these keys only.
pub(crate) fn trusting(keys: &RemoteKeys, clock: &Arc<ManualClock>) -> Auth {
    Authenticator::for_issuer(keys.issuer())
        .audience(AUDIENCE)
        .keys(keys.clone())
        .with_clock(Arc::clone(clock) as _)
        .build()
        .unwrap()
}

/// The keys of a provider at a configured URL, for ES256.
pub(crate) fn keys_of(provider: &FakeProvider, clock: &Arc<ManualClock>) -> RemoteKeys {
    RemoteIssuer::jwks(provider.issuer(), provider.jwks_uri())
        .algorithms([Algorithm::Es256])
        .with_clock(Arc::clone(clock) as _)
        .start()
        .unwrap()
}

pub(crate) struct World {
    pub(crate) provider: FakeProvider,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: RemoteKeys,
    pub(crate) auth: Auth,
}

impl World {
    /// A world before the first fetch.
    pub(crate) fn new() -> Self {
        let provider = FakeProvider::start().unwrap();
        let clock = clock();
        let keys = keys_of(&provider, &clock);
        let auth = trusting(&keys, &clock);
        Self {
            provider,
            clock,
            keys,
            auth,
        }
    }

    /// A world with loaded keys.
    pub(crate) async fn loaded() -> Self {
        let world = Self::new();
        world.keys.load().await.unwrap();
        assert_eq!(world.provider.requests(Document::Jwks), 1);
        world
    }

    pub(crate) fn advance(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A valid token at the current time.
    pub(crate) fn token(&self) -> String {
        self.provider.token(self.now()).mint()
    }

    /// A token with this key id and an invalid signature.
    pub(crate) fn forged(&self, kid: &str) -> String {
        let forge = self.provider.token(self.now()).header("kid", kid);
        forge.signature_raw([7; 64]).mint()
    }

    pub(crate) async fn status(&self, token: &str) -> u16 {
        status(&self.auth, token).await
    }

    pub(crate) fn at_once(&self, token: &str) -> Option<u16> {
        at_once(&self.auth, token)
    }

    /// A request with a known key, which does not wait, and the due fetch that it starts.
    pub(crate) async fn refresh(&self) {
        let before = self.keys.status();
        assert_eq!(self.at_once(&self.token()), Some(200));
        until(|| self.ended() > before.fetches).await;
    }

    /// Number of ended fetches.
    pub(crate) fn ended(&self) -> u64 {
        let status = self.keys.status();
        status.failures + status.successes
    }
}
