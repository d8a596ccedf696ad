//! Signs of a browser in a request.
//!
//! They select the transport of a login's tokens, and the redirect to a page. Clients do not choose:
//! `Accept` is not read, and scripts of other sites control none of these fields.

use crate::http::request::{RequestView, SingleField, single_field};

/// Whether a page of a browser sent the request: Fetch Metadata, `Origin`, or a form.
pub(crate) fn is_from_page(request: &dyn RequestView) -> bool {
    names_site(request) || is_form(request)
}

/// Whether the request names its site or origin.
pub(crate) fn names_site(request: &dyn RequestView) -> bool {
    ["sec-fetch-site", "origin"]
        .into_iter()
        .any(|name| single_field(request, name) != SingleField::Absent)
}

/// Whether a browser tab displays the response: a navigation by Fetch Metadata, or a form from a
/// browser without Fetch Metadata.
pub(crate) fn navigates(request: &dyn RequestView) -> bool {
    match single_field(request, "sec-fetch-mode") {
        SingleField::One(mode) => mode == b"navigate",
        SingleField::Absent => is_form(request),
        SingleField::Repeated => false,
    }
}

/// Whether the body has a media type of HTML forms.
fn is_form(request: &dyn RequestView) -> bool {
    let SingleField::One(media) = single_field(request, "content-type") else {
        return false;
    };
    let media = media.split(|byte| *byte == b';').next().unwrap_or_default();
    let media = media.trim_ascii();
    [
        &b"application/x-www-form-urlencoded"[..],
        b"multipart/form-data",
    ]
    .iter()
    .any(|form| media.eq_ignore_ascii_case(form))
}
