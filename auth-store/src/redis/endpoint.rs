//! [`Endpoint`]: the address of the server, parsed from a URL.

use std::sync::Arc;
use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisError, TlsMode,
};
use tokio::sync::Mutex;

use super::connection::Connection;

const DEFAULT_SENTINEL_PORT: u16 = 26379;
/// Maximum number of redirections that a cluster's client follows or waits for.
const CLUSTER_RETRIES: u32 = 4;
const CLUSTER_WAIT_MS: u64 = 100;

#[derive(Clone)]
pub(super) enum Endpoint {
    Node(Box<Client>),
    Sentinel(Arc<Mutex<SentinelClient>>),
    Cluster(Box<ClusterClient>),
}

impl Endpoint {
    /// Parses a URL, without connecting.
    pub(super) fn parse(url: &str, bound: Duration) -> Result<Self, RedisError> {
        #[cfg(feature = "redis-tls")]
        choose_cryptography();
        match url.split_once("://") {
            Some(("redis+sentinel", rest)) => Self::sentinel("redis", rest),
            Some(("rediss+sentinel", rest)) => Self::sentinel("rediss", rest),
            Some(("redis+cluster", rest)) => Self::cluster("redis", rest, bound),
            Some(("rediss+cluster", rest)) => Self::cluster("rediss", rest, bound),
            _ => Ok(Self::Node(Box::new(Client::open(node(url)?)?))),
        }
    }

    fn sentinel(scheme: &str, rest: &str) -> Result<Self, RedisError> {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = split_credentials(authority);
        let (master, db) = path.split_once('/').unwrap_or((path, ""));
        if master.is_empty() {
            return Err(invalid(
                "a Sentinel URL must have the name of the master in its path",
            ));
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
        // Passed by value without TLS, by reference with it.
        let service = master.to_owned();
        let client =
            SentinelClient::build(sentinels, service, Some(info), SentinelServerType::Master)?;
        Ok(Self::Sentinel(Arc::new(Mutex::new(client))))
    }

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

    pub(super) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<Connection, RedisError> {
        match self {
            Self::Node(client) => client
                .get_multiplexed_async_connection_with_config(config)
                .await
                .map(Connection::Node),
            // Sentinel is queried each time: after a failover there is another master.
            Self::Sentinel(client) => client
                .lock()
                .await
                .get_async_connection_with_config(config)
                .await
                .map(Connection::Node),
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

/// Installs a default cryptography provider, unless the app has installed one. rustls panics if the
/// app's features enable two providers and none is the default.
#[cfg(feature = "redis-tls")]
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

fn invalid(problem: &'static str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, problem))
}
