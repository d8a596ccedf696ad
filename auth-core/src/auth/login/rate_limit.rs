//! [`RateLimitKey`]: the key under which an app counts attempts to sign in.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;

const LABEL: &[u8] = b"auth rate limit";
const KEY_LEN: usize = 16;

/// A digest of subject and client, for a rate limiter.
///
/// Addresses of IPv6 count by their network of 64 bits, which one client may use as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimitKey([u8; KEY_LEN]);

impl RateLimitKey {
    pub(super) fn of(subject: &str, ip: Option<&str>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        let network = ip.map(network).unwrap_or_default();
        for part in [LABEL, subject.as_bytes(), network.as_bytes()] {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            context.update(&length.to_be_bytes());
            context.update(part);
        }
        let digest = context.finish();
        let start = digest.as_ref().first_chunk().copied();
        Self(start.unwrap_or([0; KEY_LEN]))
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

/// The key in base64url, for limiters whose keys are text.
impl fmt::Display for RateLimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode_to_string(self.0))
    }
}

fn network(ip: &str) -> String {
    match ip.parse().map(|ip: IpAddr| ip.to_canonical()) {
        Ok(IpAddr::V6(ip)) => {
            let network = ip.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(network).to_string()
        }
        Ok(ip) => ip.to_string(),
        Err(_) => ip.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_subjects_and_networks_apart() {
        let key = RateLimitKey::of;
        assert_eq!(
            key("alice", Some("10.0.0.1")),
            key("alice", Some("10.0.0.1"))
        );
        assert_ne!(key("alice", Some("10.0.0.1")), key("bob", Some("10.0.0.1")));
        assert_ne!(
            key("alice", Some("10.0.0.1")),
            key("alice", Some("10.0.0.2"))
        );
        assert_ne!(key("alice", None), key("alic", Some("e")));
        assert_eq!(key("a", Some("2001:db8::1")), key("a", Some("2001:db8::2")));
        assert_ne!(
            key("a", Some("2001:db8::1")),
            key("a", Some("2001:db8:0:1::1"))
        );
        assert_eq!(
            key("a", Some("::ffff:10.0.0.1")),
            key("a", Some("10.0.0.1"))
        );
        assert_eq!(key("a", None).to_string().len(), 22);
    }
}
