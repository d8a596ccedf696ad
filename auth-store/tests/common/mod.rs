//! What the stores' tests share.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code
)]

use std::io::Write;
use std::sync::Arc;

use auth_core::session::{
    ClientInfo, LoginRequest, Outcome, RefreshKey, RefreshKeys, RefreshStore, Sessions,
};
use auth_core::{Issuer, Key};

/// The address of the server that `variable` names. Without one the caller's test shows nothing,
/// which CI does not accept, and of which everybody else is told: past the test harness, which keeps
/// the output of tests that pass to itself.
pub(crate) fn server(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} is not set");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {variable} is not set");
    }
    url
}

/// Logs in and refreshes over `store`, and answers with everything that could be presented, or
/// that a token could be made from, in every form in which a dump might show it.
pub(crate) async fn presentable(store: Arc<dyn RefreshStore>) -> Vec<Vec<u8>> {
    let secret: [u8; 32] = std::array::from_fn(|n| (n as u8).wrapping_mul(37) ^ 0xA7);
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap();
    let keys = RefreshKeys::new(RefreshKey::new(1, &secret).unwrap());
    let sessions = Sessions::builder(issuer, store, keys).build().unwrap();
    let login = sessions
        .login(LoginRequest::for_subject("alice"))
        .await
        .unwrap();
    let first = login.refresh().unwrap().expose().to_owned();
    let Outcome::Granted(next) = sessions.refresh(&first, &ClientInfo::new()).await else {
        panic!("the first refresh is granted")
    };
    let second = next.refresh().unwrap().expose().to_owned();
    assert_ne!(first, second);
    let mut needles = vec![secret.to_vec()];
    for token in [first, second] {
        let body = token.strip_prefix("rt1_").unwrap();
        let raw = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(body).unwrap();
        let (session_secret, mac) = (&raw[1..33], &raw[37..]);
        for bytes in [session_secret, mac] {
            needles.push(bytes.to_vec());
            for upper in [false, true] {
                let hex = bytes.iter().map(|byte| match upper {
                    true => format!("{byte:02X}"),
                    false => format!("{byte:02x}"),
                });
                needles.push(hex.collect::<String>().into_bytes());
            }
            needles.push(base64_simd::STANDARD.encode_to_string(bytes).into_bytes());
            needles.push(
                base64_simd::URL_SAFE_NO_PAD
                    .encode_to_string(bytes)
                    .into_bytes(),
            );
        }
        needles.push(token.into_bytes());
    }
    for access in [login.access(), next.access()] {
        needles.push(access.expose().as_bytes().to_vec());
    }
    needles
}

/// Fails if one of the needles is in the dump.
pub(crate) fn assert_absent(dump: &[u8], needles: &[Vec<u8>]) {
    assert!(!dump.is_empty());
    for needle in needles {
        assert!(
            !dump
                .windows(needle.len())
                .any(|window| window == &needle[..])
        );
    }
}
