//! SQLite: the conformance kit, and what goes beyond it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::Timestamp;
use auth_core::revocation::{Revocation, RevocationFeed};
use auth_core::session::{
    Inserted, RefreshStore, RevocationMark, Revoke, RevokeReason, SessionDetails, SessionId,
    StoreErrorKind,
};
use auth_core::session::{StoreClock, StoreError};
use auth_core::testing::{ManualClock, StoreFixture, prove_store};
use auth_store::{SqliteStore, StoreOptions};

use common::{HOUR, MARK, end_the_others, logout, session, step};

fn sid(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

#[tokio::test]
async fn a_session_moves_on_once_a_generation_and_ends_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("a.db")).await.unwrap();
    let details = SessionDetails::default();
    let made = store
        .insert(&session(sid(1), "alice", &details))
        .await
        .unwrap();
    assert!(matches!(made, Inserted::Done { replaced: None, .. }));
    assert!(
        store
            .insert(&session(sid(1), "bob", &details))
            .await
            .is_err()
    );
    assert!(
        store
            .advance(&step(sid(1), "alice", 0, &details))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        store
            .advance(&step(sid(1), "alice", 0, &details))
            .await
            .unwrap()
            .is_none()
    );
    let revoke = logout(sid(1));
    let another = Revoke {
        mark: RevocationMark::from_bytes([8; 16]),
        reason: RevokeReason::App,
        ..revoke
    };
    for revoke in [&revoke, &another, &revoke] {
        let revoked = store.revoke(revoke).await.unwrap().unwrap();
        assert_eq!(
            (revoked.mark, revoked.reason),
            (Some(MARK), RevokeReason::Logout)
        );
    }
    assert!(
        store
            .advance(&step(sid(1), "alice", 1, &details))
            .await
            .unwrap()
            .is_none()
    );
    let loaded = store.load(&sid(1)).await.unwrap().unwrap();
    assert_eq!(loaded.record.generation.get(), 1);
    assert_eq!(loaded.record.revoked.unwrap().reason, RevokeReason::Logout);
}

#[tokio::test]
async fn ending_the_others_keeps_one_and_tells_the_feed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let other = SqliteStore::open(&path).await.unwrap();
    let before = end_the_others(&store, &other).await;
    let batch = other.follow(&before, HOUR).await.unwrap();
    let [
        Revocation::Subject {
            subject,
            lowest_epoch: 1,
            ..
        },
    ] = &batch.revocations[..]
    else {
        panic!("{:?}", batch.revocations)
    };
    assert_eq!(&**subject, "alice");
}

#[tokio::test]
async fn e06_two_openings_of_one_file_write_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let stores = [
        SqliteStore::open(&path).await.unwrap(),
        SqliteStore::open(&path).await.unwrap(),
    ];
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..50_u8 {
        let store = stores[usize::from(n % 2)].clone();
        tasks.spawn(async move {
            let details = SessionDetails::default();
            store
                .insert(&session(sid(n), "alice", &details))
                .await
                .unwrap();
            for from in 0..10 {
                assert!(
                    store
                        .advance(&step(sid(n), "alice", from, &details))
                        .await
                        .unwrap()
                        .is_some()
                );
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(stores[0].list("alice", 100).await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_folder_that_is_missing_is_made_for_this_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new/data");
    let _store = SqliteStore::open(data.join("app.db")).await.unwrap();
    assert!(data.join("app.db").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = data.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    // A file stands where the folder should be.
    let refused = SqliteStore::open(data.join("app.db/another.db")).await;
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn e14_eight_openings_at_once_make_one_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path: Arc<std::path::Path> = folder.path().join("a.db").into();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let path = Arc::clone(&path);
        tasks.spawn(async move { SqliteStore::open(path).await.map(drop) });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }
}

/// A file that several handles have open, each with a writer of its own, as several processes do.
struct Fixture {
    folder: tempfile::TempDir,
    clock: Option<Arc<ManualClock>>,
}

impl Fixture {
    fn new(clock: Option<Arc<ManualClock>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, clock }
    }
}

#[async_trait]
impl StoreFixture for Fixture {
    async fn open(&self) -> Result<Arc<dyn RefreshStore>, StoreError> {
        let mut options = StoreOptions::new();
        if let Some(clock) = &self.clock {
            options = options.with_clock(StoreClock::driven(clock.clone()));
        }
        let path = self.folder.path().join("kit.db");
        Ok(Arc::new(SqliteStore::open_with(path, options).await?))
    }

    fn clock(&self) -> Option<Arc<ManualClock>> {
        self.clock.clone()
    }

    fn rounds(&self) -> u32 {
        10
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_sqlite_passes_the_conformance_kit() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let report = prove_store(&Fixture::new(Some(clock))).await.unwrap();
    assert!(report.skipped().is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_sqlite_passes_the_kit_by_the_machines_clock() {
    prove_store(&Fixture::new(None)).await.unwrap();
}

#[tokio::test]
async fn d01_the_file_holds_nothing_that_can_be_presented() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let needles = common::presentable(store.clone()).await;
    drop(store);
    let mut dump = Vec::new();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        dump.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    assert!(dump.windows(5).any(|window| window == b"alice"));
    common::assert_absent(&dump, &needles);
}
