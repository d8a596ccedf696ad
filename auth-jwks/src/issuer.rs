//! The configuration of an issuer whose keys are fetched.

use std::sync::Arc;

use auth_core::remote::RemoteKeys;
use auth_core::session::Events;
use auth_core::{Algorithm, Clock, ConfigError, SystemClock};
use tokio::runtime::Handle;

use crate::address::{self, Plain, Reach};
use crate::fetch::{HttpFetcher, Location};

/// A [`RemoteIssuer`] that still needs its algorithms.
#[derive(Clone, Debug)]
#[must_use = "set the algorithms next"]
pub struct RemoteIssuerWithoutAlgorithms {
    issuer: String,
    jwks: Option<String>,
}

impl RemoteIssuerWithoutAlgorithms {
    /// Sets the accepted algorithms. Keys for other algorithms are not used. An RSA key without `alg`
    /// is used only if exactly one RSA algorithm is accepted.
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

/// The configuration of an issuer whose keys are fetched over HTTPS.
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
/// // Without TLS, an attacker on the network could replace the keys.
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
    /// Configures an issuer whose key set is found through its metadata. The metadata are fetched
    /// before the first key set, and again after a failed fetch.
    pub fn discover(issuer: impl Into<String>) -> RemoteIssuerWithoutAlgorithms {
        RemoteIssuerWithoutAlgorithms {
            issuer: issuer.into(),
            jwks: None,
        }
    }

    /// Configures an issuer whose key set is at the URL `jwks`.
    pub fn jwks(
        issuer: impl Into<String>,
        jwks: impl Into<String>,
    ) -> RemoteIssuerWithoutAlgorithms {
        RemoteIssuerWithoutAlgorithms {
            issuer: issuer.into(),
            jwks: Some(jwks.into()),
        }
    }

    /// Allows the issuer's metadata to lead into private networks: 10.0.0.0/8, 172.16.0.0/12,
    /// 192.168.0.0/16, 100.64.0.0/10 and fc00::/7. By default, metadata may lead only to public
    /// addresses and to the hosts configured here. An issuer in a private network needs this option
    /// only if its keys are on another host than its metadata.
    ///
    /// # Security
    /// The author of the metadata can then make this node connect to hosts of those networks.
    /// Loopback and link-local addresses stay forbidden.
    pub fn with_private_networks(mut self) -> Self {
        self.private_networks = true;
        self
    }

    /// Allows plain `http` for the configured address and for addresses in its metadata on the same
    /// host. For a provider in a private network without a certificate, such as
    /// `http://keycloak:8080`. By default, only loopback addresses may use `http`.
    ///
    /// # Security
    /// An attacker on the network can replace the issuer's keys and sign tokens for any user. Use this
    /// only in networks where every machine is trusted as much as the issuer.
    pub fn with_insecure_http(mut self) -> Self {
        self.insecure_http = true;
        self
    }

    /// Sets the maximum size of a key set in bytes and in keys, up to 1 MiB and 1024. Default: 64
    /// KiB and 64 keys.
    pub fn with_key_set_limits(mut self, bytes: usize, keys: usize) -> Self {
        self.key_set_limits = Some((bytes, keys));
        self
    }

    /// Fetches through a proxy, for example `http://proxy.internal:3128`. The proxy resolves names, so
    /// it must restrict the reachable networks itself. Default: no proxy.
    pub fn with_proxy(mut self, proxy: impl Into<String>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Sets the clock, which must be the authenticator's. Default: [`SystemClock`].
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets a listener for events about failed and recovered fetches. Default: none.
    pub fn with_events(mut self, events: Arc<dyn Events>) -> Self {
        self.events = Some(events);
        self
    }

    /// Starts the fetching task on the current tokio runtime. It ends when the last clone of the keys
    /// is dropped, or by [`RemoteKeys::shutdown`].
    ///
    /// The first token that needs a key causes the first fetch. Await [`RemoteKeys::load`] to fetch
    /// earlier, and to get an error if the keys cannot be fetched.
    ///
    /// # Errors
    /// [`ConfigError`] if an address is not allowed (for example not `https`), if there is no
    /// algorithm or a symmetric one, or if a limit is too high. Also if the proxy's address is
    /// invalid, if TLS cannot be set up, or outside a tokio runtime.
    pub fn start(self) -> Result<RemoteKeys, ConfigError> {
        let runtime = Handle::try_current()
            .map_err(|_| ConfigError::new("keys", "must be called inside a tokio runtime"))?;
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
