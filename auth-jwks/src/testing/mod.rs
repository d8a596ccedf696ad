//! An identity provider for tests, with faults on demand. Feature `testing`.
//!
//! 1. It serves HTTP/1.1 on a loopback port, on its own threads, so it works with any runtime and
//!    without one.
//! 2. It starts without faults: metadata at the three possible locations, one ES256 key, validators
//!    (`ETag`), no `Cache-Control`. Each method makes one change.
//! 3. It counts requests, and the bytes that it could send before the client closed the connection.
//! 4. It stops when it is dropped.
//!
//! Turn the feature on in `[dev-dependencies]` only. A test of a service that accepts tokens of other
//! issuers:
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
//! // A failing provider.
//! provider.answer(Document::Jwks, FakeAnswer::Status(500));
//! let error = keys.load().await.expect_err("no keys");
//! assert_eq!(error.fault(), FetchFault::Status);
//! assert_eq!(provider.requests(Document::Jwks), 1);
//!
//! // Tokens for your service, valid ones and defective ones.
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

/// A document that a provider publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Document {
    /// `/.well-known/openid-configuration` after the issuer's path (OpenID Connect Discovery §4).
    OpenIdConfiguration,
    /// `/.well-known/oauth-authorization-server` before the issuer's path (RFC 8414 §3.1).
    AuthorizationServer,
    /// `/.well-known/openid-configuration` before the issuer's path (RFC 8414 §5). For an issuer
    /// without a path, the same as the first.
    OpenIdConfigurationBefore,
    /// `/jwks` after the issuer's path (RFC 7517 §5).
    Jwks,
}

/// The response to a request for a document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FakeAnswer {
    /// The document.
    Document,
    /// A part of the document, shorter than its `Content-Length`, then the end of the connection.
    CutShort,
    /// The document and 5 MiB of spaces, compressed to a few dozen KiB, even if the client does not
    /// accept compression.
    Compressed,
    /// The document, byte by byte, with this pause after each.
    Drip(Duration),
    /// 200 and endless spaces.
    Endless,
    /// 200 and endless header lines.
    EndlessHead,
    /// No response until another one is set; then that one.
    Hang,
    /// The end of the connection.
    HangUp,
    /// 200 and an HTML page.
    Html,
    /// This number of keys, most of them useless.
    Keys(usize),
    /// The document, padded with spaces to this length in bytes.
    Padded(usize),
    /// The same without `Content-Length`.
    PaddedUnannounced(usize),
    /// 302 to this address.
    Redirect(String),
    /// 302 to the same address.
    RedirectLoop,
    /// This status, and no document.
    Status(u16),
    /// 200 and this text in place of the document.
    Text(String),
}

/// An identity provider on this machine. The [module](self) has the rules and an example.
pub struct FakeProvider {
    shared: Arc<ProviderState>,
    acceptor: Option<std::thread::JoinHandle<()>>,
}

/// State shared by the threads.
struct ProviderState {
    address: SocketAddr,
    path: Box<str>,
    issuer: Box<str>,
    algorithm: Algorithm,
    likeness: Option<Likeness>,
    state: Mutex<State>,
    /// Notified of every change of the state.
    changed: Condvar,
    bytes_sent: AtomicU64,
    connections: AtomicU64,
}

struct State {
    /// The published JWKs.
    entries: Vec<String>,
    /// Additional members of the key set.
    more: &'static str,
    signing: Key,
    /// Number of keys generated so far.
    made: u64,
    answers: HashMap<Document, FakeAnswer>,
    requests: HashMap<Document, u64>,
    /// Number of requests for other paths.
    strays: u64,
    etags: bool,
    cache_control: Option<String>,
    named_issuer: String,
    named_jwks: String,
    ended: bool,
}

impl FakeProvider {
    /// Starts a provider at the root of a free port, with the ES256 key `1`.
    ///
    /// # Errors
    /// An error if the system has no free port or thread, or returns no random bytes.
    pub fn start() -> io::Result<Self> {
        Self::start_at("", Algorithm::Es256)
    }

    /// Starts a provider whose issuer has this path, for example `/realms/main`, with keys for
    /// `algorithm`.
    ///
    /// # Errors
    /// The same as for [`start`](Self::start).
    pub fn start_at(path: &str, algorithm: Algorithm) -> io::Result<Self> {
        Self::start_as(path, algorithm, None)
    }

    /// Starts a provider with the token and key set format of a well-known provider.
    ///
    /// # Errors
    /// The same as for [`start`](Self::start).
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

    /// The issuer: `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The URL of its key set.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        format!("{}/jwks", self.shared.issuer)
    }

    /// A forge for tokens, which starts with a valid one: signed by the current key, for the audience
    /// `https://api.example` or that of its [likeness](Likeness::audience), valid for 10 minutes from
    /// `now`.
    pub fn token(&self, now: Timestamp) -> TokenForge {
        if let Some(likeness) = self.shared.likeness {
            return likeness.token(self.issuer(), &self.signing_key(), now);
        }
        TokenForge::new(&self.signing_key(), now).claim("iss", self.issuer())
    }

    /// The signing key.
    #[must_use]
    pub fn signing_key(&self) -> Key {
        self.shared.state().signing.clone()
    }

    /// Publishes another key, which does not sign yet.
    ///
    /// # Panics
    /// If the system returns no random bytes.
    pub fn add_key(&self) -> Key {
        let mut state = self.shared.state();
        state.made += 1;
        let key = generate(&state.made.to_string(), self.shared.algorithm);
        state.entries.extend(entries(self.shared.likeness, &key));
        key
    }

    /// Sets the signing key, published or not.
    pub fn sign_with(&self, key: &Key) {
        self.shared.state().signing = key.clone();
    }

    /// Publishes another key and signs with it from now on. The earlier keys stay published.
    ///
    /// # Panics
    /// The same as for [`add_key`](Self::add_key).
    pub fn rotate(&self) -> Key {
        let key = self.add_key();
        self.sign_with(&key);
        key
    }

    /// Removes a key from the key set.
    pub fn remove_key(&self, kid: &str) {
        let id = format!(r#""kid":"{kid}""#);
        let mut state = self.shared.state();
        state.entries.retain(|entry| !entry.contains(&id));
    }

    /// Publishes any text as an entry of the key set.
    pub fn publish(&self, entry: &str) {
        self.shared.state().entries.push(entry.to_owned());
    }

    /// Sets the response to requests for this document.
    pub fn answer(&self, document: Document, answer: FakeAnswer) {
        self.shared.state().answers.insert(document, answer);
        self.shared.changed.notify_all();
    }

    /// Sets the `Cache-Control` of the key set. Default: `None`.
    pub fn set_cache_control(&self, value: Option<&str>) {
        self.shared.state().cache_control = value.map(str::to_owned);
    }

    /// Turns `ETag` and 304 for the key set on or off. Default: on.
    pub fn set_etags(&self, etags: bool) {
        self.shared.state().etags = etags;
    }

    /// Sets the issuer in the metadata.
    pub fn name_issuer(&self, issuer: &str) {
        self.shared.state().named_issuer = issuer.to_owned();
    }

    /// Sets the URL of the key set in the metadata.
    pub fn name_jwks_uri(&self, jwks_uri: &str) {
        self.shared.state().named_jwks = jwks_uri.to_owned();
    }

    /// Number of requests for this document so far.
    #[must_use]
    pub fn requests(&self, document: Document) -> u64 {
        let requests = &self.shared.state().requests;
        requests.get(&document).copied().unwrap_or_default()
    }

    /// Number of all requests so far, including those for unknown paths.
    #[must_use]
    pub fn all_requests(&self) -> u64 {
        let state = self.shared.state();
        state.requests.values().sum::<u64>() + state.strays
    }

    /// Number of connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Total number of bytes sent before clients closed the connection. Long responses are sent in
    /// pieces of 16 KiB, so this is close to the number of bytes that clients have read.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.shared.bytes_sent.load(Ordering::SeqCst)
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_all();
        // Wakes the accepting thread, which then ends.
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
