//! Users: some sign in and out all the time, some just stay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::book::{Book, Revoked, count, locked};
use super::client::{Client, Reply};
use super::machine::{Chance, Cluster, Node};
use super::{Failure, now_ms};

const LEAVERS: u64 = 6;
const BYSTANDERS: usize = 20;
/// Between two requests of a bystander at one node.
const PAUSE: Duration = Duration::from_millis(4);
/// A connected node that still accepts after this long has missed it.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5);

/// Somebody whose session nobody ends.
pub(super) struct Bystander {
    pub(super) access: Arc<str>,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: String,
}

pub(super) async fn sign_in_bystanders(cluster: &Cluster) -> Result<Arc<Vec<Bystander>>, Failure> {
    let mut bystanders = Vec::new();
    let mut client = Client::new();
    for number in 0..BYSTANDERS {
        let [node, ..] = &cluster.nodes;
        let tokens = log_in(&mut client, node, &format!("bystander-{number}")).await;
        bystanders.push(Bystander {
            access: tokens.ok_or("nobody can sign in")?.access_token.into(),
        });
    }
    Ok(Arc::new(bystanders))
}

async fn log_in(client: &mut Client, node: &Node, subject: &str) -> Option<Tokens> {
    let path = format!("/login/{subject}");
    let reply = client.post(node.address()?, &path, None, None).await.ok()?;
    serde_json::from_slice(&reply.body).ok()
}

/// The load, until stopped.
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Running {
    pub(super) async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await;
    }
}

pub(super) fn begin(
    cluster: &Arc<Cluster>,
    book: &Arc<Book>,
    bystanders: &Arc<Vec<Bystander>>,
    seed: u64,
) -> Running {
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for number in 0..LEAVERS {
        let leaver = Leaver {
            cluster: Arc::clone(cluster),
            book: Arc::clone(book),
            chance: Chance::new(seed ^ (number << 32) ^ 0x5eed),
            number,
            signing: Client::new(),
            checking: [Client::new(), Client::new(), Client::new()],
        };
        tasks.spawn(leaver.run(Arc::clone(&stop)));
    }
    for node in &cluster.nodes {
        let (node, book) = (Arc::clone(node), Arc::clone(book));
        let (bystanders, stop) = (Arc::clone(bystanders), Arc::clone(&stop));
        tasks.spawn(async move {
            let mut client = Client::new();
            for bystander in bystanders.iter().cycle() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                stay(&mut client, &node, bystander, &book).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    Running { stop, tasks }
}

/// A good token is never 401, and 200 on a node to which nothing was done.
async fn stay(client: &mut Client, node: &Node, bystander: &Bystander, book: &Book) {
    let stamp = node.stamp();
    let Some(address) = node.address() else {
        return;
    };
    let reply = client.get(address, "/me", &bystander.access).await;
    count(&book.verified);
    match reply {
        Ok(reply) if reply.status == 200 => {}
        Ok(reply) if reply.status == 401 => {
            book.violation(format!("{} refused a good token", node.name));
        }
        other => {
            if stamp.is_some_and(|stamp| node.still(stamp)) {
                let name = node.name;
                let what = other.map(|reply| reply.status);
                book.violation(format!("{name}, connected, for a good token: {what:?}"));
            }
        }
    }
}

/// Signs in and out again and again, at any nodes, and looks when the others know.
struct Leaver {
    cluster: Arc<Cluster>,
    book: Arc<Book>,
    chance: Chance,
    number: u64,
    signing: Client,
    checking: [Client; 3],
}

impl Leaver {
    async fn run(mut self, stop: Arc<AtomicBool>) {
        let mut turn = 0;
        while !stop.load(Ordering::SeqCst) {
            turn += 1;
            let subject = format!("leaver-{}-{turn}", self.number);
            let node = Arc::clone(self.cluster.pick(&mut self.chance));
            match log_in(&mut self.signing, &node, &subject).await {
                Some(tokens) => self.leave(&subject, tokens).await,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn leave(&mut self, subject: &str, tokens: Tokens) {
        let Some(how) = self.end(subject, &tokens).await else {
            count(&self.book.unacknowledged);
            return;
        };
        let acknowledged = Instant::now();
        let access: Arc<str> = tokens.access_token.into();
        self.book.acknowledged(Revoked {
            access: Arc::clone(&access),
            acknowledged_at: now_ms(),
            how,
        });
        let book = &self.book;
        let [a, b, c] = &mut self.checking;
        let [on_a, on_b, on_c] = &self.cluster.nodes;
        let (a, b, c) = tokio::join!(
            refused(a, on_a, &access, acknowledged, book),
            refused(b, on_b, &access, acknowledged, book),
            refused(c, on_c, &access, acknowledged, book),
        );
        if let Some(slowest) = [a, b, c].into_iter().flatten().max() {
            locked(&book.latencies).push(slowest);
        }
    }

    /// Ends the session one way or another; `None` if nobody acknowledges it. Whoever gets no
    /// answer asks another node, which may find it done.
    async fn end(&mut self, subject: &str, tokens: &Tokens) -> Option<&'static str> {
        let first = self.chance.below(20);
        for attempt in 0..20 {
            let node = Arc::clone(self.cluster.pick(&mut self.chance));
            let how = match (first, attempt) {
                (0..14, _) => "logout",
                // Once it may be done, its token can no longer ask for it.
                (14..17, 0) => "logout-all",
                _ => "end-all",
            };
            let reply = self.ask(&node, how, subject, tokens).await;
            if reply.is_some_and(|reply| reply.status == 204) {
                return Some(how);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    }

    async fn ask(
        &mut self,
        node: &Node,
        how: &str,
        subject: &str,
        tokens: &Tokens,
    ) -> Option<Reply> {
        let address = node.address()?;
        let (path, token, body) = match how {
            "logout" => {
                let body = serde_json::json!({ "refresh_token": tokens.refresh_token });
                ("/auth/logout".to_owned(), None, Some(body.to_string()))
            }
            "logout-all" => {
                let token = tokens.access_token.as_str();
                ("/auth/logout-all".to_owned(), Some(token), None)
            }
            _ => (format!("/end-all/{subject}"), None, None),
        };
        self.signing.post(address, &path, token, body).await.ok()
    }
}

/// How long it took until a node refused; `None` if something was done to it meanwhile.
async fn refused(
    client: &mut Client,
    node: &Node,
    access: &str,
    acknowledged: Instant,
    book: &Book,
) -> Option<Duration> {
    let stamp = node.stamp()?;
    loop {
        let reply = client.get(node.address()?, "/me", access).await;
        count(&book.verified);
        let took = acknowledged.elapsed();
        if !node.still(stamp) {
            return None;
        }
        match reply {
            Ok(reply) if reply.status == 401 => return Some(took),
            Ok(reply) if reply.status == 200 => {
                if took > GIVEN_UP_AFTER {
                    book.miss(format!("{} still accepts after {took:?}", node.name));
                    return Some(took);
                }
            }
            other => {
                let what = other.map(|reply| reply.status);
                book.violation(format!("{}, connected: {what:?}", node.name));
                return None;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
