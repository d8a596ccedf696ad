//! Discovery of keys: the locations of metadata, and the required issuer in them.

use std::sync::Arc;

use auth_core::Algorithm;
use auth_core::remote::{FetchFault, RemoteKeys};
use auth_jwks::RemoteIssuer;
use auth_jwks::testing::{Document, FakeAnswer, FakeProvider};

use crate::world::{COOL_DOWN, T0, clock, status, trusting};

const PLACES: [Document; 3] = [
    Document::OpenIdConfiguration,
    Document::AuthorizationServer,
    Document::OpenIdConfigurationBefore,
];

fn provider() -> FakeProvider {
    FakeProvider::start_at("/tenants/1", Algorithm::Es256).unwrap()
}

fn discover(issuer: &str) -> RemoteKeys {
    let issuer = RemoteIssuer::discover(issuer).algorithms([Algorithm::Es256]);
    issuer.with_clock(clock()).start().unwrap()
}

async fn fault(keys: &RemoteKeys) -> FetchFault {
    keys.load().await.unwrap_err().fault()
}

#[tokio::test]
async fn metadata_are_found_in_each_of_the_three_places() {
    for place in 0..3 {
        for missing in [404, 401, 403, 405, 410] {
            let provider = provider();
            for absent in &PLACES[..place] {
                provider.answer(*absent, FakeAnswer::Status(missing));
            }
            let clock = clock();
            let keys = discover(provider.issuer());
            let auth = trusting(&keys, &clock);
            assert_eq!(status(&auth, &provider.token(T0).mint()).await, 200);
            for (index, document) in PLACES.into_iter().enumerate() {
                let asked = u64::from(index <= place);
                assert_eq!(provider.requests(document), asked, "{document:?} {missing}");
            }
        }
    }
}

#[tokio::test]
async fn nowhere_to_be_found_is_an_error_after_three_requests() {
    let provider = provider();
    for place in PLACES {
        provider.answer(place, FakeAnswer::Status(404));
    }
    assert_eq!(
        fault(&discover(provider.issuer())).await,
        FetchFault::Status
    );
    assert_eq!(provider.all_requests(), 3);
}

#[tokio::test]
async fn trouble_is_not_absence() {
    for (answer, expected) in [
        (FakeAnswer::Status(500), FetchFault::Status),
        (FakeAnswer::Status(204), FetchFault::Status),
        (FakeAnswer::Html, FetchFault::Malformed),
        (FakeAnswer::HangUp, FetchFault::Unreachable),
        (FakeAnswer::RedirectLoop, FetchFault::Redirected),
    ] {
        let provider = provider();
        provider.answer(Document::OpenIdConfiguration, answer.clone());
        let keys = discover(provider.issuer());
        assert_eq!(fault(&keys).await, expected, "{answer:?}");
        assert_eq!(provider.all_requests(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_are_refused_and_its_keys_not_fetched() {
    let provider = provider();
    let issuer = provider.issuer().to_owned();
    for named in [
        "https://evil.example",
        &format!("{issuer}/"),
        &issuer.replace("/1", "/2"),
        &issuer.to_uppercase(),
        &issuer.replace("127.0.0.1", "localhost"),
        "{tenantid}",
        "",
    ] {
        provider.name_issuer(named);
        let keys = discover(&issuer);
        assert_eq!(fault(&keys).await, FetchFault::Issuer, "{named}");
    }
    assert_eq!(provider.requests(Document::Jwks), 0);
}

#[tokio::test]
async fn an_issuer_is_what_it_is_called_down_to_the_slash() {
    let provider = FakeProvider::start_at("/", Algorithm::Es256).unwrap();
    assert!(provider.issuer().ends_with('/'));
    // The issuer's path is a slash; the location of metadata is as without it.
    provider.name_jwks_uri(&format!("{}/jwks", provider.issuer()));
    let keys = discover(provider.issuer());
    assert!(fault(&keys).await != FetchFault::Issuer);
    let without = discover(provider.issuer().trim_end_matches('/'));
    assert_ne!(without.issuer(), keys.issuer());
}

#[tokio::test]
async fn f10_metadata_lead_to_no_address_that_may_not_be_fetched() {
    let provider = provider();
    for address in [
        "http://id.example/jwks",
        "http://169.254.169.254/latest/meta-data/",
        "http://user:secret@127.0.0.1/jwks",
        "file:///etc/passwd",
        "ftp://127.0.0.1/jwks",
        "/jwks",
        "jwks",
        "",
    ] {
        provider.name_jwks_uri(address);
        let keys = discover(provider.issuer());
        assert_eq!(fault(&keys).await, FetchFault::Url, "{address}");
    }
    assert_eq!(provider.requests(Document::Jwks), 0);
}

#[tokio::test]
async fn f10_plain_http_is_refused_when_starting() {
    for issuer in [
        "http://id.example",
        "http://10.0.0.1/realms/main",
        "http://169.254.169.254",
        "http://localhost.example",
        "ftp://127.0.0.1",
        "id.example",
    ] {
        let discovered = RemoteIssuer::discover(issuer).algorithms([Algorithm::Es256]);
        assert!(discovered.start().is_err(), "{issuer}");
        let named = RemoteIssuer::jwks("https://id.example", issuer);
        assert!(
            named.algorithms([Algorithm::Es256]).start().is_err(),
            "{issuer}"
        );
    }
    let secret = RemoteIssuer::discover("https://id.example").algorithms([Algorithm::Hs256]);
    assert!(secret.start().is_err());
    let none = RemoteIssuer::discover("https://id.example").algorithms([]);
    assert!(none.start().is_err());
}

#[tokio::test]
async fn what_does_not_speak_tls_is_not_trusted() {
    let provider = FakeProvider::start().unwrap();
    let secure = provider.jwks_uri().replace("http:", "https:");
    let keys = RemoteIssuer::jwks("https://id.example", secure)
        .algorithms([Algorithm::Es256])
        .start()
        .unwrap();
    assert_eq!(fault(&keys).await, FetchFault::Unreachable);
    assert_eq!(provider.all_requests(), 0);
}

#[tokio::test]
async fn keys_that_have_moved_are_found_again() {
    let (provider, new_home) = (provider(), provider());
    let clock = clock();
    let keys = RemoteIssuer::discover(provider.issuer())
        .algorithms([Algorithm::Es256])
        .with_clock(Arc::clone(&clock) as _)
        .start()
        .unwrap();
    keys.load().await.unwrap();
    let auth = trusting(&keys, &clock);
    // Metadata are kept as long as their key set is available.
    let pass = || clock.advance(std::time::Duration::from_secs(COOL_DOWN));
    pass();
    let unknown = || provider.token(T0).header("kid", "x").mint();
    assert_eq!(status(&auth, &unknown()).await, 401);
    assert_eq!(provider.requests(Document::OpenIdConfiguration), 1);

    provider.name_jwks_uri(&new_home.jwks_uri());
    provider.answer(Document::Jwks, FakeAnswer::Status(410));
    new_home.rotate();
    pass();
    let theirs = || new_home.token(T0).claim("iss", provider.issuer()).mint();
    assert_eq!(status(&auth, &theirs()).await, 503);
    pass();
    assert_eq!(status(&auth, &theirs()).await, 200);
    assert_eq!(provider.requests(Document::OpenIdConfiguration), 2);
}

#[tokio::test]
async fn a_validator_is_shown_only_where_it_came_from() {
    let (provider, new_home) = (provider(), provider());
    let clock = clock();
    let keys = RemoteIssuer::discover(provider.issuer())
        .algorithms([Algorithm::Es256])
        .with_clock(Arc::clone(&clock) as _)
        .start()
        .unwrap();
    keys.load().await.unwrap();
    let auth = trusting(&keys, &clock);
    let pass = || clock.advance(std::time::Duration::from_secs(COOL_DOWN));
    provider.name_jwks_uri(&new_home.jwks_uri());
    provider.answer(Document::Jwks, FakeAnswer::Status(410));
    // The server matches any validator, for example because it counts versions.
    new_home.answer(Document::Jwks, FakeAnswer::Status(304));
    new_home.rotate();
    let theirs = || new_home.token(T0).claim("iss", provider.issuer()).mint();
    for expected in [FetchFault::Status, FetchFault::Redirected] {
        pass();
        // The result is unknown: the keys from the old address must not count as current.
        assert_eq!(status(&auth, &theirs()).await, 503, "{expected:?}");
        assert_eq!(keys.status().last_fault, Some(expected));
    }
    new_home.answer(Document::Jwks, FakeAnswer::Document);
    pass();
    assert_eq!(status(&auth, &theirs()).await, 200);
}
