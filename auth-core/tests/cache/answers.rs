//! An authenticator with a cache gives the same results as one without, in every history.

use std::sync::Arc;
use std::time::Duration;

use auth_core::revocation::{Revocation, Revocations, StalePolicy};
use auth_core::session::SessionId;
use auth_core::source::{BearerHeader, TokenSource};
use auth_core::testing::{ManualClock, TokenForge};
use auth_core::{Authenticator, Guard, Key, KeyRing, KeySource, TrustedIssuer};
use proptest::prelude::*;

use crate::world::{Counting, Head, Private, START, Said, WholeCookie, ask, builder, clock};

const TOKENS: usize = 12;
const OTHER: &str = "https://other.example";

/// The steps of a history.
#[derive(Clone, Debug)]
enum Event {
    Ask {
        token: usize,
        guard: usize,
        by: By,
    },
    /// The clock moves by this number of seconds, forward or back.
    Clock(i64),
    /// The keys in the ring, as bits. Zero changes nothing.
    Ring(u8),
    OtherRing(u8),
    EndSession(u8),
    RaiseEpoch(u64),
}

#[derive(Clone, Copy, Debug)]
enum By {
    Header,
    Cookie,
    CookieFromAfar,
    /// A token with one altered byte.
    Altered(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let by = prop_oneof![
        4 => Just(By::Header),
        2 => Just(By::Cookie),
        1 => Just(By::CookieFromAfar),
        1 => any::<usize>().prop_map(By::Altered),
    ];
    let event = prop_oneof![
        20 => (0..TOKENS, 0..5_usize, by)
            .prop_map(|(token, guard, by)| Event::Ask { token, guard, by }),
        2 => (-400..400_i64).prop_map(Event::Clock),
        1 => (0..8_u8).prop_map(Event::Ring),
        1 => (0..4_u8).prop_map(Event::OtherRing),
        1 => (0..4_u8).prop_map(Event::EndSession),
        1 => (0..4_u64).prop_map(Event::RaiseEpoch),
    ];
    proptest::collection::vec(event, 1..120)
}

struct Node {
    guards: [Guard<Private>; 5],
}

impl Node {
    fn new(world: &World, cache: usize) -> Self {
        let sources: [Arc<dyn TokenSource>; 2] = [Arc::new(BearerHeader), Arc::new(WholeCookie)];
        let other = TrustedIssuer::for_issuer(OTHER)
            .audience("https://api.example")
            .keys(world.other_keys.clone());
        let auth: Arc<Authenticator<Private>> = builder(world.keys.clone(), &world.clock)
            .with_issuer(other)
            .with_sources(sources)
            .with_revocations(world.revocations.clone())
            .with_cache_size(cache)
            .build()
            .unwrap();
        let open = auth.guard();
        let guards = [
            open.clone(),
            open.clone().with_anonymous(),
            open.clone().require_scope("read").unwrap(),
            open.clone().require_role("chief"),
            open.require_max_age(Duration::from_secs(120)),
        ];
        Self { guards }
    }
}

/// The shared parts of both nodes.
struct World {
    clock: Arc<ManualClock>,
    counting: [Counting; 3],
    keys: KeySource,
    other_keys: KeySource,
    revocations: Revocations,
    tokens: Vec<String>,
}

const KIDS: [&str; 3] = ["a", "b", "c"];

impl World {
    fn new() -> Self {
        let clock = clock();
        let counting = [1, 2, 3].map(Counting::new);
        let ring = |bits| ring(&counting, bits).unwrap();
        Self {
            keys: KeySource::from(ring(7)),
            other_keys: KeySource::from(ring(1)),
            revocations: Revocations::new(StalePolicy::FailOpen, clock.clone()),
            tokens: (0..TOKENS).map(|n| token(&counting, n)).collect(),
            clock,
            counting,
        }
    }

    fn happen(&self, event: &Event) {
        match *event {
            Event::Ask { .. } => {}
            Event::Clock(seconds) if seconds < 0 => {
                self.clock
                    .step_back(Duration::from_secs(seconds.unsigned_abs()));
            }
            Event::Clock(seconds) => {
                self.clock
                    .advance(Duration::from_secs(seconds.unsigned_abs()));
            }
            Event::Ring(bits) => {
                if let Some(ring) = ring(&self.counting, bits) {
                    self.keys.replace(ring);
                }
            }
            Event::OtherRing(bits) => {
                if let Some(ring) = ring(&self.counting, bits) {
                    self.other_keys.replace(ring);
                }
            }
            Event::EndSession(n) => self.revocations.add(&Revocation::Session {
                id: session(n),
                until: START.saturating_add(Duration::from_secs(2000)),
            }),
            Event::RaiseEpoch(lowest_subject_version) => {
                self.revocations.add(&Revocation::Subject {
                    subject: "user-1".into(),
                    lowest_subject_version,
                    until: START.saturating_add(Duration::from_secs(2000)),
                })
            }
        }
    }

    fn head(&self, token: usize, by: By) -> Head {
        let token = &self.tokens[token];
        match by {
            By::Header => Head::bearer(token),
            By::Cookie => Head::cookie(token),
            By::CookieFromAfar => Head::cookie(token).posted("cross-site"),
            By::Altered(at) => {
                let mut bytes = token.clone().into_bytes();
                let at = at % bytes.len();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                Head::bearer(std::str::from_utf8(&bytes).unwrap())
            }
        }
    }
}

fn ring(counting: &[Counting; 3], bits: u8) -> Option<KeyRing> {
    let chosen = (0..3_usize).filter(|n| bits & (1 << n) != 0);
    let keys: Vec<Key> = chosen.map(|n| counting[n].key(KIDS[n])).collect();
    KeyRing::new(keys).ok()
}

fn session(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

/// Tokens of all kinds: of three keys and two issuers, with and without `kid`, short-lived and not
/// yet valid, and one that is never valid.
fn token(counting: &[Counting; 3], n: usize) -> String {
    let key = n % 3;
    let forge: TokenForge = counting[key]
        .forge(KIDS[key], START)
        .claim("jti", format!("{n}"))
        .claim("tenant", format!("tenant {n}"))
        .claim("sid", session(n as u8 % 4).to_string())
        .claim("epo", n as u64 % 3)
        .claim("auth_time", START.as_secs());
    match n {
        0 => forge.without_header("kid"),
        1 => forge.claim("exp", START.as_secs() + 100),
        2 => forge.claim("nbf", START.as_secs() + 100),
        3 => forge.claim("iss", OTHER),
        4 => forge.claim("iss", OTHER).without_header("kid"),
        5 => forge.claim("aud", "https://elsewhere.example"),
        6 | 7 => forge.claim("scope", "read").claim("roles", ["chief"]),
        _ => forge,
    }
    .mint()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn i5_answers_with_the_cache_are_the_answers_without(events in events()) {
        let world = World::new();
        let without = Node::new(&world, 0);
        // One cache is so small that tokens displace each other, the other has room for all.
        let with = [Node::new(&world, 3), Node::new(&world, 100)];
        for (step, event) in events.iter().enumerate() {
            world.happen(event);
            if let Event::Ask { token, guard, by } = *event {
                let head = world.head(token, by);
                let expected = ask(&without.guards[guard], &head);
                for node in &with {
                    prop_assert_eq!(&ask(&node.guards[guard], &head), &expected, "step {}", step);
                }
            }
        }
    }
}

/// The property is meaningful only if the cache is hit.
#[test]
fn the_cache_is_in_use_in_such_a_world() {
    let world = World::new();
    let node = Node::new(&world, 100);
    let good = (0..TOKENS).filter(|token| {
        let head = world.head(*token, By::Header);
        let said = ask(&node.guards[0], &head);
        let before: usize = world.counting.iter().map(Counting::count).sum();
        assert_eq!(ask(&node.guards[0], &head), said);
        let after: usize = world.counting.iter().map(Counting::count).sum();
        matches!(said, Said::Yes(..)) && after == before
    });
    assert!(good.count() >= 8);
}
