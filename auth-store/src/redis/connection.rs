//! [`Connection`]: a single connection, without reconnecting.

use redis::aio::{ConnectionLike, MultiplexedConnection};
#[cfg(feature = "redis-cluster")]
use redis::cluster_async::ClusterConnection;
#[cfg(feature = "redis-cluster")]
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use super::script::Call;

/// A request to a connection.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    Command(&'a Cmd),
    Script(&'a Call<'a>),
    /// A command to the node of a cluster at this host and port.
    #[cfg(feature = "redis-cluster")]
    ToNode(&'a Cmd, &'a str, u16),
}

/// A connection to one server, or to a cluster.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    #[cfg(feature = "redis-cluster")]
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn send(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = match self {
            Self::Single(server) => server.req_packed_command(command).await?,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.req_packed_command(command).await?,
        };
        no_error(answer)
    }

    pub(super) async fn request(&mut self, request: Request<'_>) -> Result<Value, RedisError> {
        match request {
            Request::Command(command) => self.send(command).await,
            Request::Script(call) => self.run(call).await,
            #[cfg(feature = "redis-cluster")]
            Request::ToNode(command, host, port) => self.send_to(command, host, port).await,
        }
    }

    #[cfg(feature = "redis-cluster")]
    async fn send_to(&mut self, command: &Cmd, host: &str, port: u16) -> Result<Value, RedisError> {
        match self {
            Self::Single(_) => self.send(command).await,
            Self::Cluster(cluster) => {
                let host = host.to_owned();
                let node = SingleNodeRoutingInfo::ByAddress { host, port };
                let answer = cluster
                    .route_command(command.clone(), RoutingInfo::SingleNode(node))
                    .await?;
                no_error(answer)
            }
        }
    }

    async fn run(&mut self, call: &Call<'_>) -> Result<Value, RedisError> {
        match self.send(&call.by_digest()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(&call.by_text()).await
            }
            answer => answer,
        }
    }
}

fn no_error(answer: Value) -> Result<Value, RedisError> {
    match answer {
        Value::ServerError(error) => Err(error.into()),
        answer => Ok(answer),
    }
}
