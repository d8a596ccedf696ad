//! [`RequestView`]: the request as core sees it, independent of the framework.

use crate::base::client::ClientInfo;
use std::fmt;
use std::net::IpAddr;

/// An object-safe view of the head of a request.
///
/// Each adapter implements it for a newtype over the request of its framework. Core never reads the
/// body, a credential in the query string or an `X-Forwarded-*` field.
///
/// ```
/// use auth_core::adapter::RequestView;
///
/// struct Head {
///     fields: Vec<(&'static str, Vec<u8>)>,
/// }
///
/// impl RequestView for Head {
///     fn method(&self) -> &str {
///         "GET"
///     }
///     fn path(&self) -> &str {
///         "/me"
///     }
///     fn target(&self) -> &str {
///         "/me?page=2"
///     }
///     fn authority(&self) -> Option<&str> {
///         None
///     }
///     fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
///         for (field, value) in &self.fields {
///             if field.eq_ignore_ascii_case(name) {
///                 visit(value);
///             }
///         }
///     }
/// }
///
/// let head = Head { fields: vec![("Authorization", b"Bearer abc".to_vec())] };
/// let mut seen = 0;
/// head.visit_header("authorization", &mut |_| seen += 1);
/// assert_eq!(seen, 1);
/// ```
pub trait RequestView {
    /// The method as sent. Methods are case-sensitive (RFC 9110 §9.1).
    fn method(&self) -> &str;

    /// The path of the request target, without the query.
    fn path(&self) -> &str;

    /// The path and query of the request target as the client sent them, with the prefixes that a
    /// router removes, and not decoded. Used only to redirect the browser to the same URL; never
    /// shown.
    fn target(&self) -> &str;

    /// Host and optional port of the request: the authority of the request target if it has one
    /// (HTTP/2 `:authority`), else the `Host` field. `None` if it is missing, repeated or
    /// unreadable ([`request_authority`] decides). Never taken from a forwarding field.
    fn authority(&self) -> Option<&str>;

    /// Calls `visit` with the raw bytes of every field line named `name`, in order.
    ///
    /// `name` is in lower case; implementations compare without regard to case. A field sent on
    /// several lines is visited once per line.
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8]));
}

/// The authority of a request, for [`RequestView::authority`]. It is the authority of the request
/// target if there is one (HTTP/2, RFC 9113 §8.3.1; HTTP/1 absolute form, RFC 9112 §3.2.2), else
/// the `Host` field.
///
/// `None` if the two differ, if `Host` is repeated or unreadable, or if the target has user
/// information: another hop may have believed the other value.
///
/// ```
/// use auth_core::adapter::request_authority;
///
/// let host = b"api.example".as_slice();
/// assert_eq!(request_authority(None, [host]), Some("api.example"));
/// assert_eq!(request_authority(Some("api.example"), []), Some("api.example"));
/// assert_eq!(request_authority(Some("evil.example"), [host]), None);
/// assert_eq!(request_authority(None, [host, host]), None);
/// ```
#[must_use]
pub fn request_authority<'r>(
    target: Option<&'r str>,
    hosts: impl IntoIterator<Item = &'r [u8]>,
) -> Option<&'r str> {
    let mut hosts = hosts.into_iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return None;
    }
    let host = match host {
        Some(host) if host.is_ascii() => Some(std::str::from_utf8(host).ok()?),
        Some(_) => return None,
        None => None,
    };
    match (target, host) {
        (Some(target), _) if target.contains('@') => None,
        (Some(target), Some(host)) => host.eq_ignore_ascii_case(target).then_some(target),
        (Some(target), None) => Some(target),
        (None, host) => host,
    }
}

/// The header fields that a [`RequestSnapshot`] keeps: those that the rules read, and those by
/// which a [`Responder`](crate::Responder) may choose a body.
const KEPT_FIELDS: [&str; 11] = [
    "accept",
    "accept-language",
    "access-control-request-method",
    "content-type",
    "origin",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "upgrade",
    "user-agent",
    "x-requested-with",
];

/// The parts of a request that a deferred decision and its response need. It holds no credential,
/// unless the app puts one into its query.
pub(crate) struct RequestSnapshot {
    method: Box<str>,
    path: Box<str>,
    target: Box<str>,
    authority: Option<Box<str>>,
    fields: Vec<(Box<str>, Box<[u8]>)>,
}

impl RequestSnapshot {
    /// Copies the usual fields of a request, and those named in `extra`.
    pub(crate) fn of<'n>(
        request: &dyn RequestView,
        extra: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        let mut fields = Vec::new();
        let extra = extra.into_iter().filter(|name| !KEPT_FIELDS.contains(name));
        for name in KEPT_FIELDS.into_iter().chain(extra) {
            request.visit_header(name, &mut |value| fields.push((name.into(), value.into())));
        }
        Self {
            method: request.method().into(),
            path: request.path().into(),
            target: request.target().into(),
            authority: request.authority().map(Into::into),
            fields,
        }
    }
}

impl RequestView for RequestSnapshot {
    fn method(&self) -> &str {
        &self.method
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn target(&self) -> &str {
        &self.target
    }

    fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        for (_, value) in self.fields.iter().filter(|(field, _)| **field == *name) {
            visit(value);
        }
    }
}

/// Shows method and path only: a query may hold a credential.
impl fmt::Debug for RequestSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSnapshot")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl ClientInfo {
    /// Reads the client's user agent and address. The user agent is left out if it is repeated; the
    /// address comes from `ip_field`, which the proxy in front of the app writes, if there is one.
    pub(crate) fn of(request: &dyn RequestView, ip_field: Option<&str>) -> Self {
        let mut client = Self::new();
        if let SingleField::One(value) = single_field(request, "user-agent") {
            client = client.with_user_agent(String::from_utf8_lossy(value));
        }
        if let Some(name) = ip_field
            && let SingleField::One(value) = single_field(request, name)
            && let Some(ip) = address(value)
        {
            client = client.with_ip(ip.to_string());
        }
        client
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let ip: IpAddr = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    Some(ip.to_canonical())
}

/// The value of a field that must not be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SingleField<'r> {
    Absent,
    One(&'r [u8]),
    Repeated,
}

/// Reads a field that may occur at most once.
pub(crate) fn single_field<'r>(request: &'r dyn RequestView, name: &str) -> SingleField<'r> {
    let mut found = SingleField::Absent;
    request.visit_header(name, &mut |value| {
        found = match found {
            SingleField::Absent => SingleField::One(value),
            SingleField::One(_) | SingleField::Repeated => SingleField::Repeated,
        };
    });
    found
}

/// Whether `method` is safe (RFC 9110 §9.2.1, without TRACE). A cookie may authenticate requests
/// with these methods without proof of origin.
pub(crate) fn is_safe_method(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// Whether the request switches to another protocol: `Upgrade` (RFC 9110 §7.8), or a tunnel.
pub(crate) fn asks_for_another_protocol(request: &dyn RequestView) -> bool {
    request.method() == "CONNECT" || single_field(request, "upgrade") != SingleField::Absent
}

/// Whether the request opens a WebSocket: RFC 6455 §4.1, and RFC 8441 §4, the only `CONNECT` that
/// reaches an app.
pub(crate) fn opens_websocket(request: &dyn RequestView) -> bool {
    const WEBSOCKET: &[u8] = b"websocket";
    let mut asks = false;
    // The field is a list of protocols, perhaps with versions: match any form that a server could
    // accept.
    request.visit_header("upgrade", &mut |value| {
        asks |= value
            .windows(WEBSOCKET.len())
            .any(|word| word.eq_ignore_ascii_case(WEBSOCKET));
    });
    match request.method() {
        "GET" => asks,
        "CONNECT" => true,
        _ => false,
    }
}
