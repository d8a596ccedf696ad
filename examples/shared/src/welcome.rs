//! The text that an app prints at start.

use crate::users::DemoUser;

/// The address to open, the demo users, and commands to paste into a terminal.
#[must_use]
pub fn welcome(url: &str, demo: &[DemoUser]) -> String {
    // The certificate is self-signed.
    let curl = if url.starts_with("https:") {
        "curl -k"
    } else {
        "curl"
    };
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
Or paste this into another terminal:
  TOKEN=$({curl} -s {url}/login -H 'Content-Type: application/json' -d '{{"username":"{username}","password":"{password}","transport":"body"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  {curl} -i {url}/me -H "Authorization: Bearer $TOKEN"
  {curl} -i {url}/admin -H "Authorization: Bearer $TOKEN"

Access tokens expire after 30 seconds; ACCESS_SECONDS changes that. Repeat the first command for a new one.
Press Ctrl-C to stop.
"#
    ));
    text
}
