//! A proxy for a node of a cluster, which can hold one call or lose its reply.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The handling of the next call that contains certain bytes.
#[derive(Clone)]
enum Plan {
    /// The call waits until it is released.
    Hold(Vec<u8>),
    /// The call arrives, and then the connection ends.
    LoseAnswer(Vec<u8>),
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<ProxyState>,
}

struct ProxyState {
    plan: Mutex<Option<Plan>>,
    /// Whether a call is held.
    held: watch::Sender<bool>,
}

impl ProxyState {
    /// Takes the plan if it applies to this call.
    fn take(&self, call: &[u8]) -> Option<Plan> {
        let mut plan = self.plan.lock().unwrap();
        let (Plan::Hold(bytes) | Plan::LoseAnswer(bytes)) = plan.as_ref()?;
        let met = call.windows(bytes.len()).any(|window| window == &bytes[..]);
        if met { plan.take() } else { None }
    }
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(ProxyState {
            plan: Mutex::default(),
            held: watch::Sender::new(false),
        });
        let of_all = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = of_all.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await {
                        carry(client, server, &shared).await;
                    }
                });
            }
        });
        Self { port, shared }
    }

    /// Holds the next call that contains these bytes.
    pub(crate) fn hold(&self, bytes: &[u8]) {
        *self.shared.plan.lock().unwrap() = Some(Plan::Hold(bytes.to_vec()));
    }

    /// Loses the reply to the next call that contains these bytes.
    pub(crate) fn lose_answer(&self, bytes: &[u8]) {
        *self.shared.plan.lock().unwrap() = Some(Plan::LoseAnswer(bytes.to_vec()));
    }

    /// Whether the plan has been carried out.
    pub(crate) fn has_happened(&self) -> bool {
        self.shared.plan.lock().unwrap().is_none()
    }

    /// Waits until a call is held.
    pub(crate) async fn holds(&self) {
        let mut held = self.shared.held.subscribe();
        held.wait_for(|held| *held).await.unwrap();
    }

    pub(crate) fn let_go(&self) {
        self.shared.held.send_replace(false);
    }
}

/// Copies bytes both ways until one side ends.
async fn carry(mut client: TcpStream, mut server: TcpStream, shared: &ProxyState) {
    let (mut call, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut lose = false;
    loop {
        tokio::select! {
            read = client.read(&mut call) => {
                let Ok(1..) = read else { return };
                let call = &call[..read.unwrap()];
                match shared.take(call) {
                    Some(Plan::Hold(_)) => {
                        shared.held.send_replace(true);
                        let mut held = shared.held.subscribe();
                        held.wait_for(|held| !held).await.unwrap();
                    }
                    Some(Plan::LoseAnswer(_)) => lose = true,
                    None => {}
                }
                if server.write_all(call).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answer) => {
                let Ok(1..) = read else { return };
                // The reply has arrived, so the call took effect.
                if lose || client.write_all(&answer[..read.unwrap()]).await.is_err() {
                    return;
                }
            }
        }
    }
}
