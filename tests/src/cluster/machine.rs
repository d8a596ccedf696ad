//! The processes: three nodes, each behind a proxy to the store.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auth_core::{Algorithm, Key};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::Instant;

use super::client::Client;
use super::node::{Flavour, Settings, Status};
use super::proxy::Proxy;
use super::server::Server;
use super::{Failure, Plan};

/// The bound of the nodes that fail closed.
pub(super) const BOUND: Duration = Duration::from_secs(4);
const STARTED_WITHIN: Duration = Duration::from_secs(30);
const KEPT_LINES: usize = 200;

pub(super) struct Cluster {
    pub(super) nodes: [Arc<Node>; 3],
    pub(super) store: tokio::sync::Mutex<Server>,
}

impl Cluster {
    pub(super) async fn start(store: Server, plan: Plan) -> Result<Self, Failure> {
        let (_, signing_key) = Key::generate("k1", Algorithm::Es256)?;
        // Longer than the run, so that nothing is refused for its age.
        let access = plan.faults_for.max(Duration::from_secs(600)) * 2;
        let start = async |name, flavour, fails_closed| -> Result<Arc<Node>, Failure> {
            let proxy = Proxy::start(([127, 0, 0, 1], store.port()).into()).await?;
            let settings = Settings {
                flavour,
                store: store.url_at(proxy.port()),
                closed_after_ms: None,
                access_s: access.as_secs(),
                signing_key: signing_key.expose().to_owned(),
                refresh_key: "cmVmcmVzaCBrZXkgb2YgdGhlIGNsdXN0ZXIgdGVzdHM".to_owned(),
            };
            let node = Arc::new(Node::new(name, settings, proxy, fails_closed));
            node.launch().await?;
            node.mend();
            Ok(node)
        };
        let nodes = [
            start("A", Flavour::Axum, true).await?,
            start("B", Flavour::Axum, false).await?,
            start("C", Flavour::Actix, true).await?,
        ];
        Ok(Self {
            nodes,
            store: tokio::sync::Mutex::new(store),
        })
    }

    /// A node by chance.
    pub(super) fn pick(&self, chance: &mut Chance) -> &Arc<Node> {
        let [a, b, c] = &self.nodes;
        match chance.below(3) {
            0 => a,
            1 => b,
            _ => c,
        }
    }
}

/// Says that nothing was done to a node from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64);

pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) proxy: Proxy,
    settings: Settings,
    fails_closed: AtomicBool,
    /// Odd while something is wrong with it.
    troubles: AtomicU64,
    process: Mutex<Option<Process>>,
    log: Arc<Mutex<VecDeque<String>>>,
}

struct Process {
    child: Child,
    address: SocketAddr,
    /// The node ends when this is closed.
    _alive: ChildStdin,
}

impl Node {
    fn new(name: &'static str, settings: Settings, proxy: Proxy, fails_closed: bool) -> Self {
        Self {
            name,
            proxy,
            settings,
            fails_closed: AtomicBool::new(fails_closed),
            troubles: AtomicU64::new(1),
            process: Mutex::new(None),
            log: Arc::default(),
        }
    }

    /// Starts the process and waits until it listens.
    pub(super) async fn launch(&self) -> Result<(), Failure> {
        let mut settings = self.settings.clone();
        if self.fails_closed() {
            settings.closed_after_ms = u64::try_from(BOUND.as_millis()).ok();
        }
        let mut child = Command::new(std::env::current_exe()?)
            .arg("node")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("a node has no standard streams".into());
        };
        let mut line = serde_json::to_string(&settings)?;
        line.push('\n');
        stdin.write_all(line.as_bytes()).await?;
        self.keep_log(BufReader::new(stderr));
        let mut first = String::new();
        let mut out = BufReader::new(stdout);
        let read = tokio::time::timeout(STARTED_WITHIN, out.read_line(&mut first)).await;
        if !matches!(read, Ok(Ok(1..))) {
            let name = self.name;
            return Err(format!("node {name} does not start: {:?}", self.log_text()).into());
        }
        let process = Process {
            child,
            address: first.trim().parse()?,
            _alive: stdin,
        };
        *self.process() = Some(process);
        Ok(())
    }

    fn keep_log(&self, err: BufReader<tokio::process::ChildStderr>) {
        let log = Arc::clone(&self.log);
        tokio::spawn(async move {
            let mut lines = err.lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                if log.len() == KEPT_LINES {
                    log.pop_front();
                }
                log.push_back(line);
            }
        });
    }

    /// SIGKILL.
    pub(super) async fn kill(&self) -> Result<(), Failure> {
        let process = self.process().take();
        if let Some(mut process) = process {
            process.child.kill().await?;
        }
        Ok(())
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it listens; `None` while it is dead.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.process().as_ref().map(|process| process.address)
    }

    pub(super) fn fails_closed(&self) -> bool {
        self.fails_closed.load(Ordering::SeqCst)
    }

    /// What the next process will do when it is stale.
    pub(super) fn set_fails_closed(&self, fails_closed: bool) {
        self.fails_closed.store(fails_closed, Ordering::SeqCst);
    }

    /// The last lines of its log, which then begins anew.
    pub(super) fn log_text(&self) -> String {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.drain(..).collect::<Vec<_>>().join("\n")
    }

    /// Something is about to be done to it.
    pub(super) fn harm(&self) {
        self.troubles.fetch_or(1, Ordering::SeqCst);
    }

    /// It has caught up.
    pub(super) fn mend(&self) {
        let before = self.troubles.load(Ordering::SeqCst);
        self.troubles.store((before | 1) + 1, Ordering::SeqCst);
    }

    /// `None` while something is wrong with it.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let troubles = self.troubles.load(Ordering::SeqCst);
        (troubles & 1 == 0).then_some(Stamp(troubles))
    }

    /// Whether nothing was done to it since.
    pub(super) fn still(&self, stamp: Stamp) -> bool {
        self.stamp() == Some(stamp)
    }

    pub(super) async fn status(&self) -> Option<Status> {
        let reply = Client::new().get(self.address()?, "/status", "").await;
        serde_json::from_slice(&reply.ok()?.body).ok()
    }

    /// Waits until it says that it knows everything from before `moment`.
    pub(super) async fn caught_up(&self, moment: i64) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let status = self.status().await;
            if status.and_then(|status| status.complete_at_ms) > Some(moment) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let name = self.name;
        Err(format!("node {name} does not catch up: {}", self.log_text()).into())
    }
}

/// xorshift64*: the same seed, the same run, as far as the machine allows.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to.saturating_sub(from)))
    }
}
