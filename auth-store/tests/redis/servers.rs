//! Servers of a test's own, on loopback, gone when it ends.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Cmd, FromRedisValue};
use tempfile::TempDir;

/// Whether tests that need a server are wanted; says loudly that they are skipped.
pub(crate) fn wanted() -> bool {
    shared_url().is_some()
}

/// The server that all tests share: none of them may empty or stop it.
pub(crate) fn shared_url() -> Option<String> {
    crate::common::server("AUTH_TEST_REDIS_URL")
}

pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    folder: TempDir,
}

impl Server {
    pub(crate) async fn start(more: &[&str]) -> Self {
        Self::start_at(free_port(), more).await
    }

    pub(crate) async fn start_at(port: u16, more: &[&str]) -> Self {
        let server = Self::spawn(port, "redis-server", more);
        server.await_answer().await;
        server
    }

    /// A Sentinel that watches `master` and needs nobody's consent for a failover.
    pub(crate) async fn sentinel(master: u16) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 1000\n"
        );
        std::fs::write(&config, text).unwrap();
        let child = quiet(Command::new("redis-server").arg(&config).arg("--sentinel"))
            .spawn()
            .expect("redis-server is installed");
        let server = Self {
            child,
            port,
            folder,
        };
        server.await_answer().await;
        server
    }

    fn spawn(port: u16, program: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--repl-diskless-sync-delay", "0"])
            .arg("--port")
            .arg(port.to_string())
            .arg("--dir")
            .arg(folder.path())
            .args(more);
        let child = quiet(&mut command)
            .spawn()
            .expect("redis-server is installed");
        Self {
            child,
            port,
            folder,
        }
    }

    async fn await_answer(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        for _ in 0..500 {
            if let Ok(mut connection) = client.get_multiplexed_async_connection().await
                && redis::cmd("PING")
                    .query_async::<String>(&mut connection)
                    .await
                    .is_ok()
            {
                return;
            }
            pause().await;
        }
        panic!("no server at {}", self.port);
    }

    /// All that the server holds, as it writes it to its disk, uncompressed.
    pub(crate) async fn dump(&self) -> Vec<u8> {
        self.tell("CONFIG SET rdbcompression no").await;
        self.tell("SAVE").await;
        std::fs::read(self.folder.path().join("dump.rdb")).unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        ask(&self.url(), command).await
    }

    pub(crate) async fn tell(&self, words: &str) {
        self.ask::<()>(&words_of(words)).await;
    }

    /// Until a replica has everything. `WAIT` speaks of its own connection's writes alone, so that
    /// connection writes last.
    pub(crate) async fn await_replica(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut tell = async |words: &str| -> redis::Value {
            words_of(words).query_async(&mut connection).await.unwrap()
        };
        tell("SET last-before-the-failover 1").await;
        while tell("WAIT 1 100").await == redis::Value::Int(0) {}
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three masters that share the slots.
pub(crate) struct Cluster(Vec<Server>);

impl Cluster {
    pub(crate) async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(Server::start(&["--cluster-enabled", "yes"]).await);
        }
        for (node, slots) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            node.tell(&format!("CLUSTER ADDSLOTSRANGE {slots}")).await;
        }
        let first = nodes[0].port;
        for node in &nodes[1..] {
            node.tell(&format!("CLUSTER MEET 127.0.0.1 {first}")).await;
        }
        for node in &nodes {
            loop {
                let info: String = node.ask(&words_of("CLUSTER INFO")).await;
                let slots: redis::Value = node.ask(&words_of("CLUSTER SLOTS")).await;
                let whole = matches!(slots, redis::Value::Array(ranges) if ranges.len() == 3);
                if info.contains("cluster_state:ok") && whole {
                    break;
                }
                pause().await;
            }
        }
        Self(nodes)
    }

    pub(crate) fn url(&self) -> String {
        let nodes: Vec<_> = self
            .0
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    pub(crate) fn nodes(&self) -> &[Server] {
        &self.0
    }
}

pub(crate) async fn ask<T: FromRedisValue>(url: &str, command: &Cmd) -> T {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    command.query_async(&mut connection).await.unwrap()
}

pub(crate) fn words_of(words: &str) -> Cmd {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command
}

/// Servers of other processes have no event to wait for.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

/// Below the range of outgoing connections, so that none of them takes it meanwhile. A cluster's
/// second port is 10000 above.
pub(crate) fn free_port() -> u16 {
    let begin = 20_000 + u16::try_from(std::process::id() % 1000).unwrap() * 2;
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    loop {
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let port = begin + next;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
