//! Naming an issuer whose keys are fetched.

use std::sync::Arc;

use auth_core::remote::RemoteKeys;
use auth_core::session::Events;
use auth_core::{Algorithm, Clock, ConfigError, SystemClock};
use tokio::runtime::Handle;

use crate::address::{self, Plain, Reach};
use crate::fetch::{HttpFetcher, Location};

/// An issuer whose keys are fetched, of which the algorithms are missing.
#[derive(Clone, Debug)]
#[must_use = "name the algorithms next"]
pub struct RemoteIssuerWithoutAlgorithms {
    issuer: String,
    jwks: Option<String>,
}

impl RemoteIssuerWithoutAlgorithms {
    /// The algorithms that the issuer signs with. Keys for others are not used, and an RSA key
    /// without `alg` is used only if exactly one RSA algorithm is named here.
    pub fn algorithms(self, algorithms: impl IntoIterator<Item = Algorithm>) -> RemoteIssuer {
        RemoteIssuer {
            issuer: self.issuer,
            jwks: self.jwks,
            algorithms: algorithms.into_iter().collect(),
            proxy: None,
            private_networks: false,
            insecure_http: false,
            key_set_limits: None,
            clock: Arc::new(SystemClock),
            events: None,
        }
    }
}

/// An issuer whose keys are fetched.
///
/// ```
/// use auth_core::Algorithm;
/// use auth_jwks::RemoteIssuer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), auth_core::ConfigError> {
/// let keys = RemoteIssuer::jwks("https://id.example", "https://id.example/jwks")
///     .algorithms([Algorithm::Es256, Algorithm::EdDsa])
///     .start()?;
/// assert_eq!(keys.issuer(), "https://id.example");
///
/// // Keys that anybody on the way could replace are no keys.
/// let plain = RemoteIssuer::jwks("http://id.example", "http://id.example/jwks");
/// assert!(plain.algorithms([Algorithm::Es256]).start().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "start it"]
pub struct RemoteIssuer {
    issuer: String,
    jwks: Option<String>,
    algorithms: Vec<Algorithm>,
    proxy: Option<String>,
    private_networks: bool,
    insecure_http: bool,
    key_set_limits: Option<(usize, usize)>,
    clock: Arc<dyn Clock>,
    events: Option<Arc<dyn Events>>,
}

impl RemoteIssuer {
    /// An issuer whose metadata says where its keys are. The metadata are fetched before the first
    /// set of keys, and again after a fetch that failed.
    pub fn discover(issuer: impl Into<String>) -> RemoteIssuerWithoutAlgorithms {
        RemoteIssuerWithoutAlgorithms {
            issuer: issuer.into(),
            jwks: None,
        }
    }

    /// An issuer whose keys are at `jwks`.
    pub fn jwks(
        issuer: impl Into<String>,
        jwks: impl Into<String>,
    ) -> RemoteIssuerWithoutAlgorithms {
        RemoteIssuerWithoutAlgorithms {
            issuer: issuer.into(),
            jwks: Some(jwks.into()),
        }
    }

    /// Lets the issuer's metadata lead into private networks: 10.0.0.0/8, 172.16.0.0/12,
    /// 192.168.0.0/16, 100.64.0.0/10 and fc00::/7. Without it they lead to public addresses, and to
    /// hosts that are named here: an issuer in a private network needs it only if its keys are on
    /// another host than its metadata.
    ///
    /// # Security
    /// Whoever writes the metadata can then make this node connect to hosts of those networks.
    /// Loopback and link-local addresses stay out of reach.
    pub fn allow_private_networks(mut self) -> Self {
        self.private_networks = true;
        self
    }

    /// Fetches over plain `http` too, from the address that is named here and from where its
    /// metadata lead on the same host: a provider inside of a private network that has no
    /// certificate, such as `http://keycloak:8080`. By default only loopback may be plain.
    ///
    /// # Security
    /// Whoever is on the way can put keys of their own in place of the issuer's and sign tokens for
    /// anybody. Only for networks in which every machine is trusted as much as the issuer.
    pub fn with_insecure_http(mut self) -> Self {
        self.insecure_http = true;
        self
    }

    /// Accepts key sets of up to so many bytes and keys: at most 1 MiB and 1024. Default: 64 KiB and
    /// 64 keys.
    pub fn with_key_set_limits(mut self, bytes: usize, keys: usize) -> Self {
        self.key_set_limits = Some((bytes, keys));
        self
    }

    /// Fetches through this proxy, e.g. `http://proxy.internal:3128`. The proxy resolves names, so
    /// it has to say itself which networks it leads to.
    pub fn with_proxy(mut self, proxy: impl Into<String>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Takes the time from `clock`, which must be the authenticator's.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Tells the app when the keys cannot be fetched, and when they can be again.
    pub fn with_events(mut self, events: Arc<dyn Events>) -> Self {
        self.events = Some(events);
        self
    }

    /// Starts the task that fetches, on the current tokio runtime. It ends when the last clone of
    /// the keys is dropped, or by [`RemoteKeys::shutdown`].
    ///
    /// The first token that needs a key fetches. To have keys before that, or to fail if there are
    /// none, wait for [`RemoteKeys::load`].
    ///
    /// # Errors
    /// If an address may not be fetched (not `https`), if no algorithm or a symmetric one is named,
    /// if the limits of the key set are too high,
    /// if the proxy's address is none, if TLS cannot be set up, or outside of a tokio runtime.
    pub fn start(self) -> Result<RemoteKeys, ConfigError> {
        let runtime = Handle::try_current()
            .map_err(|_| ConfigError::new("keys", "start them inside of a tokio runtime"))?;
        let named = self.jwks.as_deref().unwrap_or(&self.issuer);
        let plain = if self.insecure_http {
            Plain::Anywhere
        } else {
            Plain::Loopback
        };
        let named = address::parse(named, plain)
            .map_err(|error| ConfigError::new("keys", error.to_string()))?;
        let mut reach = Reach::from(&named);
        if self.private_networks {
            reach = reach.with_private_networks();
        }
        let location = match self.jwks {
            Some(_) => Location::Jwks(named),
            None => Location::Issuer(named),
        };
        let mut fetcher = HttpFetcher::new(&self.issuer, location, reach, self.proxy.as_deref())?;
        if let Some((bytes, _)) = self.key_set_limits {
            fetcher = fetcher.with_max_bytes(bytes);
        }
        let (keys, mut task) =
            RemoteKeys::new(self.issuer, self.algorithms, Arc::new(fetcher), self.clock)?;
        if let Some((bytes, keys)) = self.key_set_limits {
            task = task.with_key_set_limits(bytes, keys)?;
        }
        if let Some(events) = self.events {
            task = task.with_events(events);
        }
        runtime.spawn(task.run());
        Ok(keys)
    }
}
