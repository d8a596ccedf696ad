//! The load: tokens minted here and used there, refreshes, and tries with keys of the past.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use auth_core::testing::TokenForge;
use auth_core::{Clock, Key, KeySource, Timestamp};
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::keys::{self, Pace, Store};
use super::node::{Node, Settings};
use super::remote::OtherService;
use super::{Counts, add};
use crate::cluster::Failure;
use crate::cluster::client::Client;

const MINTERS: usize = 3;
const REFRESHERS: usize = 2;
/// The rest that each client takes between two rounds: the machine is to be busy, not swamped.
const REST: Duration = Duration::from_millis(4);
/// A token is used up to so long before its end, and must be refused so long after it.
const AROUND_THE_END: Duration = Duration::from_millis(300);

/// What the clients share.
struct World {
    settings: Settings,
    clock: Arc<dyn Clock>,
    nodes: [SocketAddr; 3],
    turn: AtomicUsize,
    counts: Arc<Counts>,
    over: AtomicBool,
}

impl World {
    /// The next node.
    fn node(&self) -> SocketAddr {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let [a, b, c] = self.nodes;
        match turn % 3 {
            0 => a,
            1 => b,
            _ => c,
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// So long by the machine's clock, in the time of the nodes.
    fn real(&self, duration: Duration) -> Duration {
        match self.settings.pace {
            Pace::Real => duration,
            Pace::Lapse => duration.saturating_mul(super::LAPSE),
        }
    }
}

pub(super) async fn run(
    nodes: &[Node; 3],
    settings: &Settings,
    counts: &Arc<Counts>,
    lasts: Duration,
) -> Result<(), Failure> {
    let [a, b, c] = nodes;
    let world = Arc::new(World {
        settings: settings.clone(),
        clock: settings.clock(),
        nodes: [a.address, b.address, c.address],
        turn: AtomicUsize::new(0),
        counts: Arc::clone(counts),
        over: AtomicBool::new(false),
    });
    let other = match settings.pace {
        Pace::Real => None,
        Pace::Lapse => Some(Arc::new(OtherService::start(settings, a.address).await?)),
    };
    // This process reads the shared keys too, as a fourth node would: an intruder who once could.
    let rotation = Store::open(settings).await?.rotation(settings).await?;
    let keys = rotation.keys();
    let rotating = tokio::spawn(keys::rotate(rotation, settings.pace));
    let mut clients = JoinSet::new();
    for _ in 0..MINTERS {
        clients.spawn(mint_and_use(Arc::clone(&world), other.clone()));
    }
    if settings.pace == Pace::Real {
        for _ in 0..REFRESHERS {
            clients.spawn(refresh(Arc::clone(&world)));
        }
    }
    clients.spawn(use_old_keys(Arc::clone(&world), keys));
    tokio::time::sleep(lasts).await;
    world.over.store(true, Ordering::Relaxed);
    clients.join_all().await;
    rotating.abort();
    if let Some(other) = other {
        other.end(counts);
    }
    Ok(())
}

/// Mints on one node, uses the token on the others for as long as it lives, and once more.
async fn mint_and_use(world: Arc<World>, other: Option<Arc<OtherService>>) {
    let counts = &world.counts;
    let mut client = Client::new();
    let mut kept: Option<(String, Timestamp)> = None;
    while !world.is_over() {
        let minted = client.post(world.node(), "/mint", None, None).await;
        let token = match minted {
            Ok(reply) if reply.status == 200 => String::from_utf8_lossy(&reply.body).into_owned(),
            _ => {
                add(&counts.unanswered);
                continue;
            }
        };
        add(&counts.minted);
        if let Some(other) = &other {
            other.verify(&token, counts);
        }
        good(&world, &mut client, &token).await;
        // One in hand is used again and again, up to its end and after it.
        match &kept {
            None => kept = ends_at(&token).map(|end| (token, end)),
            Some((token, end)) => {
                let around = world.real(AROUND_THE_END);
                let last = end.saturating_add(world.settings.pace.leeway());
                let now = world.clock.now();
                if now.saturating_add(around) < *end {
                    if let Some(other) = &other {
                        other.verify(token, counts);
                    }
                    good(&world, &mut client, token).await;
                } else if now > last.saturating_add(around) {
                    match status(&mut client, world.node(), token).await {
                        Some(200) => add(&counts.outlived),
                        Some(401) => add(&counts.expired),
                        _ => add(&counts.unanswered),
                    }
                    kept = None;
                }
            }
        }
        tokio::time::sleep(REST).await;
    }
}

/// Uses a token that must be good.
async fn good(world: &World, client: &mut Client, token: &str) {
    match status(client, world.node(), token).await {
        Some(200) => add(&world.counts.accepted),
        Some(401) => add(&world.counts.refused),
        _ => add(&world.counts.unanswered),
    }
}

async fn status(client: &mut Client, node: SocketAddr, token: &str) -> Option<u16> {
    let reply = client.get(node, "/me", token).await.ok()?;
    Some(reply.status.as_u16())
}

/// The token's `exp`.
fn ends_at(token: &str) -> Option<Timestamp> {
    let payload = URL_SAFE_NO_PAD
        .decode_to_vec(token.split('.').nth(1)?)
        .ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    Some(Timestamp::from_secs(claims.get("exp")?.as_i64()?))
}

/// Signs in and stays signed in, while the keys of the refresh tokens come and go.
async fn refresh(world: Arc<World>) {
    let counts = &world.counts;
    let mut client = Client::new();
    let mut token: Option<String> = None;
    while !world.is_over() {
        let (path, body) = match &token {
            None => ("/login", None),
            Some(token) => {
                let body = json!({ "refresh_token": token }).to_string();
                ("/auth/refresh", Some(body))
            }
        };
        match client.post(world.node(), path, None, body).await {
            Ok(reply) if reply.status == 200 => {
                if token.is_some() {
                    add(&counts.refreshed);
                }
                let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                let next = body.get("refresh_token").and_then(Value::as_str);
                token = next.map(str::to_owned).or(token);
            }
            Ok(reply) if reply.status == 400 => {
                add(&counts.refresh_refused);
                token = None;
            }
            _ => add(&counts.unanswered),
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// Notes each key while it signs, and makes tokens with it for ever after.
async fn use_old_keys(world: Arc<World>, shared: KeySource) {
    let counts = &world.counts;
    let mut client = Client::new();
    let mut seen: Vec<Old> = Vec::new();
    while !world.is_over() {
        let ring = shared.load();
        let now = world.clock.now();
        if let Some(key) = ring.signing_key()
            && !seen.iter().any(|old| old.key.id() == key.id())
        {
            add(&counts.keys);
            forge(&world, &mut client, key, true).await;
            seen.push(Old {
                key: key.clone(),
                gone_at: None,
            });
        }
        for old in &mut seen {
            let gone = ring.get(old.key.id()).is_none();
            let gone_at = old.gone_at.get_or_insert(now);
            if !gone {
                old.gone_at = None;
            } else if now > gone_at.saturating_add(world.real(AROUND_THE_END)) {
                forge(&world, &mut client, &old.key, false).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Old {
    key: Key,
    gone_at: Option<Timestamp>,
}

/// A token whose key alone decides what becomes of it.
async fn forge(world: &World, client: &mut Client, key: &Key, is_current: bool) {
    let counts = &world.counts;
    let now = world.clock.now();
    let ends = now.saturating_add(world.settings.pace.lifetime());
    let token = TokenForge::new(key, now)
        .claim("exp", ends.as_secs())
        .mint();
    let status = status(client, world.node(), &token).await;
    add(match (status, is_current) {
        (Some(200), true) => &counts.current,
        (Some(401), true) => &counts.current_refused,
        (Some(200), false) => &counts.retired_accepted,
        (Some(401), false) => &counts.retired,
        _ => &counts.unanswered,
    });
}
