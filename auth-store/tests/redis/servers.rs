//! Servers for one test, on loopback, which end with it.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Cmd, FromRedisValue};
use tempfile::TempDir;

use crate::proxy::Proxy;

/// Whether tests that need a server are wanted. Otherwise reports the skip.
pub(crate) fn wanted() -> bool {
    shared_url().is_some()
}

/// Whether servers can be started, for tests that need no shared one. Otherwise, or if
/// `AUTH_TEST_SERVERS` is `none`, reports the skip.
pub(crate) fn can_start() -> bool {
    if std::env::var("AUTH_TEST_SERVERS").is_ok_and(|wanted| wanted == "none") {
        let _ = writeln!(std::io::stderr(), "SKIPPED: AUTH_TEST_SERVERS is none");
        return false;
    }
    let found = quiet(Command::new("redis-server").arg("--version")).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        assert!(std::env::var_os("CI").is_none(), "redis-server is missing");
        let _ = writeln!(std::io::stderr(), "SKIPPED: redis-server is missing");
    }
    found
}

/// The server that all tests share, which no test may empty or stop.
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
        loop {
            let mut server = Self::spawn(free_port(), more);
            if server.comes_up().await {
                return server;
            }
            // Another process has taken the port meanwhile.
        }
    }

    pub(crate) async fn start_at(port: u16, more: &[&str]) -> Self {
        let mut server = Self::spawn(port, more);
        assert!(server.comes_up().await, "no server at {port}");
        server
    }

    /// A Sentinel that watches `master` and starts a failover alone.
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
        while try_ask::<String>(&server.url(), &words_of("PING"))
            .await
            .is_err()
        {
            pause().await;
        }
        server
    }

    fn spawn(port: u16, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("redis-server");
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

    /// Waits until it responds. `false` if it has ended instead, or another server responds.
    async fn comes_up(&mut self) -> bool {
        let folder = self.folder.path().canonicalize().unwrap();
        let ask = words_of("CONFIG GET dir");
        while self.child.try_wait().unwrap().is_none() {
            if let Ok([_, found]) = try_ask::<[String; 2]>(&self.url(), &ask).await {
                return std::path::Path::new(&found) == folder;
            }
            pause().await;
        }
        false
    }

    /// The server's data as written to disk, uncompressed.
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

    /// Waits until a replica has all writes. `WAIT` covers only the writes of its own connection,
    /// so that connection writes last.
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

/// A cluster of six processes: three masters that share the slots, and a replica of each.
///
/// Nodes declare each other dead after a minute, so on a busy machine none is replaced by accident.
/// [`fail_over`](Self::fail_over) replaces one on purpose.
pub(crate) struct Cluster(Vec<Server>);

const MASTERS: usize = 3;

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::join(Self::processes().await).await
    }

    /// A cluster whose masters are reachable only through proxies.
    pub(crate) async fn behind_proxies() -> (Self, Vec<Proxy>) {
        let nodes = Self::processes().await;
        let mut proxies = Vec::new();
        for node in &nodes[..MASTERS] {
            let proxy = Proxy::start(node.port).await;
            // Set before the nodes meet: later, the change takes half a minute to spread.
            let announce = format!("CONFIG SET cluster-announce-port {}", proxy.port);
            node.tell(&announce).await;
            proxies.push(proxy);
        }
        (Self::join(nodes).await, proxies)
    }

    async fn processes() -> Vec<Server> {
        let mut nodes = Vec::new();
        for _ in 0..2 * MASTERS {
            let options = [
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "60000",
            ];
            nodes.push(Server::start(&options).await);
        }
        nodes
    }

    async fn join(nodes: Vec<Server>) -> Self {
        let cluster = Self(nodes);
        let nodes = &cluster.0;
        for (node, slots) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            node.tell(&format!("CLUSTER ADDSLOTSRANGE {slots}")).await;
        }
        let first = nodes[0].port;
        for (number, node) in nodes.iter().enumerate() {
            // Without different epochs, masters that have met would dispute their slots.
            node.tell(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))
                .await;
            node.tell(&format!("CLUSTER MEET 127.0.0.1 {first}")).await;
        }
        for (master, replica) in nodes.iter().zip(&nodes[MASTERS..]) {
            let id: String = master.ask(&words_of("CLUSTER MYID")).await;
            let replicate = words_of(&format!("CLUSTER REPLICATE {id}"));
            // Repeats until the replica knows its master.
            while try_ask::<()>(&replica.url(), &replicate).await.is_err() {
                pause().await;
            }
        }
        cluster.await_whole().await;
        cluster
    }

    /// Waits until every node knows a master and a replica for every slot, and is connected to
    /// them.
    async fn await_whole(&self) {
        for node in &self.0 {
            loop {
                let info: String = node.ask(&words_of("CLUSTER INFO")).await;
                let slots: redis::Value = node.ask(&words_of("CLUSTER SLOTS")).await;
                // A range is its start, its end and two nodes.
                let is_whole = |range: &redis::Value| matches!(range, redis::Value::Array(parts) if parts.len() == 4);
                let whole = matches!(slots, redis::Value::Array(ranges)
                    if ranges.len() == MASTERS && ranges.iter().all(is_whole));
                let role: redis::Value = node.ask(&words_of("ROLE")).await;
                let in_touch = !format!("{role:?}").contains("connecting");
                if info.contains("cluster_state:ok") && whole && in_touch {
                    break;
                }
                pause().await;
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        let nodes: Vec<_> = self
            .0
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// All nodes, the masters first.
    pub(crate) fn nodes(&self) -> &[Server] {
        &self.0
    }

    /// Index of the original master that has the slot of a key.
    pub(crate) async fn master_of(&self, key: &[u8]) -> usize {
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("KEYSLOT").arg(key);
        let slot: usize = self.0[0].ask(&ask).await;
        usize::from(slot > 5460) + usize::from(slot > 10_922)
    }

    /// Kills a master once its replica has all writes.
    pub(crate) async fn kill(&mut self, master: usize) {
        let offset = async |node: usize| -> u64 {
            let info: String = self.0[node].ask(&words_of("INFO replication")).await;
            let field = info
                .lines()
                .find_map(|line| line.strip_prefix("master_repl_offset:"));
            field.unwrap().parse().unwrap()
        };
        let all = offset(master).await;
        while offset(MASTERS + master).await < all {
            pause().await;
        }
        let killed = &mut self.0[master].child;
        killed.kill().unwrap();
        killed.wait().unwrap();
    }

    /// Promotes the replica of a killed master.
    pub(crate) async fn promote(&mut self, master: usize) {
        let replica = self.0.remove(MASTERS + master);
        replica.tell("CLUSTER FAILOVER TAKEOVER").await;
        self.0[master] = replica;
    }
}

pub(crate) async fn ask<T: FromRedisValue>(url: &str, command: &Cmd) -> T {
    try_ask(url, command).await.unwrap()
}

async fn try_ask<T: FromRedisValue>(url: &str, command: &Cmd) -> redis::RedisResult<T> {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await?;
    command.query_async(&mut connection).await
}

pub(crate) fn words_of(words: &str) -> Cmd {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command
}

/// Pauses between two checks: servers in other processes have no event to await.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

/// A port below the range of outgoing connections, so that none of them takes it meanwhile. A
/// cluster's second port is 10000 higher.
pub(crate) fn free_port() -> u16 {
    let begin = 20_000 + u16::try_from(std::process::id() % 1000).unwrap() * 2;
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    loop {
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let port = begin + next;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}
