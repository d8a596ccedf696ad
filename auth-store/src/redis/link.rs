//! [`Link`]: one shared connection, and the handling of its failures.
//!
//! 1. A call ends within its time limit, connecting included. A connection that has exceeded it is
//!    dropped: behind a stalled server, calls would only queue.
//! 2. A call that certainly had no effect (no connection, a replica, a cluster in motion) is
//!    repeated once, on a new connection. A call whose reply was lost is repeated only if it is
//!    idempotent.
//! 3. The server's own texts appear only in the source of an error.

use std::time::Duration;

use auth_core::store::StoreError;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Mutex;

use super::connection::{Connection, Request};
use super::endpoint::{Endpoint, Topology};
use super::error::{store_error, timed_out};
use super::script::Call;

/// Maximum number of queued commands. Further callers wait for a place.
const QUEUE: usize = 1024;

/// The handling of a lost reply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// The call may be repeated: the second one has no further effect.
    Harmless,
    /// The result is unknown, and a repetition could have another effect.
    Never,
}

/// A connection made on demand, and again after a failure.
pub(super) struct Link {
    endpoint: Endpoint,
    config: AsyncConnectionConfig,
    bound: Duration,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    /// The number of this connection, counted from the first.
    number: u64,
    connection: Option<Connection>,
}

impl Link {
    pub(super) fn new(endpoint: Endpoint, bound: Duration) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(bound))
            .set_response_timeout(Some(bound))
            .set_pipeline_buffer_size(QUEUE);
        Self {
            endpoint,
            config,
            bound,
            current: Mutex::default(),
        }
    }

    /// Runs a script.
    pub(super) async fn run(&self, call: &Call<'_>, retry: Retry) -> Result<Value, StoreError> {
        self.bounded(retry, Request::Script(call)).await
    }

    /// Sends a plain, idempotent command.
    pub(super) async fn send(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.bounded(Retry::Harmless, Request::Command(command))
            .await
    }

    /// Sends a plain, idempotent command to one node of a cluster.
    #[cfg(feature = "redis-cluster")]
    pub(super) async fn send_to(
        &self,
        command: &Cmd,
        host: &str,
        port: u16,
    ) -> Result<Value, StoreError> {
        self.bounded(Retry::Harmless, Request::ToNode(command, host, port))
            .await
    }

    pub(super) fn topology(&self) -> Topology {
        self.endpoint.topology()
    }

    /// A separate new connection, for calls that wait.
    pub(super) async fn another(&self) -> Result<Connection, StoreError> {
        tokio::time::timeout(self.bound, self.endpoint.connect(&self.config))
            .await
            .map_err(|_| timed_out())?
            .map_err(store_error)
    }

    async fn bounded(&self, retry: Retry, request: Request<'_>) -> Result<Value, StoreError> {
        let mut used = None;
        let answered = tokio::time::timeout(
            self.bound,
            self.request_with_retry(retry, request, &mut used),
        )
        .await;
        match answered {
            Ok(answer) => answer.map_err(store_error),
            Err(_) => {
                if let Some(number) = used {
                    self.give_up(number).await;
                }
                Err(timed_out())
            }
        }
    }

    async fn request_with_retry(
        &self,
        retry: Retry,
        request: Request<'_>,
        used: &mut Option<u64>,
    ) -> Result<Value, RedisError> {
        match self.request(request, used).await {
            Ok(answer) => Ok(answer),
            Err(failed) if failed.surely_not_done || retry == Retry::Harmless && failed.lost => {
                let again = self.request(request, used).await;
                again.map_err(|failed| failed.error)
            }
            Err(failed) => Err(failed.error),
        }
    }

    async fn request(&self, request: Request<'_>, used: &mut Option<u64>) -> Result<Value, Failed> {
        let (number, mut connection) = self.connection().await.map_err(|error| Failed {
            error,
            surely_not_done: true,
            lost: false,
        })?;
        *used = Some(number);
        match connection.request(request).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let failed = Failed::answered(error);
                if failed.lost || failed.surely_not_done {
                    self.give_up(number).await;
                }
                Err(failed)
            }
        }
    }

    /// The connection and its number. The first caller without a connection makes one; the others wait
    /// for it.
    async fn connection(&self) -> Result<(u64, Connection), RedisError> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &current.connection {
            return Ok((current.number, connection.clone()));
        }
        let connection = self.endpoint.connect(&self.config).await?;
        current.number = current.number.wrapping_add(1);
        current.connection = Some(connection.clone());
        Ok((current.number, connection))
    }

    /// Drops a connection, unless it has been replaced already. Connections of a cluster reconnect by
    /// themselves, one node at a time.
    async fn give_up(&self, number: u64) {
        #[cfg(feature = "redis-cluster")]
        if self.topology() == Topology::Cluster {
            return;
        }
        let mut current = self.current.lock().await;
        if current.number == number {
            current.connection = None;
        }
    }
}

struct Failed {
    error: RedisError,
    surely_not_done: bool,
    lost: bool,
}

impl Failed {
    fn answered(error: RedisError) -> Self {
        let surely_not_done = match error.kind() {
            #[cfg(feature = "redis-cluster")]
            ErrorKind::ClusterConnectionNotFound => true,
            ErrorKind::Server(kind) => matches!(
                kind,
                ServerErrorKind::Ask
                    | ServerErrorKind::BusyLoading
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::Moved
                    | ServerErrorKind::ReadOnly
                    | ServerErrorKind::TryAgain
            ),
            _ => false,
        };
        let lost = matches!(
            error.kind(),
            ErrorKind::AuthenticationFailed | ErrorKind::Io | ErrorKind::Parse
        );
        Self {
            error,
            surely_not_done,
            lost,
        }
    }
}
