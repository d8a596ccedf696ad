use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::metrics::{METRICS, MetricKind, describe};
use auth_core::revocation::{Follower, Revocations, StalePolicy};
use auth_core::rotation::{KeyRotation, KeySchedule};
use auth_core::session::{ClientInfo, EndedBy, LoginRequest, RefreshOutcome};
use auth_core::store::{
    KeyPersistence, KeySet, LoadedKeys, OpenedStore, PersistenceError, Store, StoreError,
};
use auth_core::testing::{Fault, MemoryStore, StoreOp};
use auth_core::{AccessTokenRequest, Auth, Authenticator, Guard};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::issuers::{ISSUER, Publisher, Shelf, fetched};
use crate::world::{World, issuer, join_all, refresh_text};

/// `name` or `name{label=value,…}`, and the value. For a histogram, the number of values and the
/// last one.
type Recorded = BTreeMap<String, Vec<f64>>;

fn watch<F: Future<Output = ()>>(work: F) -> (Recorded, Vec<(String, MetricKind, Vec<String>)>) {
    let recorder = DebuggingRecorder::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        describe();
        runtime.block_on(work);
    });
    let (mut seen, mut forms) = (Recorded::new(), Vec::new());
    for (key, _, _, value) in recorder.snapshotter().snapshot().into_vec() {
        let (_, key) = key.into_parts();
        let mut name = key.name().to_owned();
        let labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let (kind, values) = match value {
            // A metric that was only described has no key, so it is missing here.
            DebugValue::Counter(count) => (MetricKind::Counter, vec![count as f64]),
            DebugValue::Gauge(value) => (MetricKind::Gauge, vec![value.into_inner()]),
            DebugValue::Histogram(values) => (
                MetricKind::Histogram,
                values.into_iter().map(|value| value.into_inner()).collect(),
            ),
        };
        // A counter at zero was only started.
        if kind != MetricKind::Counter || values != [0.0] {
            forms.push((name.clone(), kind, labels.clone()));
        }
        if !labels.is_empty() {
            name = format!("{name}{{{}}}", labels.join(","));
        }
        seen.insert(name, values);
    }
    (seen, forms)
}

fn value(seen: &Recorded, name: &str) -> f64 {
    match seen.get(name).map(Vec::as_slice) {
        Some([value]) => *value,
        None => 0.0,
        Some(values) => panic!("{name}: {values:?}"),
    }
}

struct Head(Option<String>);

impl RequestView for Head {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if let (Some(value), "authorization") = (&self.0, name) {
            visit(value.as_bytes());
        }
    }
}

#[test]
fn what_is_rare_is_counted_from_zero() {
    let (seen, counted) = watch(async {});
    assert!(counted.is_empty());
    for name in [
        "auth_key_failures_total",
        "auth_reuse_total{cause=orphan}",
        "auth_reuse_total{cause=recent_predecessor}",
        "auth_reuse_total{cause=stale}",
        "auth_revoked_total{reason=logout}",
        "auth_unavailable_total{kind=store}",
    ] {
        assert_eq!(seen.get(name), Some(&vec![0.0]), "{name}");
    }
}

async fn requests() {
    let world = World::new();
    let issuer = issuer(&world.clock);
    let auth: Arc<Authenticator<()>> = issuer
        .authenticator()
        .with_clock(world.clock.clone())
        .build()
        .unwrap();
    let guard = Guard::from(auth);
    let passes = |token: Option<&str>| {
        let head = Head(token.map(|token| format!("Bearer {token}")));
        matches!(guard.check(&head), Step::Done(Verdict::Pass(_)))
    };
    let ada = AccessTokenRequest::for_subject("ada");
    let token = issuer.mint(&ada).await.unwrap().expose().to_owned();
    for _ in 0..65 {
        assert!(passes(Some(&token)));
    }
    assert!(!passes(None));
    let (body, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{body}.{}", "A".repeat(43));
    assert!(!passes(Some(&forged)));
    assert!(!passes(Some("not.a.token")));
    world.advance(3600);
    assert!(!passes(Some(&token)));
}

#[test]
fn tokens_are_counted_by_what_came_of_them_and_hits_by_the_lot() {
    let (seen, _) = watch(requests());
    for (outcome, count) in [("accepted", 1.0), ("signature", 1.0), ("expired", 1.0)] {
        let name = format!("auth_verifications_total{{outcome={outcome}}}");
        assert_eq!(value(&seen, &name), count, "{name}");
    }
    assert_eq!(value(&seen, "auth_cache_hits_total"), 64.0);
    for (cause, count) in [("absent", 1.0), ("signature", 1.0), ("expired", 1.0)] {
        let name = format!("auth_refusals_total{{cause={cause}}}");
        assert_eq!(value(&seen, &name), count, "{name}");
    }
}

async fn sessions() {
    let world = World::new();
    let tokens = world.login("ada").await;
    let first = refresh_text(&tokens);
    let second = refresh_text(&world.granted(&first).await);
    world.advance(1);
    let _ = world.granted(&first).await;
    world.advance(59);
    let _ = world.granted(&first).await;
    world.advance(61);
    let third = refresh_text(&world.granted(&second).await);
    world.advance(3600);
    // The response with the third token was lost: the token is sent again.
    let _ = world.granted(&second).await;
    assert!(matches!(
        world.refresh(&third).await,
        RefreshOutcome::SessionEnded(_)
    ));
    assert!(matches!(
        world.refresh(&third).await,
        RefreshOutcome::SessionEnded(_)
    ));
    assert!(matches!(
        world.refresh("rt1_x").await,
        RefreshOutcome::TokenRejected(_)
    ));

    // Requests of two tabs.
    let tokens = refresh_text(&world.login("bob").await);
    let both = (0..2).map(|_| {
        let (sessions, token) = (world.sessions.clone(), tokens.clone());
        Box::pin(async move { sessions.refresh(&token, &ClientInfo::new()).await }) as _
    });
    join_all(both.collect()).await;
    let late = LoginRequest::started(world.sessions.begin_login("bob").await.unwrap());
    world
        .sessions
        .end_all("bob", EndedBy::User("bob"))
        .await
        .unwrap();
    world.sessions.login(late).await.unwrap_err();
    world.advance(100 * 86_400);
    world.sessions.purge().await.unwrap();
}

#[test]
fn refreshes_replays_and_ends_of_sessions_are_counted() {
    let (seen, _) = watch(sessions());
    for (name, count) in [
        ("auth_logins_total{outcome=done}", 2.0),
        ("auth_logins_total{outcome=superseded}", 1.0),
        ("auth_refreshes_total{outcome=rotated}", 3.0),
        ("auth_refreshes_total{outcome=held}", 1.0),
        ("auth_refreshes_total{outcome=replayed}", 2.0),
        ("auth_refreshes_total{outcome=recovered}", 1.0),
        ("auth_refreshes_total{outcome=reuse}", 1.0),
        ("auth_refreshes_total{outcome=revoked}", 1.0),
        ("auth_refreshes_total{outcome=forged}", 1.0),
        ("auth_refresh_joins_total", 1.0),
        ("auth_reuse_total{cause=orphan}", 1.0),
        ("auth_revoked_total{reason=orphan}", 1.0),
        ("auth_revoked_total{reason=all}", 1.0),
        ("auth_sessions_purged_total", 2.0),
    ] {
        assert_eq!(value(&seen, name), count, "{name}: {seen:#?}");
    }
    let ages = |outcome| &seen[&format!("auth_replay_age_seconds{{outcome={outcome}}}")];
    assert_eq!(*ages("replayed"), [1.0, 0.0]);
    assert_eq!(*ages("held"), [60.0]);
    assert_eq!(*ages("recovered"), [3600.0]);
}

async fn store() {
    let world = World::new();
    let token = refresh_text(&world.login("ada").await);
    world.store.inject(Some(StoreOp::Load), Fault::Down, 1);
    let outcome = world.refresh(&token).await;
    assert!(matches!(outcome, RefreshOutcome::Unavailable(_)));
    world.store.inject(Some(StoreOp::Purge), Fault::Slow, 1);
    world.sessions.purge().await.unwrap();
}

#[test]
fn calls_to_the_store_are_timed_and_their_errors_counted() {
    let (seen, _) = watch(store());
    let times = |call| seen[&format!("auth_store_call_seconds{{call={call}}}")].clone();
    assert_eq!(times("purge").len(), 1);
    assert!(
        (times("purge")[0] - 30.0).abs() < 0.1,
        "{:?}",
        times("purge")
    );
    assert_eq!(times("load").len(), 1);
    let errors = "auth_store_errors_total{call=load,kind=unavailable}";
    assert_eq!(value(&seen, errors), 1.0);
    assert_eq!(value(&seen, "auth_unavailable_total{kind=store}"), 1.0);
}

async fn feed() {
    let world = World::new();
    let revocations = Revocations::new(StalePolicy::FailOpen, world.clock.clone());
    let mut follower = Follower::new(world.memory.clone(), revocations).with_wait(Duration::ZERO);
    follower.load().await.unwrap();
    let _ = world.login("ada").await;
    world.sessions.end_all("ada", EndedBy::App).await.unwrap();
    world.advance(5);
    follower.step().await.unwrap();
}

#[test]
fn the_feed_tells_as_of_when_it_is_complete() {
    let (seen, _) = watch(feed());
    let at = value(&seen, "auth_revocation_complete_timestamp_seconds");
    assert_eq!(at, 1_800_000_005.0);
    assert_eq!(value(&seen, "auth_revocation_entries"), 1.0);
}

async fn keys() {
    let world = World::new();
    let publisher = Publisher::new();
    let keys = publisher.keys(&world.clock, world.told.clone());
    keys.load().await.unwrap();
    publisher.down.store(true, Ordering::SeqCst);
    world.advance(600);
    fetched(&keys, 2).await;

    let shelf = Arc::new(Shelf::default());
    let schedule = KeySchedule::for_lifetime(Duration::from_secs(600));
    let rotation = KeyRotation::builder(shelf.clone(), schedule)
        .with_clock(world.clock.clone())
        .start()
        .await
        .unwrap();
    shelf.down.store(true, Ordering::SeqCst);
    let _ = tokio::time::timeout(Duration::from_millis(100), rotation.run()).await;
}

#[test]
fn keys_are_counted_by_issuer_and_our_own_by_what_came_of_them() {
    let (seen, _) = watch(keys());
    for (name, expected) in [
        (
            format!("auth_issuer_fetches_total{{issuer={ISSUER},outcome=ok}}"),
            1.0,
        ),
        (
            format!("auth_issuer_fetches_total{{issuer={ISSUER},outcome=unreachable}}"),
            1.0,
        ),
        (format!("auth_issuer_keys{{issuer={ISSUER}}}"), 1.0),
        (
            format!("auth_issuer_keys_fetched_timestamp_seconds{{issuer={ISSUER}}}"),
            1_800_000_000.0,
        ),
        ("auth_key_changes_total".to_owned(), 1.0),
        ("auth_key_failures_total".to_owned(), 1.0),
    ] {
        assert_eq!(value(&seen, &name), expected, "{name}");
    }
}

/// Keys that cannot be read again once they are stored.
#[derive(Debug, Default)]
struct Once {
    kept: Shelf,
    reads: AtomicU32,
}

#[async_trait]
impl KeyPersistence for Once {
    async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
        // To start takes two.
        assert!(self.reads.fetch_add(1, Ordering::SeqCst) < 2, "read again");
        self.kept.load().await
    }

    async fn save(&self, expected: Option<u64>, keys: &KeySet) -> Result<bool, PersistenceError> {
        self.kept.save(expected, keys).await
    }
}

impl Store for Once {
    async fn open_for(self, _: &str) -> Result<OpenedStore, StoreError> {
        Ok(OpenedStore::new(MemoryStore::new(), self))
    }
}

async fn tasks() {
    let auth = Auth::for_issuer(ISSUER)
        .audience(ISSUER)
        .store(Once::default());
    let auth = auth.start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    auth.stop().await;
}

#[test]
fn a_task_that_panics_is_counted() {
    let (seen, _) = watch(tasks());
    assert!(value(&seen, "auth_task_failures_total{task=keys}") >= 1.0);
    assert_eq!(seen["auth_task_failures_total{task=feed}"], [0.0]);
}

#[test]
fn everything_recorded_is_listed_and_everything_listed_is_recorded() {
    let (_, forms) = watch(async {
        requests().await;
        sessions().await;
        store().await;
        feed().await;
        keys().await;
        tasks().await;
    });
    let recorded: BTreeSet<&str> = forms.iter().map(|(name, ..)| name.as_str()).collect();
    let listed: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(recorded, listed);
    for (name, kind, labels) in &forms {
        let metric = METRICS.iter().find(|metric| metric.name == name).unwrap();
        assert_eq!(metric.kind, *kind, "{name}");
        let pairs: Vec<_> = labels.iter().filter_map(|it| it.split_once('=')).collect();
        let names: Vec<_> = pairs.iter().map(|(label, _)| *label).collect();
        assert_eq!(names, metric.labels, "{name}");
        for (label, value) in pairs {
            let word = value.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'));
            assert!(
                word || (label == "issuer" && value == ISSUER),
                "{name}: {value}"
            );
        }
    }
}
