//! PgBouncer between the store and the server.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::Timestamp;
use auth_core::revocation::Revocation;
use auth_core::session::SessionId;
use auth_core::store::{RefreshStore, RevocationFeed, SessionDetails};
use auth_core::testing::{ManualClock, prove_store};
use auth_store::{PostgresStore, StoreOptions};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tracing::field::{Field, Visit};

use crate::common::{PostgresFixture, database, logout, session, step};
use crate::programs::{Program, await_server, directory, find, free_port, skip, unprivileged};

struct Pooler {
    url: String,
    _program: Program,
    _directory: TempDir,
}

/// Starts a pooler in front of the server of `url`, with two connections to it.
async fn pooler(url: &str, settings: &str) -> Option<Pooler> {
    let places = [
        "/usr/sbin",
        "/usr/bin",
        "/usr/local/bin",
        "/opt/homebrew/bin",
    ];
    let Some(program) = find("pgbouncer", &places) else {
        skip("pgbouncer");
        return None;
    };
    let (_, address) = url.split_once('@').unwrap();
    let (server, name) = address.split_once('/').unwrap();
    let (host, server_port) = server.split_once(':').unwrap();
    let directory = directory();
    let path = directory.path().join("pgbouncer.ini");
    let port = free_port();
    let ini = format!(
        "[databases]\n{name} = host={host} port={server_port} user=auth\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         default_pool_size = 2\nmax_client_conn = 200\n{settings}\n"
    );
    fs::write(&path, ini).unwrap();
    let program = Program::start(unprivileged(&program).arg(&path));
    let url = format!("postgres://auth@127.0.0.1:{port}/{name}");
    // The driver's own connection is refused because it sends settings, so test the port only.
    let begin = tokio::time::Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .is_err()
    {
        assert!(begin.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some(Pooler {
        url,
        _program: program,
        _directory: directory,
    })
}

const TRANSACTION: &str = "pool_mode = transaction";
/// The setting in many guides: the parameters are dropped without a message.
const IGNORING: &str =
    "pool_mode = transaction\nignore_startup_parameters = extra_float_digits,options";

async fn kit(name: &str, settings: &str) {
    let Some(url) = database(name).await else {
        return;
    };
    let Some(pooler) = pooler(&url, settings).await else {
        return;
    };
    let clock = Some(Arc::new(ManualClock::at(Timestamp::from_secs(
        1_800_000_000,
    ))));
    let url = pooler.url.clone();
    let report = prove_store(&PostgresFixture { url, clock }).await.unwrap();
    assert!(report.skipped().is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j02_the_kit_passes_behind_a_transaction_pooler() {
    kit("pooled", TRANSACTION).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j02_the_kit_passes_behind_a_pooler_that_drops_settings() {
    kit("dropping", IGNORING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j02_the_kit_passes_behind_a_session_pooler() {
    kit("session", "pool_mode = session\ndefault_pool_size = 100").await;
}

/// More concurrent clients than servers of the pooler, so that each client uses every server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j02_many_clients_share_two_servers() {
    let Some(url) = database("shared").await else {
        return;
    };
    let Some(pooler) = pooler(&url, IGNORING).await else {
        return;
    };
    let store = PostgresStore::connect_with(
        &pooler.url,
        StoreOptions::new().with_timeout(Duration::from_secs(60)),
    )
    .await
    .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            let details = SessionDetails::default();
            let (id, subject) = (SessionId::from_bytes([n; 16]), format!("user{n}"));
            store
                .insert(&session(id, &subject, &details))
                .await
                .unwrap();
            for from in 0..20 {
                let moved = store.advance(&step(id, &subject, from, &details)).await;
                assert!(moved.unwrap().is_some());
                assert!(store.load(&id).await.unwrap().is_some());
            }
            assert!(store.revoke(&logout(id)).await.unwrap().is_some());
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(store.snapshot().await.unwrap().revocations.len(), 16);
    // No setting of the store stays on the servers, which other apps use next.
    let mut direct = PgConnection::connect(&url).await.unwrap();
    let left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND state LIKE 'idle in transaction%'";
    let left: i64 = sqlx::query_scalar(left)
        .fetch_one(&mut direct)
        .await
        .unwrap();
    assert_eq!(left, 0);
    let mut through = await_server(&pooler.url).await;
    let row = sqlx::raw_sql(
        "SELECT current_setting('statement_timeout'), (SELECT count(*)::text FROM pg_prepared_statements)",
    );
    let row = row.fetch_one(&mut through).await.unwrap();
    use sqlx::Row;
    assert_eq!((row.get(0), row.get(1)), ("0", "0"));
}

/// The server ends a waiting statement within the time limit, as without a pooler.
#[tokio::test]
async fn j02_the_bound_holds_behind_a_pooler() {
    let Some(url) = database("bound").await else {
        return;
    };
    let Some(pooler) = pooler(&url, TRANSACTION).await else {
        return;
    };
    let options = StoreOptions::new().with_timeout(Duration::from_secs(3));
    let store = PostgresStore::connect_with(&pooler.url, options)
        .await
        .unwrap();
    let mut direct = PgConnection::connect(&url).await.unwrap();
    let mut holding = direct.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE auth_sessions")
        .execute(&mut *holding)
        .await
        .unwrap();
    let load = store.load(&SessionId::from_bytes([1; 16])).await;
    assert!(load.is_err());
    // An abandoned statement does not continue to wait.
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let begin = tokio::time::Instant::now();
    while sqlx::query_scalar::<_, i64>(waiting)
        .fetch_one(&mut *holding)
        .await
        .unwrap()
        > 0
    {
        assert!(begin.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    holding.rollback().await.unwrap();
    assert!(
        store
            .load(&SessionId::from_bytes([1; 16]))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn j02_a_pooler_of_statements_is_refused_in_a_sentence() {
    let Some(url) = database("statement").await else {
        return;
    };
    let Some(pooler) = pooler(&url, "pool_mode = statement").await else {
        return;
    };
    let error = PostgresStore::connect(&pooler.url)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("pool_mode = transaction or session"),
        "{error}"
    );
    assert!(error.contains("statement pooling mode"), "{error}");
}

/// Counts log lines about LISTEN.
#[derive(Clone, Default)]
struct Listening(Arc<AtomicUsize>);

impl tracing::Subscriber for Listening {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "auth::store"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let text = Text::default();
        event.record(&mut &text);
        let says = text.0.lock().unwrap().contains("LISTEN");
        if says && *event.metadata().level() == tracing::Level::WARN {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[derive(Default)]
struct Text(Mutex<String>);

impl Visit for &Text {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push_str(&format!("{value:?}"));
    }
}

#[tokio::test]
async fn j02_without_listen_the_poll_tells_and_it_is_said_once() {
    let Some(url) = database("polls").await else {
        return;
    };
    let Some(pooler) = pooler(&url, TRANSACTION).await else {
        return;
    };
    let said = Listening::default();
    let _guard = tracing::subscriber::set_default(said.clone());
    let store = PostgresStore::connect(&pooler.url).await.unwrap();
    let other = PostgresStore::connect(&pooler.url).await.unwrap();
    let details = SessionDetails::default();
    let id = SessionId::from_bytes([1; 16]);
    store.insert(&session(id, "alice", &details)).await.unwrap();
    let mut cursor = other.snapshot().await.unwrap().cursor;
    store.revoke(&logout(id)).await.unwrap();
    loop {
        let wait = Duration::from_millis(20);
        let batch = other.follow(&cursor, wait).await.unwrap();
        if matches!(&batch.revocations[..], [Revocation::Session { id: ended, .. }] if *ended == id)
        {
            break;
        }
        cursor = batch.cursor;
    }
    assert_eq!(said.0.load(Ordering::Relaxed), 1);
}
