//! The page: one HTML file, one style sheet, one script, shared by the apps.
//!
//! 1. It works without script: the server fills in the signed-in user, and forms do the rest.
//! 2. No script or style is inline, so the Content-Security-Policy allows only the app's own files.
//! 3. All values are escaped.

use auth_core::session::Device;
use auth_core::{Authenticated, Timestamp};

use crate::Profile;
use crate::reply::Reply;

/// The policy: no inline script or style, no content from other origins, no framing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

const INDEX: &str = include_str!("../page/index.html");
const DEVICE: &str = include_str!("../page/device.html");

/// The files that the page needs: path, media type, text.
const FILES: &[(&str, &str, &str)] = &[
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_str!("../page/style.css"),
    ),
    (
        "/auth.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/auth.js"),
    ),
    (
        "/app.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/app.js"),
    ),
    (
        "/icon.svg",
        "image/svg+xml",
        include_str!("../page/icon.svg"),
    ),
];

/// The content of the page before any script has run.
#[derive(Clone, Copy, Debug, Default)]
pub struct View<'a> {
    /// The framework that serves it.
    pub framework: &'a str,
    /// The signed-in user.
    pub user: Option<&'a Authenticated<Profile>>,
    /// The user's sessions, one per device.
    pub devices: &'a [Device],
    /// The current time.
    pub now: Timestamp,
    /// The error of the form that was just sent.
    pub error: Option<&'a str>,
}

/// The page.
#[must_use]
pub fn index(view: View<'_>) -> Reply {
    let status = if view.error.is_some() { 403 } else { 200 };
    let hide = |hidden: bool| Filling::Text(if hidden { "hidden" } else { "" });
    let devices: String = view
        .devices
        .iter()
        .map(|device| row(device, view.now))
        .collect();
    let html = fill(INDEX, |name| match name {
        "framework" => Filling::Text(view.framework),
        "hidden_when_out" => hide(view.user.is_none()),
        "hidden_when_in" => hide(view.user.is_some()),
        "hidden_without_error" => hide(view.error.is_none()),
        "error" => Filling::Text(view.error.unwrap_or_default()),
        "name" => Filling::Text(view.user.map_or("", |user| &user.name)),
        "username" => Filling::Text(view.user.map_or("", |user| user.subject())),
        "scope" => Filling::Text(view.user.map_or("", |user| user.scope().as_str())),
        "devices" => Filling::Html(&devices),
        _ => Filling::Text(""),
    });
    Reply::new(status, "text/html; charset=utf-8", html)
        .with_header("content-security-policy", CONTENT_SECURITY_POLICY)
        .with_header("cross-origin-opener-policy", "same-origin")
        .with_header("referrer-policy", "same-origin")
}

/// The file at `path`, if there is one.
#[must_use]
pub fn file(path: &str) -> Option<Reply> {
    let (_, media_type, text) = FILES.iter().find(|(own, ..)| *own == path)?;
    Some(Reply::new(200, media_type, *text))
}

/// The paths of [`file()`].
pub fn files() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(path, ..)| *path)
}

/// A line of the device list.
fn row(device: &Device, now: Timestamp) -> String {
    let sid = device.session().to_string();
    let ago = roughly(now.millis_since(device.created_at()) / 1000);
    let left = roughly(device.expires_at().millis_since(now) / 1000);
    let times = format!("signed in {ago} ago, ends in {left} without use");
    fill(DEVICE, |name| match name {
        "label" => Filling::Text(device.label().unwrap_or("unknown device")),
        "this_one" => Filling::Text(if device.is_current() {
            "(this one)"
        } else {
            ""
        }),
        "times" => Filling::Text(&times),
        "sid" => Filling::Text(&sid),
        _ => Filling::Text(""),
    })
}

/// Formats a duration for people.
fn roughly(seconds: i64) -> String {
    let (count, unit) = match seconds.max(0) {
        1 => (1, "second"),
        seconds @ ..120 => (seconds, "seconds"),
        seconds @ ..7200 => (seconds / 60, "minutes"),
        seconds @ ..172_800 => (seconds / 3600, "hours"),
        seconds => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}

/// The value of a placeholder.
enum Filling<'a> {
    /// Text, to be escaped.
    Text(&'a str),
    /// The output of another [`fill`].
    Html(&'a str),
}

/// Replaces every `{{name}}`.
fn fill<'a>(template: &str, value: impl Fn(&str) -> Filling<'a>) -> String {
    let mut html = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some((before, (name, after))) = rest
        .split_once("{{")
        .and_then(|(before, from)| Some((before, from.split_once("}}")?)))
    {
        html.push_str(before);
        match value(name) {
            Filling::Text(text) => escape_into(&mut html, text),
            Filling::Html(text) => html.push_str(text),
        }
        rest = after;
    }
    html.push_str(rest);
    html
}

fn escape_into(html: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(view: View<'_>) -> String {
        String::from_utf8(index(view).body).unwrap()
    }

    #[test]
    fn what_is_filled_in_is_escaped() {
        let html = html(View {
            error: Some("\"><b> & 'c'"),
            ..View::default()
        });
        assert!(html.contains("&quot;&gt;&lt;b&gt; &amp; &#39;c&#39;"));
        assert!(!html.contains("<b>"));
    }

    #[test]
    fn spans_of_time_are_said_as_people_do() {
        assert_eq!(roughly(-5), "0 seconds");
        assert_eq!(roughly(1), "1 second");
        assert_eq!(roughly(119), "119 seconds");
        assert_eq!(roughly(120), "2 minutes");
        assert_eq!(roughly(14 * 86_400), "14 days");
    }

    #[test]
    fn the_client_script_is_short_enough_to_be_copied_with_understanding() {
        let script = file("/auth.js").unwrap().body;
        assert!(script.iter().filter(|byte| **byte == b'\n').count() < 100);
    }

    #[test]
    fn every_placeholder_is_known() {
        let rest = fill(INDEX, |name| {
            let known = [
                "framework",
                "hidden_when_out",
                "hidden_when_in",
                "hidden_without_error",
                "error",
                "name",
                "username",
                "scope",
                "devices",
            ];
            assert!(known.contains(&name), "{name}");
            Filling::Text("")
        });
        assert!(!rest.contains("{{") && !rest.contains("}}"));
    }

    #[test]
    fn nothing_is_inline_and_every_file_is_there() {
        let html = html(View::default());
        assert!(!html.contains("<style") && !html.contains(" style="));
        assert!(!html.contains(" onclick") && !html.contains("javascript:"));
        assert_eq!(
            html.matches("<script").count(),
            html.matches("<script src=").count()
        );
        let texts = FILES
            .iter()
            .map(|(_, _, text)| *text)
            .chain([html.as_str()]);
        for path in texts
            .flat_map(|text| text.split(['"']))
            .filter(|text| text.starts_with('/') && text.contains('.') && !text.contains(' '))
        {
            assert!(
                file(path).is_some() || path.starts_with("/.well-known"),
                "{path}"
            );
        }
    }
}
