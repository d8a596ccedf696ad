//! The interstitial page: the response to a navigation from another site whose session needs a
//! refresh.
//!
//! 1. A request that another site may have caused is never refreshed. That site could cancel the
//!    response, so that the new refresh token is lost, repeatedly, until the user's own token
//!    counts as reused.
//! 2. Such a request gets a page that is safe to lose, which navigates to the same URL again. That
//!    navigation comes from this site, carries `SameSite=Strict` cookies too, and is refreshed like
//!    any other. The other site's page is gone by then, and `Cross-Origin-Opener-Policy` has removed
//!    its reference to the window.
//! 3. A short-lived cookie records the URL for which the browser got the page. The same URL within
//!    10 seconds gets a page with only a link, so a browser, or a proxy, that marks every request as
//!    cross-site does not loop. The cookie is no secret and proves nothing: a forged one results in a
//!    page with a link to click.

use aws_lc_rs::digest;

use crate::http::header::SET_COOKIE;
use crate::http::request::RequestView;
use crate::http::response::Response;
use crate::http::same_url::SameUrl;

const HTML: &str = "text/html; charset=utf-8";
const NOTE: &str = "__Host-Http-interstitial";
const NOTE_ATTRIBUTES: &str = "; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=10";

/// The response to a navigation from another site with a session to refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interstitial {
    Shown,
    /// No page: the request counts as one without an access cookie.
    Omitted,
}

/// The page that navigates to the URL of the request again.
pub(crate) fn interstitial(request: &dyn RequestView) -> Response {
    let target = request.target();
    let link = SameUrl::of(target).to_html();
    let note = format!("{NOTE}={}", fingerprint(target));
    let response = Response::new(200)
        .no_store()
        .with_header("content-security-policy", "default-src 'none'")
        .with_header("cross-origin-opener-policy", "same-origin")
        .with_header("referrer-policy", "no-referrer");
    if carries(request, note.as_bytes()) {
        return response.with_content(HTML, page("", &link));
    }
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"0;url={link}\">\n");
    response
        .with_header(SET_COOKIE, note + NOTE_ATTRIBUTES)
        .with_content(HTML, page(&refresh, &link))
}

/// Checks rule 3.
fn carries(request: &dyn RequestView, pair: &[u8]) -> bool {
    let mut found = false;
    request.visit_header("cookie", &mut |line| {
        found |= line
            .split(|byte| *byte == b';')
            .any(|own| own.trim_ascii() == pair);
    });
    found
}

/// A fingerprint of the URL, in 16 characters of a cookie value.
fn fingerprint(target: &str) -> String {
    let digest = digest::digest(&digest::SHA256, target.as_bytes());
    let part = digest.as_ref().get(..12).unwrap_or_default();
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(part)
}

fn page(refresh: &str, link: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n{refresh}\
         <title>One moment</title>\n<p><a href=\"{link}\">Continue</a></p>\n</html>\n"
    )
}
