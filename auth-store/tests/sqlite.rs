//! SQLite: the conformance kit, and tests beyond it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use auth_core::Timestamp;
use auth_core::revocation::Revocation;
use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::{
    InsertOutcome, RefreshStore, RevocationFeed, RevocationMark, RevokeSession, SessionDetails,
    StoreClock, StoreError, StoreErrorKind,
};
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
    assert!(matches!(made, InsertOutcome::Done { replaced: None, .. }));
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
    let another = RevokeSession {
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
            lowest_subject_version: 1,
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
    // A file is in the place of the folder.
    let refused = SqliteStore::open(data.join("app.db/another.db")).await;
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Unavailable);
}

/// Number of rounds of a race: a few here, `AUTH_TEST_ROUNDS=1000` for a long run.
fn rounds(few: u32) -> u32 {
    let rounds = std::env::var("AUTH_TEST_ROUNDS").ok();
    rounds.map_or(few, |rounds| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e14_j08_eight_openings_at_once_make_one_schema() {
    for round in 0..rounds(30) {
        let folder = tempfile::tempdir().unwrap();
        let path: Arc<Path> = folder.path().join("a.db").into();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let path = Arc::clone(&path);
            tasks.spawn(async move { SqliteStore::open(path).await.map(drop) });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap().unwrap_or_else(|error| {
                panic!(
                    "round {round}: {error}: {:?}",
                    std::error::Error::source(&error)
                )
            });
        }
    }
}

/// The path to open, for a child process of [`j08_eight_processes_open_one_new_file_at_once`].
const CHILD: &str = "AUTH_TEST_OPEN_SQLITE";

/// The body of the child processes. Without the variable it does nothing.
#[tokio::test]
async fn a_process_that_opens_a_file() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let store = SqliteStore::open(path).await.unwrap();
    assert_eq!(store.subject_version("alice").await.unwrap(), 0);
}

#[test]
fn j08_eight_processes_open_one_new_file_at_once() {
    for round in 0..rounds(3) {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "a_process_that_opens_a_file"])
                .env(CHILD, folder.path().join("a.db"))
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        };
        let processes: Vec<_> = (0..8).map(|_| open()).collect();
        for process in processes {
            let output = process.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "round {round}: {said}");
        }
    }
}

#[cfg(unix)]
mod modes {
    use std::os::unix::fs::PermissionsExt as _;

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    fn files(folder: &Path) -> Vec<std::path::PathBuf> {
        let files = std::fs::read_dir(folder).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    }

    /// Runs this test again in a child process with another umask.
    fn again_under_umask(umask: &str, test: &str) {
        let exe = std::env::current_exe().unwrap();
        let script = format!("umask {umask}; exec \"$0\" --exact {test}");
        let status = std::process::Command::new("sh")
            .args(["-c", &script])
            .arg(exe)
            .env("AUTH_TEST_UMASK", umask)
            .status();
        assert!(status.unwrap().success(), "umask {umask}");
    }

    #[tokio::test]
    async fn h14_the_files_are_their_owners_alone_whatever_the_umask() {
        if std::env::var_os("AUTH_TEST_UMASK").is_none() {
            for umask in ["000", "022", "077", "177", "777"] {
                let test = "modes::h14_the_files_are_their_owners_alone_whatever_the_umask";
                again_under_umask(umask, test);
            }
        }
        let folder = std::env::temp_dir().join(format!("auth-modes-{}", std::process::id()));
        let made = std::fs::create_dir(&folder);
        made.unwrap();
        let all = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&folder, all).unwrap();
        let store = SqliteStore::open(folder.join("a.db")).await.unwrap();
        let details = SessionDetails::default();
        let login = session(sid(1), "alice", &details);
        store.insert(&login).await.unwrap();
        let mut names: Vec<_> = files(&folder)
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        let modes: Vec<_> = files(&folder).iter().map(|path| mode(path)).collect();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(names, ["a.db", "a.db-shm", "a.db-wal"]);
        assert_eq!(modes, [0o600; 3]);
    }

    /// Counts warnings of the stores.
    #[derive(Default)]
    struct Warnings(std::sync::atomic::AtomicU32);

    impl Subscriber for Warnings {
        fn enabled(&self, about: &Metadata<'_>) -> bool {
            about.target() == "auth::store" && *about.level() == Level::WARN
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn h14_a_file_that_others_can_read_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let warnings = Arc::new(Warnings::default());
        let _guard = tracing::subscriber::set_default(Arc::clone(&warnings));
        let count = || warnings.0.swap(0, std::sync::atomic::Ordering::SeqCst);
        let kept = SqliteStore::open(&path).await.unwrap();
        assert_eq!(count(), 0);
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("{}{suffix}", path.display());
            let set = |mode| {
                let mode = std::fs::Permissions::from_mode(mode);
                std::fs::set_permissions(&name, mode).unwrap();
            };
            set(0o640);
            drop(SqliteStore::open(&path).await.unwrap());
            assert_eq!(count(), 1, "{suffix}");
            set(0o600);
        }
        drop(kept);
    }
}

/// A node of an earlier version: its statements are prepared before the migration.
#[tokio::test]
async fn e14_an_earlier_version_works_on_beside_this_one() {
    use sqlx::{Connection as _, Executor as _, Row as _};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let url = format!("sqlite:{}", path.display());
    let mut earlier = sqlx::SqliteConnection::connect(&url).await.unwrap();
    for back in [
        "DROP TABLE auth_marks",
        "DROP TABLE auth_lifetimes",
        "DELETE FROM auth_schema WHERE step = 3",
    ] {
        earlier.execute(back).await.unwrap();
    }
    drop(store);
    let load = "SELECT s.*, coalesce(j.epoch, 0) AS subject_epoch
         FROM auth_sessions s LEFT JOIN auth_subjects j ON j.subject = s.subject
         WHERE s.id = ?";
    for id in [1_u8, 2] {
        sqlx::query(
            "INSERT INTO auth_sessions VALUES (?, 'alice', 0, 0, NULL, 0, 1, 1, 1,
                9000000000000, 9000000000000, NULL, NULL, '{\"i\":1}')",
        )
        .bind([id; 16].as_slice())
        .execute(&mut earlier)
        .await
        .unwrap();
    }
    let loaded = sqlx::query(load)
        .bind([1_u8; 16].as_slice())
        .fetch_one(&mut earlier)
        .await;
    assert_eq!(loaded.unwrap().get::<i64, _>("subject_epoch"), 0);

    let store = SqliteStore::open(&path).await.unwrap();
    // Revoked by the earlier version: no mark.
    sqlx::query("UPDATE auth_sessions SET revoked_at = 2, reason = 'logout' WHERE id = ?")
        .bind([1_u8; 16].as_slice())
        .execute(&mut earlier)
        .await
        .unwrap();
    let found = store.revoke(&logout(sid(1))).await.unwrap().unwrap();
    assert_eq!((found.mark, found.reason), (None, RevokeReason::Logout));
    // Revoked by this version: the earlier one reads it, and removes the row with its mark.
    let found = store.revoke(&logout(sid(2))).await.unwrap().unwrap();
    assert_eq!(found.mark, Some(MARK));
    let loaded = sqlx::query(load)
        .bind([2_u8; 16].as_slice())
        .fetch_one(&mut earlier)
        .await
        .unwrap();
    assert_eq!(loaded.get::<i64, _>("subject_epoch"), 0);
    assert_eq!(loaded.get::<String, _>("reason"), "logout");
    earlier.execute("DELETE FROM auth_sessions").await.unwrap();
    let marks = sqlx::query("SELECT count(*) FROM auth_marks")
        .fetch_one(&mut earlier)
        .await
        .unwrap();
    assert_eq!(marks.get::<i64, _>(0), 0);
}

/// A file with several open handles, each with its own writer, as in several processes.
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
