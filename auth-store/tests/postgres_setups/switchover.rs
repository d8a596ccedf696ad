//! Two servers behind one address, which exchange their roles.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use auth_core::revocation::Revocation;
use auth_core::session::SessionId;
use auth_core::store::{RefreshStore, RevocationFeed, SessionDetails};
use auth_store::{PostgresStore, StoreOptions};
use sqlx::{Executor, PgConnection};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{HOUR, logout, session};
use crate::programs::{
    Program, await_server, directory, free_port, postgres_bin, run, skip, unprivileged,
};

/// An address that leads to a configurable port. Existing connections stay.
struct Switch {
    port: u16,
    target: Arc<AtomicU16>,
}

impl Switch {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Arc::new(AtomicU16::new(port));
        let switch = Self {
            port: listener.local_addr().unwrap().port(),
            target: target.clone(),
        };
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = target.load(Ordering::SeqCst);
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        switch
    }

    fn turn(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
    }
}

struct Server {
    data: PathBuf,
    port: u16,
    program: Program,
}

impl Server {
    fn start(bin: &Path, data: PathBuf, port: u16) -> Self {
        let program = Program::start(
            unprivileged(&bin.join("postgres"))
                .arg("-D")
                .arg(&data)
                .args(["-p", &port.to_string(), "-k", "", "-c", "fsync=off"])
                .args(["-c", "listen_addresses=127.0.0.1"]),
        );
        Self {
            data,
            port,
            program,
        }
    }

    fn url(&self) -> String {
        url(self.port)
    }
}

fn url(port: u16) -> String {
    format!("postgres://auth@127.0.0.1:{port}/postgres")
}

async fn promote(standby: &Server) -> PgConnection {
    let mut connection = await_server(&standby.url()).await;
    connection
        .execute("SELECT pg_promote(true, 60)")
        .await
        .unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j01_after_a_switchover_the_store_goes_on_at_once() {
    let Some(bin) = postgres_bin() else {
        skip("PostgreSQL");
        return;
    };
    let directory = directory();
    let (data, copy) = (
        directory.path().join("first"),
        directory.path().join("second"),
    );
    let (first, second) = (free_port(), free_port());
    let initdb = [
        "-U",
        "auth",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ];
    run(unprivileged(&bin.join("initdb"))
        .arg("-D")
        .arg(&data)
        .args(initdb));
    let mut old = Server::start(&bin, data, first);
    let mut admin = await_server(&old.url()).await;
    run(unprivileged(&bin.join("pg_basebackup"))
        .args([
            "-R",
            "-c",
            "fast",
            "--no-sync",
            "-h",
            "127.0.0.1",
            "-U",
            "auth",
        ])
        .args(["-p", &first.to_string(), "-D"])
        .arg(&copy));
    let new = Server::start(&bin, copy, second);
    drop(await_server(&new.url()).await);

    // A standby is refused, although it responds to reads.
    let error = PostgresStore::connect(&new.url()).await.unwrap_err();
    assert!(error.to_string().contains("is read-only"), "{error}");

    let switch = Switch::to(first).await;
    let options = StoreOptions::new().with_timeout(Duration::from_secs(30));
    let store = PostgresStore::connect_with(&url(switch.port), options)
        .await
        .unwrap();
    let details = SessionDetails::default();
    let id = |n: u8| SessionId::from_bytes([n; 16]);
    let insert = async |n: u8| store.insert(&session(id(n), "alice", &details)).await;
    insert(1).await.unwrap();
    let start = store.snapshot().await.unwrap().cursor;
    // Several connections, all to the primary that is about to be demoted.
    let lists = || async { store.list("alice", 10).await.unwrap().len() };
    tokio::join!(lists(), lists(), lists(), lists(), lists(), lists());

    // The old primary refuses writes from now on, and keeps its connections.
    let caught_up = "SELECT count(*) = 1 AND bool_and(replay_lsn = pg_current_wal_lsn())
        FROM pg_stat_replication";
    admin
        .execute("ALTER SYSTEM SET default_transaction_read_only = on")
        .await
        .unwrap();
    admin.execute("SELECT pg_reload_conf()").await.unwrap();
    while !sqlx::query_scalar::<_, Option<bool>>(caught_up)
        .fetch_one(&mut admin)
        .await
        .unwrap()
        .unwrap_or(false)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut primary = promote(&new).await;
    primary
        .execute("ALTER SYSTEM SET default_transaction_read_only = off")
        .await
        .unwrap();
    switch.turn(second);
    insert(2).await.unwrap();
    assert_eq!(lists().await, 2);
    assert!(store.revoke(&logout(id(1))).await.unwrap().is_some());
    // A follower continues at its cursor, and the new primary wakes it.
    let mut cursor = start;
    loop {
        let batch = store.follow(&cursor, HOUR).await.unwrap();
        if matches!(&batch.revocations[..], [Revocation::Session { id: ended, .. }] if *ended == id(1))
        {
            break;
        }
        cursor = batch.cursor;
    }

    // The old primary returns as a standby of the new one, and the address leads to it for a while.
    drop(admin);
    old.program.stop();
    fs::write(old.data.join("standby.signal"), "").unwrap();
    let conf = format!("primary_conninfo = 'host=127.0.0.1 port={second} user=auth'\n");
    fs::write(old.data.join("postgresql.auto.conf"), conf).unwrap();
    let old = Server::start(&bin, old.data.clone(), old.port);
    drop(await_server(&old.url()).await);
    switch.turn(first);
    primary
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
        .await
        .unwrap();
    let waiting = insert(3);
    tokio::pin!(waiting);
    // A standby gives no result, and the wait continues.
    let early = tokio::time::timeout(Duration::from_millis(300), &mut waiting).await;
    assert!(early.is_err(), "{early:?}");
    switch.turn(second);
    waiting.await.unwrap();
    assert_eq!(store.list("alice", 10).await.unwrap().len(), 2);
}
