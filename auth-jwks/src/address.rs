//! Which addresses may be fetched, and where metadata is found.

use auth_core::remote::{FetchError, FetchFault};
use reqwest::Url;

/// An address that may be fetched: `https`, or `http` to this machine where that is `allowed`.
pub(crate) fn parse(text: &str, loopback_allowed: bool) -> Result<Url, FetchError> {
    let url = Url::parse(text).map_err(|_| FetchError::new(FetchFault::Url))?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    let secure = match url.scheme() {
        "https" => url.host_str().is_some(),
        "http" => loopback_allowed && is_loopback(&url),
        _ => false,
    };
    if anonymous && secure {
        Ok(url)
    } else {
        Err(FetchError::new(FetchFault::Url))
    }
}

/// Whether the address is on this machine, by its name and without asking a resolver.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Where an issuer's metadata may be, in the order in which it is looked for: OpenID Connect
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
    // Without a path the first and the last are the same.
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
            assert!(parse(good, false).is_ok(), "{good}");
        }
        for local in [
            "http://127.0.0.1:1/",
            "http://[::1]/",
            "http://localhost:9/a",
        ] {
            assert!(parse(local, true).is_ok(), "{local}");
            assert!(parse(local, false).is_err(), "{local}");
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
            assert!(parse(bad, true).is_err(), "{bad}");
        }
    }

    #[test]
    fn metadata_is_looked_for_in_the_three_forms() {
        let forms = |issuer: &str| -> Vec<String> {
            let issuer = parse(issuer, false).unwrap();
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
