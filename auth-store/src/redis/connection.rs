//! [`Connection`]: a single connection, without reconnecting.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use super::script::Call;

/// A request to a connection.
#[derive(Clone, Copy)]
pub(super) enum Question<'a> {
    /// A command to one node of a cluster.
    At(&'a Cmd, &'a str, u16),
    Plain(&'a Cmd),
    Script(&'a Call<'a>),
}

/// A connection to one server, or to a cluster.
#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn send(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = match self {
            Self::Node(node) => node.req_packed_command(command).await?,
            Self::Cluster(cluster) => cluster.req_packed_command(command).await?,
        };
        no_error(answer)
    }

    pub(super) async fn ask(&mut self, question: Question<'_>) -> Result<Value, RedisError> {
        match question {
            Question::At(command, host, port) => self.send_to(command, host, port).await,
            Question::Plain(command) => self.send(command).await,
            Question::Script(call) => self.run(call).await,
        }
    }

    async fn send_to(&mut self, command: &Cmd, host: &str, port: u16) -> Result<Value, RedisError> {
        match self {
            Self::Node(_) => self.send(command).await,
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
