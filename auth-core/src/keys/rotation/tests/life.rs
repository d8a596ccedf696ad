//! The life cycle of keys, on one node and on several.

use crate::keys::refresh::RefreshKeys;
use crate::keys::rotation::tests::*;
use crate::keys::{Algorithm, Key};
use crate::token::issuer::{AccessTokenRequest, Issuer};

#[tokio::test]
async fn f09_the_next_key_is_published_a_lead_before_it_signs_and_the_old_one_outlives_its_tokens()
{
    let (memory, clock) = (Memory::default(), clock());
    let mut node = start(&memory, &clock).await;
    let first = signing_id(&node).unwrap();

    clock.set(at(369));
    node.step().await.unwrap();
    assert_eq!(ids(&node).len(), 1);
    clock.set(at(370));
    node.step().await.unwrap();
    let second = ids(&node)[1].clone();
    assert_eq!(signing_id(&node).unwrap(), first);
    assert!(node.jwks().respond(&endpoint::get()).status() == 200);

    clock.set(at(1000));
    node.step().await.unwrap();
    assert_eq!(signing_id(&node).unwrap(), second);
    clock.set(at(1074));
    node.step().await.unwrap();
    assert_eq!(ids(&node), [first.clone(), second.clone()]);
    clock.set(at(1075));
    node.step().await.unwrap();
    assert_eq!(ids(&node), [second]);
    assert!(!memory.text().contains(&first));
}

#[tokio::test]
async fn f09_nodes_change_over_by_the_clock_without_reading_the_document() {
    let (memory, clock) = (Memory::default(), clock());
    let mut node = start(&memory, &clock).await;
    clock.set(at(370));
    node.step().await.unwrap();
    let second = ids(&node)[1].clone();
    memory.cut_off(true);
    clock.set(at(999));
    node.step().await.unwrap_err();
    assert_ne!(signing_id(&node).unwrap(), second);
    clock.set(at(1000 - 5));
    memory.cut_off(false);
    node.step().await.unwrap();
    memory.cut_off(true);
    clock.set(at(1000));
    node.step().await.unwrap_err();
    assert_eq!(signing_id(&node).unwrap(), second);
}

#[tokio::test]
async fn f09_tokens_of_every_key_are_accepted_on_every_node_as_long_as_they_live() {
    let (memory, clock) = (Memory::default(), clock());
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(start(&memory.for_another_node(), &clock).await);
    }
    let issuers: Vec<Issuer> = nodes
        .iter()
        .map(|node| {
            Issuer::for_issuer("https://issuer.example")
                .audience("https://api.example")
                .keys(node.keys())
                .and_then(|issuer| issuer.with_lifetime(secs(60)))
                .unwrap()
                .with_clock(clock.clone())
        })
        .collect();
    let mut outstanding: Vec<(u64, String)> = Vec::new();
    let mut used = std::collections::BTreeSet::new();
    for now in (0..3000).step_by(20) {
        clock.set(at(now));
        let turn = usize::try_from(now / 20).unwrap() % 3;
        // One node reads per turn, so that the others follow later.
        nodes[turn].step().await.unwrap();
        for (node, issuer) in nodes.iter().zip(&issuers) {
            node.check(issuer).unwrap();
            let request = AccessTokenRequest::for_subject("u");
            let token = issuer.mint(&request).await.unwrap();
            used.insert(signing_id(node).unwrap());
            outstanding.push((now + 57, token.expose().to_owned()));
        }
        outstanding.retain(|(ends, _)| *ends >= now);
        for issuer in &issuers {
            for (_, token) in &outstanding {
                assert!(accepts(issuer, token), "at {now}");
            }
        }
    }
    assert_eq!(used.len(), 3, "two rotations");
    assert!(memory.saves() < 12);
}

fn accepts(issuer: &Issuer, token: &str) -> bool {
    let authenticator = issuer.authenticator::<()>().build().unwrap();
    let guard = crate::guard::Guard::from(authenticator);
    let request = endpoint::Request::get().with("authorization", &format!("Bearer {token}"));
    matches!(
        guard.check(&request),
        crate::guard::verdict::Step::Done(crate::guard::verdict::Verdict::Pass(_))
    )
}

#[tokio::test]
async fn of_many_nodes_exactly_one_makes_each_key() {
    let (memory, clock) = (Memory::default(), clock());
    let starting: Vec<_> = (0..16)
        .map(|_| {
            let (memory, clock) = (memory.for_another_node(), clock.clone());
            tokio::spawn(async move { start(&memory, &clock).await })
        })
        .collect();
    let mut nodes = Vec::new();
    for node in starting {
        nodes.push(node.await.unwrap());
    }
    assert_eq!(memory.saves(), 1);
    assert!(nodes.iter().all(|node| ids(node) == ids(&nodes[0])));

    clock.set(at(400));
    let stepping: Vec<_> = nodes
        .into_iter()
        .map(|mut node| {
            tokio::spawn(async move {
                node.step().await.unwrap();
                node
            })
        })
        .collect();
    let mut nodes = Vec::new();
    for node in stepping {
        nodes.push(node.await.unwrap());
    }
    assert_eq!(memory.saves(), 2);
    assert_eq!(ids(&nodes[0]).len(), 2);
    assert!(nodes.iter().all(|node| ids(node) == ids(&nodes[0])));
}

#[tokio::test]
async fn a_save_whose_answer_was_lost_is_found_and_not_repeated() {
    #[derive(Debug)]
    struct Forgetful(Memory, AtomicBool);
    #[async_trait]
    impl KeyPersistence for Forgetful {
        async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
            self.0.load().await
        }
        async fn save(
            &self,
            expected: Option<u64>,
            document: &KeySet,
        ) -> Result<bool, PersistenceError> {
            self.0.save(expected, document).await?;
            match self.1.swap(false, Ordering::SeqCst) {
                true => Err(PersistenceError::new(PersistenceErrorKind::Unavailable)),
                false => Ok(true),
            }
        }
    }
    let memory = Memory::default();
    let forgetful = Arc::new(Forgetful(memory.clone(), AtomicBool::new(true)));
    let builder = || KeyRotation::builder(forgetful.clone(), schedule()).with_clock(clock());
    assert!(builder().start().await.is_err());
    let node = builder().start().await.unwrap();
    assert_eq!((memory.saves(), ids(&node).len()), (1, 1));
}

#[tokio::test]
async fn rekeying_replaces_every_signing_key_at_once_and_no_refresh_key() {
    let (memory, clock) = (Memory::default(), clock());
    let build = |memory: &Memory| {
        KeyRotation::builder(memory.for_another_node(), schedule())
            .with_refresh_keys(RefreshKeySchedule::for_longest_idle(secs(5000)))
            .with_clock(clock.clone())
            .start()
    };
    let (mut one, mut two) = (build(&memory).await.unwrap(), build(&memory).await.unwrap());
    let (before, refresh) = (ids(&one), refresh_ids(&one));
    one.rekey().await.unwrap();
    assert_eq!(ids(&one).len(), 1);
    assert_ne!(ids(&one), before);
    two.step().await.unwrap();
    assert_eq!(ids(&two), ids(&one));
    assert_eq!(signing_id(&two), signing_id(&one));
    assert_eq!(refresh_ids(&one), refresh);
}

fn refresh_ids(node: &KeyRotation) -> Vec<u8> {
    node.refresh_keys().unwrap().ids().collect()
}

#[tokio::test]
async fn rule_15_refresh_keys_verify_on_every_node_before_any_signs_and_stay_twice_the_idle_time() {
    let (memory, clock) = (Memory::default(), clock());
    let heard = Arc::new(Mutex::new(Vec::<Vec<u8>>::new()));
    let hear = heard.clone();
    let mut node = KeyRotation::builder(memory.clone(), schedule())
        .with_refresh_keys(RefreshKeySchedule::for_longest_idle(secs(3000)).with_period(secs(2000)))
        .with_first_refresh_key(41, &[1, 2].repeat(16))
        .unwrap()
        .with_clock(clock.clone())
        .start()
        .await
        .unwrap()
        .with_refresh_key_listener(move |keys: RefreshKeys| {
            hear.lock().unwrap().push(keys.ids().collect());
        });
    for now in (0..8001).step_by(10) {
        clock.set(at(now));
        node.step().await.unwrap();
        let ids = refresh_ids(&node);
        let expected: &[u8] = match now {
            0..1370 => &[41],
            1370..2000 => &[41, 42],
            2000..3370 => &[42, 41],
            3370..4000 => &[42, 41, 43],
            4000..5370 => &[43, 41, 42],
            5370..6000 => &[43, 41, 42, 44],
            6000..7370 => &[44, 41, 42, 43],
            7370..8000 => &[44, 41, 42, 43, 45],
            _ => &[45, 42, 43, 44],
        };
        assert_eq!(ids, expected, "at {now}");
    }
    assert_eq!(heard.lock().unwrap().len(), 9);
}

#[tokio::test]
async fn a_key_from_before_signs_on_until_its_successor_does() {
    let (memory, clock) = (Memory::default(), clock());
    let (_, jwk) = Key::generate("from-before", Algorithm::Hs256).unwrap();
    let mut node = KeyRotation::builder(memory, schedule())
        .with_first_key(jwk.expose())
        .unwrap()
        .with_clock(clock.clone())
        .start()
        .await
        .unwrap();
    assert_eq!(ids(&node), ["from-before"]);
    clock.set(at(370));
    node.step().await.unwrap();
    clock.set(at(1000));
    node.step().await.unwrap();
    let ring = node.keys().load();
    assert_eq!(ring.signing_key().unwrap().algorithm(), Algorithm::Es256);
    assert_eq!(ids(&node).len(), 2);
}

#[tokio::test]
async fn an_issuer_whose_tokens_outlive_their_keys_is_refused() {
    let node = start(&Memory::default(), &clock()).await;
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(node.keys())
        .unwrap();
    assert_eq!(node.check(&issuer).unwrap_err().setting(), "key schedule");
    node.check(&issuer.with_lifetime(secs(60)).unwrap())
        .unwrap();
}

#[tokio::test]
async fn nodes_with_different_clocks_keep_the_stores_time() {
    let memory = Memory {
        store_clock: Some(clock()),
        ..Memory::default()
    };
    let ahead = Arc::new(ManualClock::at(at(1_000_000)));
    let behind = Arc::new(ManualClock::at(NOW.saturating_sub(secs(1_000_000))));
    let mut one = start(&memory, &ahead).await;
    let mut two = start(&memory, &behind).await;
    for now in [370, 1000] {
        memory.store_clock.as_ref().unwrap().set(at(now));
        one.step().await.unwrap();
        two.step().await.unwrap();
        assert_eq!(ids(&one).len(), 2);
        assert_eq!(ids(&one), ids(&two));
        assert_eq!(signing_id(&one), signing_id(&two));
    }
    assert_eq!(memory.saves(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_task_rotates_and_ends_when_it_is_dropped() {
    let (memory, clock) = (Memory::default(), clock());
    let node = start(&memory, &clock).await;
    let (keys, health) = (node.keys(), node.health());
    let task = tokio::spawn(node.run());
    clock.set(at(500));
    // The paused clock jumps to the task's next wake-up.
    while keys.load().iter().count() == 1 {
        tokio::time::sleep(secs(1)).await;
    }
    assert_eq!(health.read_at(), at(500));
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    clock.set(at(2000));
    tokio::time::sleep(secs(100)).await;
    assert_eq!(memory.saves(), 2);
}
