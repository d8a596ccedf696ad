//! The sockets: one accepting thread, and one thread per connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::reply::{More, Reply, Request, not_found};
use super::{FakeAnswer, ProviderState};

/// Maximum length of a request head, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Size of the pieces of a long response.
const PIECE: usize = 16 * 1024;
/// Time to wait after a piece for the end of the connection.
const GLANCE: Duration = Duration::from_millis(1);
/// Time after which a connection without a reader is closed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn spawn(
    listener: TcpListener,
    shared: Arc<ProviderState>,
) -> io::Result<JoinHandle<()>> {
    let named = || Builder::new().name("fake-provider".to_owned());
    named().spawn(move || {
        for stream in listener.incoming() {
            if shared.has_ended() {
                return;
            }
            let Ok(stream) = stream else { continue };
            shared.connections.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(&shared);
            // The connection ends if there is no thread left.
            let _ = named().spawn(move || serve(stream, &shared));
        }
    })
}

/// Serves one connection. Every error means that the client has closed it.
fn serve(mut stream: TcpStream, shared: &ProviderState) {
    let _ = stream.set_nodelay(true);
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let Some(request) = read_head(&mut stream).and_then(|head| Request::parse(&head)) else {
        return;
    };
    if let Some(reply) = decide(&mut stream, shared, &request) {
        let _ = send(&mut stream, shared, &reply);
    }
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        head.extend_from_slice(piece.get(..read)?);
        // A head without a method is not HTTP, but for example the start of TLS.
        let is_http = head.first().is_some_and(u8::is_ascii_uppercase);
        if !is_http || head.len() > MAX_HEAD {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

/// Counts the request, and waits while the response is set to hang.
fn decide(stream: &mut TcpStream, shared: &ProviderState, request: &Request) -> Option<Reply> {
    let document = shared.document(&request.path);
    let mut state = shared.state();
    let Some(document) = document else {
        state.strays += 1;
        return Some(not_found());
    };
    *state.requests.entry(document).or_default() += 1;
    while !state.ended && state.answers.get(&document) == Some(&FakeAnswer::Hang) {
        let waited = shared
            .changed
            .wait_timeout(state, Duration::from_millis(20));
        state = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        if has_hung_up(stream) {
            return None;
        }
    }
    if state.ended {
        return None;
    }
    shared.reply(&state, document, request)
}

fn send(stream: &mut TcpStream, shared: &ProviderState, reply: &Reply) -> io::Result<()> {
    let mut put = |bytes: &[u8]| {
        // Counted before the bytes are sent, so that a client with the response finds them counted.
        let length = u64::try_from(bytes.len()).unwrap_or_default();
        shared.bytes_sent.fetch_add(length, Ordering::SeqCst);
        stream.write_all(bytes)?;
        if has_hung_up(stream) || shared.has_ended() {
            return Err(io::Error::from(ErrorKind::ConnectionReset));
        }
        Ok(())
    };
    match &reply.more {
        More::Slowly(pause) => {
            for byte in &reply.bytes {
                put(std::slice::from_ref(byte))?;
                std::thread::sleep(*pause);
            }
        }
        More::Nothing => {
            for piece in reply.bytes.chunks(PIECE) {
                put(piece)?;
            }
        }
        More::Forever(again) => {
            put(&reply.bytes)?;
            loop {
                put(again)?;
            }
        }
    }
    Ok(())
}

/// Clients send no bytes after their one request, so readable input is the end.
fn has_hung_up(stream: &mut TcpStream) -> bool {
    let _ = stream.set_read_timeout(Some(GLANCE));
    let nothing = stream.read(&mut [0]);
    !nothing.is_err_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
        )
    })
}
