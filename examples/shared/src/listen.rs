//! The app's listener: plain, or with `TLS=on` behind a proxy that terminates TLS.
//!
//! The self-signed certificate is generated at every start for the names of this machine. A browser
//! asks once for confirmation. In production a load balancer takes the proxy's place.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use auth_core::{Clock, SystemClock};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::config::Config;

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Opens the listener, and returns it with the URL for browsers. Must be called inside Tokio.
///
/// # Errors
/// If the address is taken, or no certificate can be made.
pub fn listen(config: &Config) -> Result<(TcpListener, String), Box<dyn Error>> {
    let public = bind((config.host.as_str(), config.port))?;
    let address = public.local_addr()?;
    if !config.tls {
        return Ok((public, url("http", address)));
    }
    let inner = bind(("127.0.0.1", 0))?;
    let public = tokio::net::TcpListener::from_std(public)?;
    tokio::spawn(proxy(public, inner.local_addr()?, acceptor()?));
    Ok((inner, url("https", address)))
}

fn bind(address: (&str, u16)) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The URL for browsers, with `localhost` instead of an address: most browsers accept its cookies
/// without HTTPS.
fn url(scheme: &str, listening: SocketAddr) -> String {
    if listening.ip().is_loopback() || listening.ip().is_unspecified() {
        format!("{scheme}://localhost:{}", listening.port())
    } else {
        format!("{scheme}://{listening}")
    }
}

fn acceptor() -> Result<TlsAcceptor, Box<dyn Error>> {
    let key = KeyPair::generate()?;
    let mut certificate = CertificateParams::new(NAMES.map(str::to_owned))?;
    let now =
        date_time_ymd(1970, 1, 1) + Duration::from_secs(SystemClock.now().as_secs().unsigned_abs());
    certificate.not_before = now - DAY;
    // Safari refuses certificates with a lifetime of years.
    certificate.not_after = now + 30 * DAY;
    certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = certificate.self_signed(&key)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn proxy(public: tokio::net::TcpListener, app: SocketAddr, acceptor: TlsAcceptor) {
    loop {
        match public.accept().await {
            // A broken connection concerns only its client.
            Ok((stream, _)) => drop(tokio::spawn(pass(stream, app, acceptor.clone()))),
            // Probably out of file descriptors, until other connections are closed.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn pass(stream: TcpStream, app: SocketAddr, acceptor: TlsAcceptor) -> io::Result<()> {
    let mut outside = timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let mut inside = TcpStream::connect(app).await?;
    copy_bidirectional(&mut outside, &mut inside).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_one_that_browsers_keep_cookies_for() {
        let url = |scheme, text: &str| url(scheme, text.parse().unwrap());
        assert_eq!(url("http", "127.0.0.1:3000"), "http://localhost:3000");
        assert_eq!(url("https", "0.0.0.0:80"), "https://localhost:80");
        assert_eq!(url("http", "192.0.2.1:3000"), "http://192.0.2.1:3000");
    }
}
