//! A TCP proxy in front of a store, which cuts connections at the worst moments.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Outcome;

const PASS: u8 = 0;
const CUT_BEFORE: u8 = 1;
const CUT_AFTER: u8 = 2;

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<FaultProxyState>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct FaultProxyState {
    armed: AtomicU8,
    before: AtomicU64,
    after: AtomicU64,
    open: AtomicU64,
}

impl FaultProxyState {
    /// Whether this is the moment for the cut that is armed, which is then spent.
    fn cuts(&self, kind: u8, count: &AtomicU64) -> bool {
        let cuts = self
            .armed
            .compare_exchange(kind, PASS, SeqCst, SeqCst)
            .is_ok();
        if cuts {
            count.fetch_add(1, SeqCst);
        }
        cuts
    }
}

impl Proxy {
    /// Begins to forward to this port.
    ///
    /// # Errors
    /// If there is no port to listen on.
    pub async fn start(to: u16) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::<FaultProxyState>::default();
        let state = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    state.open.fetch_add(1, SeqCst);
                    let _ = forward(client, to, &state).await;
                    state.open.fetch_sub(1, SeqCst);
                });
            }
        });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next thing that a client sends reaches nobody, and its connection is reset.
    pub fn cut_before(&self) {
        self.shared.armed.store(CUT_BEFORE, SeqCst);
    }

    /// The next answer to a client reaches nobody, and its connection is reset.
    pub fn cut_after(&self) {
        self.shared.armed.store(CUT_AFTER, SeqCst);
    }

    /// How often something was cut before it reached the store, and how often after.
    #[must_use]
    pub fn cuts(&self) -> (u64, u64) {
        (
            self.shared.before.load(SeqCst),
            self.shared.after.load(SeqCst),
        )
    }

    /// Takes back a cut that has not happened yet.
    pub fn disarm(&self) {
        self.shared.armed.store(PASS, SeqCst);
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.open.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, to: u16, shared: &FaultProxyState) -> std::io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut asked = vec![0; 16 * 1024];
    let mut answered = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let length = read?;
                if length == 0 {
                    return Ok(());
                }
                if shared.cuts(CUT_BEFORE, &shared.before) {
                    break;
                }
                server.write_all(&asked[..length]).await?;
            }
            read = server.read(&mut answered) => {
                let length = read?;
                if length == 0 {
                    return Ok(());
                }
                if shared.cuts(CUT_AFTER, &shared.after) {
                    break;
                }
                client.write_all(&answered[..length]).await?;
            }
        }
    }
    client.set_zero_linger()?;
    server.set_zero_linger()
}
