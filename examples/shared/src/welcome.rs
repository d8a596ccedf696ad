//! What an app prints when it is ready.

use std::net::SocketAddr;

use crate::users::DemoUser;

/// The address to open, the demo users, and commands to paste into a terminal.
#[must_use]
pub fn welcome(listening: SocketAddr, demo: &[DemoUser]) -> String {
    let url = url(listening);
    let mut text = format!("listening {url}\n\nOpen {url} in a browser and sign in as\n");
    for DemoUser { user, password } in demo {
        let (username, scope) = (&user.username, &user.scope);
        text.push_str(&format!("  {username:6} {password:20} (scopes: {scope})\n"));
    }
    let Some(DemoUser { user, password }) = demo.first() else {
        return text;
    };
    let username = &user.username;
    text.push_str(&format!(
        r#"
or paste into another terminal:
  TOKEN=$(curl -s {url}/login -H 'Content-Type: application/json' -d '{{"username":"{username}","password":"{password}","transport":"body"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -i {url}/me -H "Authorization: Bearer $TOKEN"
  curl -i {url}/admin -H "Authorization: Bearer $TOKEN"

Tokens live for 30 seconds here, or for as long as ACCESS_SECONDS says; then take another.
Press Ctrl-C to stop.
"#
    ));
    text
}

/// `localhost` rather than an address: it is what browsers exempt from HTTPS for cookies.
fn url(listening: SocketAddr) -> String {
    if listening.ip().is_loopback() || listening.ip().is_unspecified() {
        format!("http://localhost:{}", listening.port())
    } else {
        format!("http://{listening}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_one_that_browsers_keep_cookies_for() {
        let url = |text: &str| url(text.parse().unwrap());
        assert_eq!(url("127.0.0.1:3000"), "http://localhost:3000");
        assert_eq!(url("0.0.0.0:80"), "http://localhost:80");
        assert_eq!(url("192.0.2.1:3000"), "http://192.0.2.1:3000");
    }
}
