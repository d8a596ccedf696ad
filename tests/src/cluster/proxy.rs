//! A TCP proxy between one node and the store: the place where that node is cut off, and where its
//! network calls are counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Fair,
    /// Connections break and none can be made.
    Cut,
    /// Nothing passes and nothing breaks; what was sent arrives when it is fair again.
    Stalled,
}

/// The proxy, until dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    sent: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Begins to listen.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(store: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (weather, receiver) = watch::channel(Weather::Fair);
        let sent = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(listen(listener, store, receiver, Arc::clone(&sent)));
        Ok(Self {
            port,
            weather,
            sent,
            task,
        })
    }

    /// Where the node finds the store.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many messages (reads of the proxy, at least one for each) the node has sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    listener: TcpListener,
    store: SocketAddr,
    weather: watch::Receiver<Weather>,
    sent: Arc<AtomicU64>,
) {
    loop {
        let Ok((node, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(carry(node, store, weather.clone(), Arc::clone(&sent)));
    }
}

async fn carry(
    node: TcpStream,
    store: SocketAddr,
    mut weather: watch::Receiver<Weather>,
    sent: Arc<AtomicU64>,
) {
    let passed = weather.clone();
    let both = async {
        fair(&mut passed.clone()).await?;
        let store = TcpStream::connect(store).await.ok()?;
        let _ = (node.set_nodelay(true), store.set_nodelay(true));
        let (from_node, to_node) = node.into_split();
        let (from_store, to_store) = store.into_split();
        let unused = AtomicU64::new(0);
        tokio::select! {
            () = pass(from_node, to_store, passed.clone(), &sent) => {}
            () = pass(from_store, to_node, passed.clone(), &unused) => {}
        }
        Some(())
    };
    tokio::select! {
        _ = both => {}
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
    count: &AtomicU64,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(1, Ordering::Relaxed);
        let Some(bytes) = buffer.get(..read) else {
            return;
        };
        if fair(&mut weather).await.is_none() || to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

async fn fair(weather: &mut watch::Receiver<Weather>) -> Option<()> {
    let fair = weather.wait_for(|weather| *weather == Weather::Fair).await;
    fair.ok().map(drop)
}
