//! [`Endpoint`]: the address of the server, parsed from a URL.

use std::sync::Arc;
use std::time::Duration;

#[cfg(not(feature = "redis-cluster"))]
use auth_core::store::{StoreError, StoreErrorKind};
#[cfg(feature = "redis-cluster")]
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisError, TlsMode,
};
use tokio::sync::Mutex;

use super::connection::Connection;
use super::error::store_error;
use crate::OpenError;

const DEFAULT_SENTINEL_PORT: u16 = 26379;
/// Maximum number of redirections that a cluster's client follows or waits for.
#[cfg(feature = "redis-cluster")]
const CLUSTER_RETRIES: u32 = 4;
#[cfg(feature = "redis-cluster")]
const CLUSTER_WAIT_MS: u64 = 100;

/// The keys that one script can reach.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Topology {
    /// All keys: one server, or one that Sentinel watches.
    Single,
    /// Keys of one slot: a cluster.
    #[cfg(feature = "redis-cluster")]
    Cluster,
}

#[derive(Clone)]
pub(super) enum Endpoint {
    Single(Box<Client>),
    Sentinel(Arc<Mutex<SentinelClient>>),
    #[cfg(feature = "redis-cluster")]
    Cluster(Box<ClusterClient>),
}

impl Endpoint {
    /// Parses a URL, without connecting.
    #[cfg_attr(
        not(feature = "redis-cluster"),
        expect(
            unused_variables,
            reason = "only the client of a cluster takes the bound here"
        )
    )]
    pub(super) fn parse(url: &str, bound: Duration) -> Result<Self, OpenError> {
        choose_cryptography();
        let endpoint = match url.split_once("://") {
            Some(("redis+sentinel", rest)) => Self::sentinel("redis", rest),
            Some(("rediss+sentinel", rest)) => Self::sentinel("rediss", rest),
            #[cfg(feature = "redis-cluster")]
            Some(("redis+cluster", rest)) => Self::cluster("redis", rest, bound),
            #[cfg(feature = "redis-cluster")]
            Some(("rediss+cluster", rest)) => Self::cluster("rediss", rest, bound),
            #[cfg(not(feature = "redis-cluster"))]
            Some(("redis+cluster" | "rediss+cluster", _)) => {
                return Err(OpenError::new(
                    "a Redis Cluster needs the feature `redis-cluster` of auth-store",
                    None,
                    StoreError::new(StoreErrorKind::Unavailable),
                ));
            }
            _ => node(url)
                .and_then(Client::open)
                .map(|client| Self::Single(Box::new(client))),
        };
        endpoint.map_err(unreadable)
    }

    fn sentinel(scheme: &str, rest: &str) -> Result<Self, RedisError> {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = split_credentials(authority);
        let (master, db) = path.split_once('/').unwrap_or((path, ""));
        if master.is_empty() {
            return Err(RedisError::from((
                ErrorKind::InvalidClientConfig,
                "a Sentinel URL must have the name of the master in its path",
            )));
        }
        let mut sentinels = Vec::new();
        for host in hosts.split(',') {
            let sentinel = node(&format!("{scheme}://{host}"))?;
            sentinels.push(if has_port(host) {
                sentinel
            } else {
                with_port(sentinel, DEFAULT_SENTINEL_PORT)
            });
        }
        // A placeholder for the host: only the rest of the URL is parsed.
        let data = node(&format!("{scheme}://{credentials}localhost/{db}"))?;
        let mut info = SentinelNodeConnectionInfo::default()
            .set_redis_connection_info(data.redis_settings().clone())
            .set_tcp_settings(tcp());
        if matches!(data.addr(), ConnectionAddr::TcpTls { .. }) {
            info = info.set_tls_mode(TlsMode::Secure);
        }
        let client =
            SentinelClient::build(sentinels, master, Some(info), SentinelServerType::Master)?;
        Ok(Self::Sentinel(Arc::new(Mutex::new(client))))
    }

    #[cfg(feature = "redis-cluster")]
    fn cluster(scheme: &str, rest: &str, bound: Duration) -> Result<Self, RedisError> {
        let authority = rest
            .split_once('/')
            .map_or(rest, |(authority, _)| authority);
        let (credentials, hosts) = split_credentials(authority);
        let nodes: Result<Vec<_>, _> = hosts
            .split(',')
            .map(|host| node(&format!("{scheme}://{credentials}{host}")))
            .collect();
        let client = ClusterClientBuilder::new(nodes?)
            .retries(CLUSTER_RETRIES)
            .max_retry_wait(CLUSTER_WAIT_MS)
            .connection_timeout(bound)
            .response_timeout(bound)
            .tcp_settings(tcp())
            .build()?;
        Ok(Self::Cluster(Box::new(client)))
    }

    pub(super) fn topology(&self) -> Topology {
        match self {
            Self::Single(_) | Self::Sentinel(_) => Topology::Single,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(_) => Topology::Cluster,
        }
    }

    pub(super) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<Connection, RedisError> {
        match self {
            Self::Single(client) => client
                .get_multiplexed_async_connection_with_config(config)
                .await
                .map(Connection::Single),
            // Sentinel is queried each time: after a failover there is another master.
            Self::Sentinel(client) => client
                .lock()
                .await
                .get_async_connection_with_config(config)
                .await
                .map(Connection::Single),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

/// Installs a default cryptography provider, unless the app has installed one. rustls panics if the
/// app's features enable two providers and none is the default.
fn choose_cryptography() {
    use rustls::crypto::{CryptoProvider, aws_lc_rs};
    if CryptoProvider::get_default().is_none() {
        // Fails if another thread has installed one, which is just as good.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

fn node(url: &str) -> Result<ConnectionInfo, RedisError> {
    Ok(url.into_connection_info()?.set_tcp_settings(tcp()))
}

/// Turns off Nagle's algorithm: replies are short, and a caller waits for each.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn split_credentials(authority: &str) -> (&str, &str) {
    match authority.rfind('@') {
        Some(at) => authority.split_at(at.saturating_add(1)),
        None => ("", authority),
    }
}

fn has_port(host: &str) -> bool {
    // An IPv6 address is in brackets and contains colons.
    let name_end = host.rfind(']').unwrap_or(0);
    host.get(name_end..).is_some_and(|rest| rest.contains(':'))
}

fn with_port(info: ConnectionInfo, new: u16) -> ConnectionInfo {
    let mut addr = info.addr().clone();
    if let ConnectionAddr::Tcp(_, port) | ConnectionAddr::TcpTls { port, .. } = &mut addr {
        *port = new;
    }
    info.set_addr(addr)
}

/// Omits the URL, which may contain a password.
fn unreadable(error: RedisError) -> OpenError {
    OpenError::new(
        "the Redis URL cannot be read: it is redis://[USER:PASSWORD@]HOST[:PORT][/DB], or with \
         Sentinel redis+sentinel://[USER:PASSWORD@]SENTINEL[:PORT],…/MASTER, with special \
         characters of the password percent-encoded",
        None,
        store_error(error),
    )
}
