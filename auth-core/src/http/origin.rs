//! [`Origin`]: scheme, host and port of a URL (RFC 6454 §4).

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An origin `scheme://host[:port]`, as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin<'t> {
    scheme: Cow<'t, str>,
    host: Cow<'t, str>,
    /// The written port, else the default port of the scheme. `None` for schemes without one.
    port: Option<u16>,
}

impl<'t> Origin<'t> {
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        // Browsers write scheme and host in lower case.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = split_authority(authority)?;
        is_scheme(scheme).then(|| Self {
            scheme: scheme.into(),
            host: host.into(),
            port: port.or_else(|| default_port(scheme)),
        })
    }

    pub(crate) fn into_owned(self) -> Origin<'static> {
        Origin {
            scheme: self.scheme.into_owned().into(),
            host: self.host.into_owned().into(),
            port: self.port,
        }
    }

    /// Whether no party on the network can change its pages: `https`, or `http` on a loopback host
    /// (Secure Contexts §3.1).
    pub(crate) fn is_secure(&self) -> bool {
        match &*self.scheme {
            "https" => true,
            "http" => is_loopback(&self.host),
            _ => false,
        }
    }

    /// Whether host and port are those of `authority`. A missing port is the default of the scheme.
    pub(crate) fn has_authority(&self, authority: &str) -> bool {
        split_authority(authority).is_some_and(|(host, port)| {
            host.eq_ignore_ascii_case(&self.host)
                && port.or_else(|| default_port(&self.scheme)) == self.port
        })
    }

    /// Whether a browser can send the host in this form, so that a trusted origin can match. Browsers
    /// shorten IPv6 addresses, and a trailing dot names a different host. IPv4-mapped addresses are
    /// accepted as written: browsers write them in hexadecimal, the standard library does not.
    pub(crate) fn has_canonical_host(&self) -> bool {
        match address(&self.host) {
            Some(address) => {
                *self.host == format!("[{address}]") || address.to_ipv4_mapped().is_some()
            }
            None => self.host.split('.').all(|label| !label.is_empty()),
        }
    }
}

/// Whether `text` is a URI scheme (RFC 3986 §3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Splits an authority into host and port, as written. An IPv6 host keeps its brackets.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(parse_port(port)?)),
        _ => (authority, None),
    };
    is_host(host).then_some((host, port))
}

fn parse_port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

fn is_host(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    address(host).is_some() || (!host.is_empty() && host.bytes().all(plain))
}

/// The IPv6 address of a host in brackets.
fn address(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Whether browsers treat `host` as secure over plain HTTP (Secure Contexts §3.1).
fn is_loopback(host: &str) -> bool {
    let is_address = |address: Ipv4Addr| address.is_loopback();
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host.parse().is_ok_and(is_address)
}
