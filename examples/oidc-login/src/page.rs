//! The pages.

use auth_core::{AuthError, Authenticated};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::accounts::Profile;

/// The signed-in user, or the button to sign in.
pub fn home(user: Option<&Authenticated<Profile>>, provider: &str) -> Response {
    let body = match user {
        Some(user) => format!(
            "<p>Signed in as <b>{}</b> ({}).</p>\
             <p><a href=/account>Your account</a></p>\
             <form method=post action=/logout><button>Sign out</button></form>",
            escape(&user.name),
            escape(user.subject()),
        ),
        None => "<p>You are not signed in.</p>\
             <form method=post action=/login><button>Sign in with Example ID</button></form>"
            .to_owned(),
    };
    show(StatusCode::OK, provider, &body)
}

/// A page that requires a recent login.
pub fn account(user: &Authenticated<Profile>, provider: &str) -> Response {
    let body = format!("<p>The account of <b>{}</b>.</p>", escape(&user.name));
    show(StatusCode::OK, provider, &body)
}

/// A button for another login, with the route's requirements for the provider.
pub fn sign_in_again(refused: &AuthError, provider: &str) -> Response {
    let mut fields = String::new();
    if let Some(max_age) = refused.max_age() {
        let seconds = max_age.as_secs();
        fields.push_str(&format!("<input type=hidden name=max_age value={seconds}>"));
    }
    let classes: Vec<&str> = refused.acr_values().collect();
    if !classes.is_empty() {
        let classes = escape(&classes.join(" "));
        fields.push_str(&format!(
            "<input type=hidden name=acr_values value=\"{classes}\">"
        ));
    }
    let body = format!(
        "<p>To go on, prove once more that it is you.</p>\
         <form method=post action=/login>{fields}<button>Sign in with Example ID</button></form>"
    );
    show(StatusCode::UNAUTHORIZED, provider, &body)
}

/// The page for a failed login.
pub fn failed(status: StatusCode, provider: &str) -> Response {
    let body = "<p>That sign-in could not be completed. Nothing has changed.</p>\
        <p><a href=/>Start again</a></p>";
    show(status, provider, body)
}

/// Renders a page without script and frames. Forms lead to the app and on to the provider, since
/// browsers check redirects too.
pub fn show(status: StatusCode, provider: &str, body: &str) -> Response {
    let policy = format!(
        "default-src 'none'; form-action 'self' {provider}; frame-ancestors 'none'; base-uri 'none'"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
    ];
    let page = format!("<!doctype html><meta charset=utf-8><title>Example</title>{body}");
    (status, headers, page).into_response()
}

/// Text as HTML.
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
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
    html
}
