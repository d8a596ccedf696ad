//! Three nodes with different clocks, one of them disconnected for a while, and verifiers behind a
//! cache. No verifier meets an unknown key, and no key outlives its time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::keys::rotation::document::Keys;
use crate::keys::rotation::tests::*;

const NODES: usize = 3;
const LASTS: u64 = 3000;
/// Maximum clock difference. With a delay of up to one second for each node and verifier it is less
/// than the margin.
const APART: u64 = 8;

#[derive(Clone, Debug)]
struct Case {
    skew: Vec<u64>,
    late: Vec<u64>,
    cut_off: (usize, u64, u64),
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec(0..=APART, NODES + 1),
        prop::collection::vec(0..=50u64, NODES),
        (0..NODES, 0..LASTS, 0..1600u64),
        any::<u64>(),
    )
        .prop_map(|(skew, late, cut_off, seed)| Case {
            skew,
            late,
            cut_off,
            seed,
        })
}

struct Node {
    rotation: KeyRotation,
    clock: Arc<ManualClock>,
    memory: Memory,
    skew: u64,
    wakes_at: u64,
}

/// A service that has a copy of the JWKS document.
struct Verifier {
    kids: BTreeSet<String>,
    fetches_at: u64,
    late: u64,
}

struct Token {
    kid: String,
    /// Expiry by the clock of the issuing node.
    expires: u64,
}

struct World {
    nodes: Vec<Node>,
    verifiers: Vec<Verifier>,
    /// An HTTP cache in between: time and content of its copy.
    cache: Option<(u64, BTreeSet<String>)>,
    tokens: Vec<Token>,
    /// All keys so far, by the time from which they sign.
    history: BTreeMap<Timestamp, String>,
    memory: Memory,
    random: u64,
}

impl World {
    async fn new(case: &Case) -> Self {
        let memory = Memory::default();
        let mut nodes = Vec::new();
        for skew in case.skew.iter().take(NODES) {
            let clock = Arc::new(ManualClock::at(at(*skew)));
            let memory = memory.for_another_node();
            let rotation = start(&memory, &clock).await;
            nodes.push(Node {
                rotation,
                clock,
                memory,
                skew: *skew,
                wakes_at: 1,
            });
        }
        let verifiers = case
            .late
            .iter()
            .map(|late| Verifier {
                kids: BTreeSet::new(),
                fetches_at: 0,
                late: *late,
            })
            .collect();
        Self {
            nodes,
            verifiers,
            cache: None,
            tokens: Vec::new(),
            history: BTreeMap::new(),
            memory,
            random: case.seed,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.random >> 33).unwrap() % end
    }

    async fn nodes_follow(&mut self, now: u64, case: &Case) {
        let (cut_off, from, lasts) = case.cut_off;
        for (index, node) in self.nodes.iter_mut().enumerate() {
            node.clock.set(at(now + node.skew));
            let away = index == cut_off && (from..from + lasts).contains(&now);
            node.memory.cut_off(away);
            if now >= node.wakes_at {
                assert_eq!(node.rotation.step().await.is_err(), away);
                let pause = node.rotation.pause(u32::from(away)).as_secs_f64();
                node.wakes_at = now + (pause.ceil() as u64).max(1);
            }
        }
        let kept = self.memory.kept.lock().unwrap().clone().unwrap();
        for entry in Keys::decode(&kept.1).unwrap().signing {
            self.history.insert(entry.signs_from, entry.id.into());
        }
    }

    fn verifiers_fetch(&mut self, now: u64) {
        for index in 0..self.verifiers.len() {
            if now < self.verifiers[index].fetches_at {
                continue;
            }
            if self
                .cache
                .as_ref()
                .is_none_or(|(since, _)| now >= since + 300)
            {
                let first = self.below(NODES);
                let answer = (0..NODES)
                    .map(|step| &self.nodes[(first + step) % NODES].rotation)
                    .map(|rotation| rotation.jwks().respond(&endpoint::get()))
                    .find(|answer| answer.status() == 200)
                    .unwrap();
                let set: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
                let kids = set["keys"].as_array().unwrap().iter();
                let kids = kids.map(|key| key["kid"].as_str().unwrap().to_owned());
                self.cache = Some((now, kids.collect()));
            }
            let verifier = &mut self.verifiers[index];
            verifier.kids.clone_from(&self.cache.as_ref().unwrap().1);
            // 80 % of the max-age, plus the duration of a retry.
            verifier.fetches_at = now + 240 + verifier.late;
        }
    }

    fn a_node_mints(&mut self, now: u64) {
        let index = self.below(NODES);
        let node = &self.nodes[index];
        if let Some(kid) = signing_id(&node.rotation) {
            let expires = now + node.skew + 60;
            self.tokens.push(Token { kid, expires });
        }
    }

    fn check(&mut self, now: u64, verifier_skew: u64) -> Result<(), TestCaseError> {
        self.tokens.retain(|token| token.expires + 5 > now);
        for node in &self.nodes {
            // A node that was disconnected for a whole lead cannot know.
            let knows = node.rotation.health().age() < schedule().lead() - secs(APART);
            let ring = node.rotation.keys().load();
            for token in &self.tokens {
                let valid = now + node.skew < token.expires + 5;
                prop_assert!(
                    !valid || !knows || ring.get(&token.kid).is_some(),
                    "at {now}"
                );
            }
            for key in ring.iter() {
                let mut later = self.history.iter().skip_while(|(_, id)| *id != key.id());
                if let Some((signs, _)) = later.nth(1) {
                    let gone = signs.saturating_add(secs(75 + APART + 1));
                    prop_assert!(at(now) <= gone, "{} at {now}", key.id());
                }
            }
        }
        for verifier in &self.verifiers {
            for token in &self.tokens {
                let valid = now + verifier_skew < token.expires + 5;
                prop_assert!(!valid || verifier.kids.contains(&token.kid), "at {now}");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn f09_no_verifier_meets_an_unknown_key_and_no_key_outlives_its_time(case in cases()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new(&case).await;
            for now in 0..LASTS {
                world.nodes_follow(now, &case).await;
                world.verifiers_fetch(now);
                world.a_node_mints(now);
                world.check(now, case.skew[NODES])?;
            }
            prop_assert!(world.history.len() >= 3, "no rotation took place");
            Ok(())
        })?;
    }
}
