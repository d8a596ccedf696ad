//! An identity provider for tests, which can behave as badly as anybody. Feature `testing`.
//!
//! 1. It is real: HTTP/1.1 on a loopback port, served by threads of its own, so that it works with
//!    any runtime and with none.
//! 2. It begins as a good one: metadata in the three places where they may be, one ES256 key,
//!    validators (`ETag`), no `Cache-Control`. Each method changes one thing.
//! 3. It counts requests, and the bytes that it could send before the other side hung up.
//! 4. It ends when it is dropped.
//!
//! Turn the feature on in `[dev-dependencies]` only. A service that accepts tokens of other issuers
//! is tested like this:
//!
//! ```
//! use auth_core::remote::FetchFault;
//! use auth_core::testing::ManualClock;
//! use auth_core::{Algorithm, Authenticator, Timestamp};
//! use auth_jwks::RemoteIssuer;
//! use auth_jwks::testing::{Document, FakeAnswer, FakeProvider};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = FakeProvider::start()?;
//! let now = Timestamp::from_secs(1_800_000_000);
//! let clock = Arc::new(ManualClock::at(now));
//!
//! let keys = RemoteIssuer::discover(provider.issuer())
//!     .algorithms([Algorithm::Es256])
//!     .with_clock(clock.clone())
//!     .start()?;
//! let auth: Arc<Authenticator<()>> = Authenticator::for_issuer(provider.issuer())
//!     .audience("https://api.example")
//!     .keys(keys.clone())
//!     .with_clock(clock)
//!     .build()?;
//!
//! // A provider in trouble.
//! provider.answer(Document::Jwks, FakeAnswer::Status(500));
//! let error = keys.load().await.expect_err("no keys");
//! assert_eq!(error.fault(), FetchFault::Status);
//! assert_eq!(provider.requests(Document::Jwks), 1);
//!
//! // What your service is sent: right tokens, and ones with any defect.
//! let token = provider.token(now).claim("sub", "alice").mint();
//! let expired = provider.token(now).claim("exp", 1).mint();
//! # let _ = (auth, token, expired);
//! # Ok(())
//! # }
//! ```

mod bomb;
mod likeness;
mod metadata;
mod reply;
mod server;

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auth_core::testing::TokenForge;
use auth_core::{Algorithm, Key, Timestamp};

pub use likeness::Likeness;
pub use metadata::read_metadata;

/// What a provider publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Document {
    /// `/.well-known/openid-configuration` after the issuer's path (OpenID Connect Discovery §4).
    OpenIdConfiguration,
    /// `/.well-known/oauth-authorization-server` before the issuer's path (RFC 8414 §3.1).
    AuthorizationServer,
    /// `/.well-known/openid-configuration` before the issuer's path (RFC 8414 §5). Without a path
    /// it is the first.
    OpenIdConfigurationBefore,
    /// `/jwks` after the issuer's path (RFC 7517 §5).
    Jwks,
}

/// How a provider answers to a request for a document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FakeAnswer {
    /// As it should: the document.
    Document,
    /// The document, with less than it announced, and the end of the connection.
    CutShort,
    /// The document and 5 MiB of spaces behind it, compressed to a few dozen KiB, whether or not
    /// the client said that it takes that.
    Compressed,
    /// The document, one byte at a time with this pause after each.
    Drip(Duration),
    /// 200 and spaces without end.
    Endless,
    /// 200 and header lines without end.
    EndlessHead,
    /// Nothing, until another answer is set; then that.
    Hang,
    /// The end of the connection.
    HangUp,
    /// 200 and a page for people.
    Html,
    /// So many keys, most of them useless.
    Keys(usize),
    /// The document, followed by spaces until it is so many bytes long.
    Padded(usize),
    /// The same, without saying beforehand how long.
    PaddedUnannounced(usize),
    /// 302 to this address.
    Redirect(String),
    /// 302 to where it came from.
    RedirectLoop,
    /// This status, and no document.
    Status(u16),
    /// 200 and this text in place of the document.
    Text(String),
}

/// An identity provider on this machine. See the [module](self).
pub struct FakeProvider {
    shared: Arc<ProviderState>,
    acceptor: Option<std::thread::JoinHandle<()>>,
}

/// What the threads share.
struct ProviderState {
    address: SocketAddr,
    path: Box<str>,
    issuer: Box<str>,
    algorithm: Algorithm,
    likeness: Option<Likeness>,
    state: Mutex<State>,
    /// Told whenever the state changes.
    changed: Condvar,
    bytes_sent: AtomicU64,
    connections: AtomicU64,
}

struct State {
    /// JWKs, as they are published.
    entries: Vec<String>,
    /// What stands beside them in the document.
    more: &'static str,
    signing: Key,
    /// Keys made so far.
    made: u64,
    answers: HashMap<Document, FakeAnswer>,
    requests: HashMap<Document, u64>,
    /// Requests for anything else.
    strays: u64,
    etags: bool,
    cache_control: Option<String>,
    named_issuer: String,
    named_jwks: String,
    ended: bool,
}

impl FakeProvider {
    /// Starts one at the root of a free port, with the ES256 key `1`.
    ///
    /// # Errors
    /// If the system has no port or thread left, or no randomness.
    pub fn start() -> io::Result<Self> {
        Self::start_at("", Algorithm::Es256)
    }

    /// Starts one whose issuer has this path, e.g. `/realms/main`, and whose keys are for
    /// `algorithm`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_at(path: &str, algorithm: Algorithm) -> io::Result<Self> {
        Self::start_as(path, algorithm, None)
    }

    /// Starts one that writes its tokens and key set as this well-known provider does.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_like(likeness: Likeness) -> io::Result<Self> {
        Self::start_as(likeness.path(), likeness.algorithm(), Some(likeness))
    }

    fn start_as(path: &str, algorithm: Algorithm, likeness: Option<Likeness>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let issuer = format!("http://{address}{path}");
        let (signing, _) = Key::generate("1", algorithm).map_err(io::Error::other)?;
        let state = State {
            entries: entries(likeness, &signing),
            more: likeness.map_or("", Likeness::more),
            signing,
            made: 1,
            answers: HashMap::new(),
            requests: HashMap::new(),
            strays: 0,
            etags: true,
            cache_control: None,
            named_jwks: format!("{issuer}/jwks"),
            named_issuer: issuer.clone(),
            ended: false,
        };
        let shared = Arc::new(ProviderState {
            address,
            path: path.into(),
            issuer: issuer.into(),
            algorithm,
            likeness,
            state: Mutex::new(state),
            changed: Condvar::new(),
            bytes_sent: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let acceptor = server::spawn(listener, Arc::clone(&shared))?;
        Ok(Self {
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Its name: what its tokens have as `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Where its keys are.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        format!("{}/jwks", self.shared.issuer)
    }

    /// A good token, or the begin of a bad one: signed by the current key, for
    /// `https://api.example` or its likeness's [audience](Likeness::audience), valid for 10 minutes
    /// from `now`.
    pub fn token(&self, now: Timestamp) -> TokenForge {
        if let Some(likeness) = self.shared.likeness {
            return likeness.token(self.issuer(), &self.signing_key(), now);
        }
        TokenForge::new(&self.signing_key(), now).claim("iss", self.issuer())
    }

    /// The key that it signs with.
    #[must_use]
    pub fn signing_key(&self) -> Key {
        self.shared.state().signing.clone()
    }

    /// Publishes a further key, which does not sign yet.
    ///
    /// # Panics
    /// If the system has no randomness.
    pub fn add_key(&self) -> Key {
        let mut state = self.shared.state();
        state.made += 1;
        let key = generate(&state.made.to_string(), self.shared.algorithm);
        state.entries.extend(entries(self.shared.likeness, &key));
        key
    }

    /// Signs with this key, published or not.
    pub fn sign_with(&self, key: &Key) {
        self.shared.state().signing = key.clone();
    }

    /// Publishes a further key and signs with it from now on. The keys before it stay published.
    ///
    /// # Panics
    /// As [`add_key`](Self::add_key).
    pub fn rotate(&self) -> Key {
        let key = self.add_key();
        self.sign_with(&key);
        key
    }

    /// Publishes this key no more.
    pub fn remove_key(&self, kid: &str) {
        let id = format!(r#""kid":"{kid}""#);
        let mut state = self.shared.state();
        state.entries.retain(|entry| !entry.contains(&id));
    }

    /// Publishes this text among the keys, whatever it is.
    pub fn publish(&self, entry: &str) {
        self.shared.state().entries.push(entry.to_owned());
    }

    /// Answers so to requests for this document from now on.
    pub fn answer(&self, document: Document, answer: FakeAnswer) {
        self.shared.state().answers.insert(document, answer);
        self.shared.changed.notify_all();
    }

    /// Sends this `Cache-Control` with its keys, or none.
    pub fn set_cache_control(&self, value: Option<&str>) {
        self.shared.state().cache_control = value.map(str::to_owned);
    }

    /// Whether it sends an `ETag` with its keys, and answers 304 to who has that document.
    pub fn set_etags(&self, etags: bool) {
        self.shared.state().etags = etags;
    }

    /// Names another issuer in its metadata.
    pub fn name_issuer(&self, issuer: &str) {
        self.shared.state().named_issuer = issuer.to_owned();
    }

    /// Says in its metadata that the keys are there.
    pub fn name_jwks_uri(&self, jwks_uri: &str) {
        self.shared.state().named_jwks = jwks_uri.to_owned();
    }

    /// Requests for this document so far.
    #[must_use]
    pub fn requests(&self, document: Document) -> u64 {
        let requests = &self.shared.state().requests;
        requests.get(&document).copied().unwrap_or_default()
    }

    /// Requests for anything so far, also for what it does not have.
    #[must_use]
    pub fn all_requests(&self) -> u64 {
        let state = self.shared.state();
        state.requests.values().sum::<u64>() + state.strays
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes that it could send before the other side hung up, in total. Long answers are sent in
    /// pieces of 16 KiB, so that this is close to what was read.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.shared.bytes_sent.load(Ordering::SeqCst)
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts; it then sees that it is over.
        let _ = std::net::TcpStream::connect(self.shared.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl fmt::Debug for FakeProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeProvider")
            .field("issuer", &self.shared.issuer)
            .field("requests", &self.all_requests())
            .finish_non_exhaustive()
    }
}

impl ProviderState {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.state().ended
    }
}

impl State {
    fn jwks(&self) -> String {
        format!(r#"{{"keys":[{}]{}}}"#, self.entries.join(","), self.more)
    }

    fn etag(&self) -> Option<String> {
        let mut hasher = DefaultHasher::new();
        self.entries.hash(&mut hasher);
        self.etags.then(|| format!("\"{:x}\"", hasher.finish()))
    }
}

/// The entries of a key set for `key`.
fn entries(likeness: Option<Likeness>, key: &Key) -> Vec<String> {
    match likeness {
        Some(likeness) => likeness.entries(key),
        None => key.public_jwk().map(str::to_owned).into_iter().collect(),
    }
}

#[allow(
    clippy::panic,
    reason = "a test wants to know at once, and there is no request to answer"
)]
fn generate(kid: &str, algorithm: Algorithm) -> Key {
    match Key::generate(kid, algorithm) {
        Ok((key, _)) => key,
        Err(error) => panic!("{error}"),
    }
}
