//! The interstitial page: what a browser gets that comes by a link of another site while its session
//! needs a refresh.
//!
//! 1. What another site may have caused is never refreshed: it could stop the answer half-way, and
//!    with it the new refresh token, again and again, until the honest user looks like a thief.
//! 2. So the browser gets a page of ours that is safe to lose, which navigates to the same URL
//!    once more. That navigation is this site's own, carries `SameSite=Strict` cookies too, and is
//!    refreshed like any other; the other site's page is gone by then, and
//!    `Cross-Origin-Opener-Policy` has taken its handle on the window.
//! 3. A short-lived cookie notes for which URL a browser got the page. The same URL again within
//!    10 seconds gets a page with the link alone, so a browser, or a proxy, that calls everything
//!    cross-site does not go round. It is no secret and proves nothing: whoever forges it gets a
//!    page where they have to click.

use aws_lc_rs::digest;

use crate::http::answer::{Body, Response};
use crate::http::header::SET_COOKIE;
use crate::http::request::RequestView;
use crate::http::same_url::SameUrl;

const NOTE: &str = "__Host-Http-interstitial";
const NOTE_ATTRIBUTES: &str = "; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=10";

/// What a visitor gets who comes by a link of another site and has a session to refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interstitial {
    Shown,
    /// No page; they are a visitor without an access cookie.
    Omitted,
}

/// The page that sends a browser to the URL of its request once more.
pub(crate) fn interstitial(request: &dyn RequestView) -> Response {
    let target = request.target();
    let link = SameUrl::of(target).to_html();
    let note = format!("{NOTE}={}", fingerprint(target));
    let answer = Response::new(200)
        .no_store()
        .with_header("content-security-policy", "default-src 'none'")
        .with_header("cross-origin-opener-policy", "same-origin")
        .with_header("referrer-policy", "no-referrer");
    if carries(request, note.as_bytes()) {
        return answer.with_body(page("", &link));
    }
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"0;url={link}\">\n");
    answer
        .with_header(SET_COOKIE, note + NOTE_ATTRIBUTES)
        .with_body(page(&refresh, &link))
}

/// Rule 3.
fn carries(request: &dyn RequestView, pair: &[u8]) -> bool {
    let mut found = false;
    request.visit_header("cookie", &mut |line| {
        found |= line
            .split(|byte| *byte == b';')
            .any(|own| own.trim_ascii() == pair);
    });
    found
}

/// What tells one URL from another, in 16 characters of a cookie.
fn fingerprint(target: &str) -> String {
    let digest = digest::digest(&digest::SHA256, target.as_bytes());
    let part = digest.as_ref().get(..12).unwrap_or_default();
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(part)
}

fn page(refresh: &str, link: &str) -> Body {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n{refresh}\
         <title>One moment</title>\n<p><a href=\"{link}\">Continue</a></p>\n</html>\n"
    );
    Body::new("text/html; charset=utf-8", html)
}
