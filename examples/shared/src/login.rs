//! The login request: an HTML form, or the same fields as JSON.

use std::fmt;
use std::time::Duration;

use auth_core::Transport;
use auth_core::session::{LoginRequest, LoginStart};
use serde::Deserialize;

use crate::reply::Reply;

/// A checkbox of a form, or a boolean of a script.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Remember {
    Script(bool),
    Form(On),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum On {
    On,
}

/// A login request.
#[derive(Deserialize)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
    /// `"body"` for clients without cookies. Any other value means cookies.
    #[serde(default)]
    transport: Option<String>,
    /// Whether the browser keeps the cookies when it is closed. The checkbox of a form sends `on`
    /// or is omitted.
    #[serde(default)]
    remember: Option<Remember>,
    /// Whether it came from an HTML form, so that the response is a page and not JSON.
    #[serde(skip)]
    pub is_form: bool,
}

impl Credentials {
    /// Reads the body, by its media type.
    ///
    /// # Errors
    /// The response to send: 415 for another media type, 400 for a malformed body.
    pub fn read(content_type: &str, body: &[u8]) -> Result<Self, Reply> {
        let media_type = content_type.split(';').next().unwrap_or_default();
        let bad = |_| Reply::problem(400, "username and password are required");
        match media_type.trim() {
            "application/json" => {
                serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
            }
            "application/x-www-form-urlencoded" => serde_urlencoded::from_bytes(body)
                .map(|request| Self {
                    is_form: true,
                    ..request
                })
                .map_err(|error| bad(error.to_string())),
            _ => Err(Reply::problem(415, "send a form or JSON")),
        }
    }
}

impl Credentials {
    /// The transport of the tokens: cookies or the response's body.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.transport.as_deref() {
            Some("body") => Transport::Body,
            _ => Transport::Cookie,
        }
    }

    /// The login for these credentials, after they are checked. The user agent determines the label
    /// of the device.
    pub fn login(&self, start: LoginStart, user_agent: &str) -> LoginRequest {
        let login = LoginRequest::started(start)
            .with_amr(["pwd"])
            .with_label(&device_name(user_agent));
        match self.remember {
            Some(Remember::Script(true) | Remember::Form(On::On)) => login,
            // A shared computer: the session ends with the browser, or after a day without use.
            _ if self.transport() == Transport::Cookie => login
                .with_nonpersistent_cookies()
                .with_idle(Duration::from_secs(24 * 60 * 60)),
            _ => login,
        }
    }
}

/// A readable name for a user agent, precise enough for the device list.
fn device_name(user_agent: &str) -> String {
    // The order matters: every browser also names its predecessors.
    const PROGRAMS: &[(&str, &str)] = &[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: &[(&str, &str)] = &[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |table: &[(&str, &'static str)]| {
        let mut rows = table.iter();
        rows.find(|(mark, _)| user_agent.contains(mark))
            .map(|(_, name)| *name)
    };
    match (find(PROGRAMS), find(SYSTEMS)) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "another program".to_owned(),
    }
}

/// Omits the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_json_say_the_same() {
        let form = Credentials::read(
            "application/x-www-form-urlencoded",
            b"username=alice&password=a%26b",
        );
        let json = Credentials::read(
            "application/json; charset=utf-8",
            br#"{"username":"alice","password":"a&b"}"#,
        );
        let (form, json) = (form.unwrap(), json.unwrap());
        assert_eq!((form.password.as_str(), form.is_form), ("a&b", true));
        assert_eq!((json.password.as_str(), json.is_form), ("a&b", false));
        assert_eq!(json.transport(), Transport::Cookie);
        assert!(!format!("{json:?}").contains("a&b"));
    }

    #[test]
    fn remembering_is_asked_for_by_a_checkbox_or_a_script() {
        let remembers = |content_type, body: &[u8]| {
            let credentials = Credentials::read(content_type, body).unwrap();
            matches!(
                credentials.remember,
                Some(Remember::Script(true) | Remember::Form(On::On))
            )
        };
        let form = "application/x-www-form-urlencoded";
        assert!(remembers(form, b"username=a&password=b&remember=on"));
        assert!(!remembers(form, b"username=a&password=b"));
        let json = "application/json";
        assert!(remembers(
            json,
            br#"{"username":"a","password":"b","remember":true}"#
        ));
        assert!(!remembers(
            json,
            br#"{"username":"a","password":"b","remember":false}"#
        ));
        assert!(!remembers(json, br#"{"username":"a","password":"b"}"#));
    }

    #[test]
    fn devices_are_called_what_people_call_them() {
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
            (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0";
        assert_eq!(device_name(windows), "Edge on Windows");
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
            (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";
        assert_eq!(device_name(phone), "Safari on iPhone");
        assert_eq!(device_name("curl/8.5.0"), "curl");
        assert_eq!(device_name(""), "another program");
    }

    #[test]
    fn other_bodies_are_refused() {
        let status = |content_type, body: &[u8]| {
            Credentials::read(content_type, body)
                .err()
                .map(|reply| reply.status)
        };
        assert_eq!(status("", b"{}"), Some(415));
        assert_eq!(status("text/plain", b"{}"), Some(415));
        assert_eq!(status("application/json", b"{}"), Some(400));
        assert_eq!(status("application/json", b""), Some(400));
    }
}
