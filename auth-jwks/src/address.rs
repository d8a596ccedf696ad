//! The addresses that may be fetched, and the locations of metadata.
//!
//! 1. An address configured by the app may be on any host, with `https`, or with `http` on this
//!    machine. `http` on other hosts needs an option, which then also covers `http` addresses in the
//!    metadata on the same host.
//! 2. An address in metadata must be public, in every spelling. Exceptions are hosts that the app
//!    configured, this machine if the issuer is on it, and private networks if the app allows them.
//! 3. The name is checked when metadata are read, and the IP address when a connection is made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use auth_core::remote::{FetchError, FetchFault};
use reqwest::Url;

/// The hosts for which `http` is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    Loopback,
    Anywhere,
}

/// Parses an address and checks its scheme: `https`, or `http` where it is allowed.
pub(crate) fn parse(text: &str, plain: Plain) -> Result<Url, FetchError> {
    let url = Url::parse(text).map_err(|_| FetchError::new(FetchFault::Url))?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    let fits = match (url.scheme(), plain) {
        ("https", _) | ("http", Plain::Anywhere) => url.host_str().is_some(),
        ("http", Plain::Loopback) => is_loopback(&url),
        _ => false,
    };
    if anonymous && fits {
        Ok(url)
    } else {
        Err(FetchError::new(FetchFault::Url))
    }
}

/// Whether the address is on this machine, decided without a resolver.
fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || number(url).is_some_and(|ip| ip.is_loopback())
}

/// The host as an IP address. `Url` has already normalized every spelling of IPv4 (decimal, octal,
/// hexadecimal, short).
fn number(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let host = host.strip_prefix('[').unwrap_or(host);
    host.strip_suffix(']').unwrap_or(host).parse().ok()
}

/// Names that mean this machine for every resolver (RFC 6761 §6.3).
fn is_local_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost" || host.ends_with(".localhost")
}

/// The host of a proxy, whose address may have no scheme.
pub(crate) fn proxy_host(proxy: &str) -> Option<String> {
    let host = |text: &str| Url::parse(text).ok()?.host_str().map(str::to_owned);
    host(proxy).or_else(|| host(&format!("http://{proxy}")))
}

/// The addresses to which metadata may lead.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    named: Vec<Box<str>>,
    /// The host that the app configured with `http`.
    plain: Option<Box<str>>,
    loopback: bool,
    private: bool,
}

impl Reach {
    /// Creates the limits for a configured address: its host, and this machine if the address is on
    /// it.
    pub(crate) fn from(named: &Url) -> Self {
        Self {
            named: named.host_str().map(Box::from).into_iter().collect(),
            plain: named
                .host_str()
                .filter(|_| named.scheme() == "http")
                .map(Box::from),
            loopback: is_loopback(named),
            private: false,
        }
    }

    /// Allows private networks too.
    pub(crate) fn with_private_networks(mut self) -> Self {
        self.private = true;
        self
    }

    /// Allows another configured host too.
    pub(crate) fn with_host(mut self, host: &str) -> Self {
        self.named.push(host.into());
        self
    }

    /// Parses an address from metadata and checks that it is allowed.
    pub(crate) fn follow(&self, text: &str) -> Result<Url, FetchError> {
        let url = parse(text, Plain::Anywhere)?;
        let host = url.host_str().unwrap_or_default();
        let plain = self.loopback && is_loopback(&url) || self.plain.as_deref() == Some(host);
        if url.scheme() == "http" && !plain {
            return Err(FetchError::new(FetchFault::Url));
        }
        let allowed = self.names(host)
            || match number(&url) {
                Some(ip) => self.allows(ip),
                None => self.loopback || !is_local_name(host),
            };
        if allowed {
            Ok(url)
        } else {
            Err(FetchError::new(FetchFault::Url))
        }
    }

    /// Whether the app configured this host.
    pub(crate) fn names(&self, host: &str) -> bool {
        self.named.iter().any(|named| **named == *host)
    }

    /// Whether a connection to this IP address is allowed for a host that the app did not configure.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_public(ip)
            || self.loopback && ip.is_loopback()
            || self.private && PRIVATE.iter().any(|network| network.holds(ip))
    }
}

/// A block of addresses: the first address and the prefix length.
struct Network(IpAddr, u32);

impl Network {
    const fn v4(a: u8, b: u8, c: u8, prefix: u32) -> Self {
        Self(IpAddr::V4(Ipv4Addr::new(a, b, c, 0)), prefix)
    }

    const fn v6(a: u16, b: u16, prefix: u32) -> Self {
        Self(IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)), prefix)
    }

    fn holds(&self, ip: IpAddr) -> bool {
        match (self.0, ip) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                (first.to_bits() ^ ip.to_bits()).leading_zeros() >= self.1
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                (first.to_bits() ^ ip.to_bits()).leading_zeros() >= self.1
            }
            _ => false,
        }
    }
}

/// Private networks: RFC 1918, RFC 6598, RFC 4193.
const PRIVATE: [Network; 5] = [
    Network::v4(10, 0, 0, 8),
    Network::v4(100, 64, 0, 10),
    Network::v4(172, 16, 0, 12),
    Network::v4(192, 168, 0, 16),
    Network::v6(0xfc00, 0, 7),
];

/// The IPv4 blocks that the IANA registry of special-purpose addresses does not call globally
/// reachable, besides the private ones, and those that name no machine: multicast, reserved.
const SPECIAL: [Network; 11] = [
    Network::v4(0, 0, 0, 8),
    Network::v4(127, 0, 0, 8),
    Network::v4(169, 254, 0, 16),
    Network::v4(192, 0, 0, 24),
    Network::v4(192, 0, 2, 24),
    Network::v4(192, 88, 99, 24),
    Network::v4(198, 18, 0, 15),
    Network::v4(198, 51, 100, 24),
    Network::v4(203, 0, 113, 24),
    Network::v4(224, 0, 0, 4),
    Network::v4(240, 0, 0, 4),
];

/// The only IPv6 block for global unicast (RFC 4291 §2.4).
const GLOBAL_UNICAST: Network = Network::v6(0x2000, 0, 3);

/// Parts of that block with special uses: protocols (including Teredo), documentation, 6to4.
const NOT_GLOBAL: [Network; 4] = [
    Network::v6(0x2001, 0, 23),
    Network::v6(0x2001, 0xdb8, 32),
    Network::v6(0x2002, 0, 16),
    Network::v6(0x3fff, 0, 20),
];

/// IPv4 addresses embedded in IPv6 (RFC 6052 §2.1). The last four bytes are the IPv4 address.
const NAT64: Network = Network::v6(0x64, 0xff9b, 96);

fn is_public(ip: IpAddr) -> bool {
    let within = |networks: &[Network]| networks.iter().any(|network| network.holds(ip));
    match ip {
        IpAddr::V4(_) => !within(&PRIVATE) && !within(&SPECIAL),
        IpAddr::V6(v6) if NAT64.holds(ip) => {
            let [.., a, b, c, d] = v6.octets();
            is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(_) => GLOBAL_UNICAST.holds(ip) && !within(&NOT_GLOBAL),
    }
}

/// The possible locations of an issuer's metadata, in the order of the requests: OpenID Connect
/// Discovery §4, then the two forms of RFC 8414 §3.1 and §5.
pub(crate) fn metadata(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    [
        format!("{path}/.well-known/openid-configuration"),
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
    ]
    .into_iter()
    .enumerate()
    // Without a path, the first and the last are the same.
    .filter(|(index, _)| *index < 2 || !path.is_empty())
    .map(|(_, path)| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        url
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f10_only_https_is_fetched_and_loopback_where_allowed() {
        for good in [
            "https://id.example/x",
            "https://127.0.0.1/",
            "https://id.example:8443/?a=b",
        ] {
            assert!(parse(good, Plain::Loopback).is_ok(), "{good}");
        }
        for local in [
            "http://127.0.0.1:1/",
            "http://[::1]/",
            "http://localhost:9/a",
        ] {
            assert!(parse(local, Plain::Loopback).is_ok(), "{local}");
        }
        for bad in [
            "http://id.example/",
            "http://169.254.169.254/",
            "http://localhost.example/",
            "http://127.0.0.1.example/",
            "http://user@127.0.0.1/",
            "https://user:secret@id.example/",
            "file:///etc/passwd",
            "data:,x",
            "id.example",
            "",
        ] {
            assert!(parse(bad, Plain::Loopback).is_err(), "{bad}");
        }
    }

    fn reach(issuer: &str) -> Reach {
        Reach::from(&parse(issuer, Plain::Loopback).unwrap())
    }

    #[test]
    fn h13_metadata_lead_nowhere_on_this_machine_or_its_networks_in_any_spelling() {
        let from_outside = reach("https://id.example");
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "x.localhost",
            "x.localhost.",
            "127.0.0.1:8443",
            "127.0.0.1.",
            "127.1",
            "127.255.0.9",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.01",
            "0",
            "0.0.0.0",
            "0.1.2.3",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:a00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::10.1.2.3]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2001:0:7f00:1::]",
            "10.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "%31%32%37.0.0.1",
            "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        ] {
            let url = format!("https://{host}/jwks");
            assert!(from_outside.follow(&url).is_err(), "{host}");
            // Configured addresses may be on any host.
            assert!(parse(&url, Plain::Loopback).is_ok(), "{host}");
        }
        for host in [
            "keys.example",
            "localhost.example",
            "notlocalhost",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.0.1",
            "198.20.0.1",
            "[2606:4700::1]",
            "[64:ff9b::9.9.9.9]",
        ] {
            let url = format!("https://{host}/jwks");
            assert!(from_outside.follow(&url).is_ok(), "{host}");
        }
        assert!(from_outside.follow("http://keys.example/jwks").is_err());
    }

    #[test]
    fn h13_private_networks_are_an_option_and_this_machine_is_not() {
        let inside = reach("https://id.example").with_private_networks();
        for host in [
            "10.0.0.1",
            "100.64.0.1",
            "172.31.0.1",
            "192.168.1.1",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
        ] {
            let url = format!("https://{host}/jwks");
            assert!(inside.follow(&url).is_ok(), "{host}");
        }
        for host in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "0.0.0.0",
            "169.254.169.254",
            "[fe80::1]",
        ] {
            let url = format!("https://{host}/jwks");
            assert!(inside.follow(&url).is_err(), "{host}");
        }
    }

    #[test]
    fn h13_a_host_that_the_app_named_may_be_anywhere() {
        let named = reach("https://10.1.2.3");
        assert!(named.follow("https://10.1.2.3:8443/jwks").is_ok());
        assert!(named.follow("https://10.1.2.4/jwks").is_err());
        let local = reach("http://127.0.0.1:8080");
        for host in ["http://localhost:1", "http://[::1]", "https://x.localhost"] {
            assert!(local.follow(host).is_ok(), "{host}");
        }
        assert!(local.follow("https://10.0.0.1").is_err());
    }

    #[test]
    fn i07_plain_http_elsewhere_only_where_the_app_says_so() {
        let inside = "http://keycloak:8080/realms/main";
        assert!(parse(inside, Plain::Loopback).is_err());
        let named = parse(inside, Plain::Anywhere).unwrap();
        for bad in ["ftp://keycloak/", "http://user@keycloak/", ""] {
            assert!(parse(bad, Plain::Anywhere).is_err(), "{bad}");
        }
        let reach = Reach::from(&named);
        assert!(reach.follow("http://keycloak:8080/certs").is_ok());
        assert!(reach.follow("https://keycloak/certs").is_ok());
        for elsewhere in ["http://keys.example/certs", "http://127.0.0.1/certs"] {
            assert!(reach.follow(elsewhere).is_err(), "{elsewhere}");
        }
        // The metadata of an issuer with TLS must lead to TLS.
        let secure = reach_of_https();
        assert!(secure.follow("http://keycloak:8080/certs").is_err());
    }

    fn reach_of_https() -> Reach {
        Reach::from(&parse("https://keycloak", Plain::Anywhere).unwrap())
    }

    #[test]
    fn metadata_is_looked_for_in_the_three_forms() {
        let forms = |issuer: &str| -> Vec<String> {
            let issuer = parse(issuer, Plain::Loopback).unwrap();
            metadata(&issuer).into_iter().map(String::from).collect()
        };
        assert_eq!(
            forms("https://id.example/t/1"),
            [
                "https://id.example/t/1/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server/t/1",
                "https://id.example/.well-known/openid-configuration/t/1",
            ]
        );
        assert_eq!(
            forms("https://id.example"),
            [
                "https://id.example/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server",
            ]
        );
    }
}
