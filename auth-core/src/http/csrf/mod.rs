//! The rule against cross-site request forgery, for credentials that a browser attaches by itself.
//!
//! It applies to cookie-carried credentials on every method but GET, HEAD and OPTIONS, on a GET that
//! asks to become a WebSocket, and whatever the method on login, refresh and logout. A bearer header
//! never needs it: no browser adds one.
//!
//! 1. `Origin` and `Sec-Fetch-Site` are valid at most once. A repeated field, an `Origin` that is
//!    neither `null` nor a serialised origin (RFC 6454 §6.2, lower case, as browsers write it), and
//!    a `Sec-Fetch-Site` that is none of its four words refuse the request, whatever else it says.
//! 2. An `Origin` that is listed as trusted passes.
//! 3. Otherwise, where `Sec-Fetch-Site` is present it decides: `same-origin` and `none` pass,
//!    `same-site` and `cross-site` are refused.
//! 4. Where it is absent, `Origin` must name the host and port that the request asks for. A port
//!    that is left out is the default one of the `Origin`'s scheme. A trailing dot makes another
//!    host. `http` counts on loopback hosts only: our cookies are `Secure`, so elsewhere a page
//!    that came over plain HTTP is somebody else's, perhaps the network's. `null` is refused.
//! 5. Both absent: refused, since no browser of this decade omits both. A knob that says insecure
//!    allows it.
//! 6. Where a custom header is required, it must be there besides all of the above. Forms cannot
//!    send one, and scripts of other origins only after a CORS preflight that the app allowed.
//!    WebSockets are exempt from this rule alone: no script can add a field to their handshake.
//!
//! A WebSocket is opened by a GET, but it is no safe request: no CORS rule keeps the page that opened
//! it from reading and writing, and a page of a sibling origin sends the cookies along. Browsers
//! always send `Origin` with the handshake (RFC 6455 §4.1), over HTTP/2 with `CONNECT` (RFC 8441).
//!
//! Rule 3 does not look for a contradiction between the two fields, on purpose. Scripts can set
//! neither, and the browser computes `Sec-Fetch-Site` over the whole redirect chain with the URLs
//! it really used. `same-origin` beside an `Origin` that is not our `Host` is what a proxy that
//! rewrites `Host` makes of an honest request; `same-origin` beside `null` is what a page with
//! `Referrer-Policy: no-referrer` sends. A client that forges either field is no browser and holds
//! no victim's cookies.
//!
//! # Deployment caveat
//! `Sec-Fetch-Site` is sent to HTTPS and loopback only. Behind a proxy that rewrites `Host`, older
//! browsers fall to rule 4 and are refused: keep `Host`, or list the public origin as trusted.

use crate::base::config::ConfigError;
use crate::base::error::Cause;
use crate::http::request::{
    RequestView, SingleField, is_safe_method, opens_websocket, single_field,
};
use crate::http::source::is_tchar;

/// Which origins may send requests that a cookie authenticates.
///
/// The default accepts the app's own origin alone, which is right unless pages of another origin
/// call it with credentials.
///
/// ```
/// use auth_core::CsrfPolicy;
///
/// let policy = CsrfPolicy::new().trust_origin("https://app.example.com")?;
/// assert!(CsrfPolicy::new().trust_origin("https://app.example.com/path").is_err());
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CsrfPolicy {
    trusted: Vec<TrustedOrigin>,
    required_header: Option<Box<str>>,
    unproven: Unproven,
}

/// What becomes of a request with neither `Origin` nor `Sec-Fetch-Site`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unproven {
    #[default]
    Refused,
    Allowed,
}

impl CsrfPolicy {
    /// The app's own origin, and no other.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also accepts requests of pages of `origin`, written `scheme://host[:port]`: exactly this
    /// one, neither its subdomains nor another port.
    ///
    /// Letter case and a default port make no difference. International host names are given in
    /// punycode, which is what browsers send. Schemes of app shells (`capacitor://localhost`) are
    /// accepted.
    ///
    /// # Errors
    /// [`ConfigError`] if `origin` has a path (a final slash counts), user information, a wildcard
    /// or anything else that no browser sends as an `Origin`.
    ///
    /// # Security
    /// A trusted origin can do what the user can do here, and so can whoever finds a script
    /// injection there.
    pub fn trust_origin(mut self, origin: &str) -> Result<Self, ConfigError> {
        let origin = TrustedOrigin::parse(origin)?;
        if !self.trusted.contains(&origin) {
            self.trusted.push(origin);
        }
        Ok(self)
    }

    /// Also requires a request header called `name`, with any value: what cookies that are sent
    /// across sites need besides the origin check.
    ///
    /// # Errors
    /// [`ConfigError`] if `name` is no header name, or one that proves nothing because browsers
    /// send it by themselves or let forms and scripts of any site send it (Fetch §2.2.2).
    pub fn with_required_header(mut self, name: &str) -> Result<Self, ConfigError> {
        self.required_header = Some(custom_header(name)?);
        Ok(self)
    }

    /// The required header's name, in lower case.
    #[must_use]
    pub fn required_header(&self) -> Option<&str> {
        self.required_header.as_deref()
    }

    /// Lets requests pass that have neither `Origin` nor `Sec-Fetch-Site`.
    ///
    /// # Security
    /// For clients with a cookie jar that are no browsers. A browser old enough to send neither
    /// field (or a proxy that strips both) leaves the user with `SameSite` alone.
    pub fn with_insecure_missing_origin_allowed(mut self) -> Self {
        self.unproven = Unproven::Allowed;
        self
    }

    /// The rule for a request that a cookie authenticates.
    pub(crate) fn check(&self, request: &dyn RequestView) -> Result<(), Cause> {
        if opens_websocket(request) {
            let proven = self.is_origin_proven(request);
            return if proven { Ok(()) } else { Err(Cause::Origin) };
        }
        if is_safe_method(request.method()) {
            Ok(())
        } else {
            self.check_always(request)
        }
    }

    /// The rule for login, refresh and logout: the method makes no difference.
    pub(crate) fn check_always(&self, request: &dyn RequestView) -> Result<(), Cause> {
        if !self.is_origin_proven(request) {
            return Err(Cause::Origin);
        }
        match &self.required_header {
            Some(name) if !has_header(request, name) => Err(Cause::UnprovenHeader),
            _ => Ok(()),
        }
    }

    /// Rules 1 to 5.
    fn is_origin_proven(&self, request: &dyn RequestView) -> bool {
        let claimed = match single_field(request, "origin") {
            SingleField::Absent => Claimed::Nothing,
            SingleField::One(b"null") => Claimed::Opaque,
            SingleField::One(value) => match Origin::from_field(value) {
                Some(origin) => Claimed::Origin(origin),
                None => return false,
            },
            SingleField::Repeated => return false,
        };
        let site = match single_field(request, "sec-fetch-site") {
            SingleField::Absent => Site::Unsaid,
            SingleField::One(b"same-origin" | b"none") => Site::Own,
            SingleField::One(b"same-site" | b"cross-site") => Site::Foreign,
            SingleField::One(_) | SingleField::Repeated => return false,
        };
        match (site, claimed) {
            (_, Claimed::Origin(origin)) if self.trusts(&origin) => true,
            (Site::Own, _) => true,
            (Site::Foreign, _) | (Site::Unsaid, Claimed::Opaque) => false,
            (Site::Unsaid, Claimed::Origin(origin)) => {
                origin.is_own(request.authority().unwrap_or_default())
            }
            (Site::Unsaid, Claimed::Nothing) => self.unproven == Unproven::Allowed,
        }
    }

    fn trusts(&self, origin: &Origin<'_>) -> bool {
        self.trusted.iter().any(|trusted| trusted.is(origin))
    }
}

/// What the `Sec-Fetch-Site` field says.
#[derive(Clone, Copy)]
enum Site {
    Unsaid,
    /// `same-origin`, or `none`: the user's own doing, such as an address that was typed.
    Own,
    Foreign,
}

/// What the `Origin` field says.
enum Claimed<'r> {
    Nothing,
    /// `null`: a sandboxed frame, a redirect across origins, or a referrer policy.
    Opaque,
    Origin(Origin<'r>),
}

/// `scheme://host[:port]`, the way browsers write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin<'r> {
    scheme: &'r str,
    host: &'r str,
    /// The default port of the scheme where none is written; `None` for schemes without one.
    port: Option<u16>,
}

impl<'r> Origin<'r> {
    fn from_field(value: &'r [u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(value).ok()?)
    }

    fn parse(text: &'r str) -> Option<Self> {
        // Browsers lower-case scheme and host; whatever does not is none of them.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let (scheme, authority) = text.split_once("://")?;
        if !is_scheme(scheme) {
            return None;
        }
        let (host, port) = split_authority(authority)?;
        let port = port.or_else(|| default_port(scheme));
        Some(Self { scheme, host, port })
    }

    /// Rule 4.
    fn is_own(&self, authority: &str) -> bool {
        let is_site = match self.scheme {
            "https" => true,
            "http" => is_loopback(self.host),
            _ => false,
        };
        let Some((host, port)) = split_authority(authority) else {
            return false;
        };
        is_site
            && host.eq_ignore_ascii_case(self.host)
            && port.or_else(|| default_port(self.scheme)) == self.port
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct TrustedOrigin {
    scheme: Box<str>,
    host: Box<str>,
    port: Option<u16>,
}

impl TrustedOrigin {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let lower = text.to_ascii_lowercase();
        let parsed = Origin::parse(&lower).filter(|origin| is_canonical_host(origin.host));
        match parsed {
            Some(Origin { scheme, host, port }) => Ok(Self {
                scheme: scheme.into(),
                host: host.into(),
                port,
            }),
            None => Err(ConfigError::new(
                "trusted origin",
                format!(
                    "{text:?} is no origin: write scheme://host or scheme://host:port, without path, final slash, \
                     wildcard or user name, an international name in punycode"
                ),
            )),
        }
    }

    fn is(&self, origin: &Origin<'_>) -> bool {
        *self.scheme == *origin.scheme && *self.host == *origin.host && self.port == origin.port
    }
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Host and port as written. An IPv6 host keeps its brackets.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_address = authority.rfind(']').map_or(0, |end| end + 1);
    let colon = authority
        .get(after_address..)?
        .find(':')
        .map(|at| at + after_address);
    let (host, port) = match colon {
        Some(colon) => {
            let (host, port) = authority.split_at_checked(colon)?;
            (host, Some(parse_port(port.strip_prefix(':')?)?))
        }
        None => (authority, None),
    };
    is_host(host).then_some((host, port))
}

fn parse_port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    }
}

/// An origin that is listed must be able to match: browsers shorten IPv6 addresses, and a stray
/// dot names another host than the one that was meant. (Mapped IPv4 addresses are taken as given:
/// browsers write them in hexadecimal, the standard library does not.)
fn is_canonical_host(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match address.and_then(|text| Some((text, text.parse::<std::net::Ipv6Addr>().ok()?))) {
        Some((text, address)) => address.to_string() == text || address.to_ipv4_mapped().is_some(),
        None => host.split('.').all(|label| !label.is_empty()),
    }
}

/// The hosts that browsers treat as secure over plain HTTP (Secure Contexts §3.1).
fn is_loopback(host: &str) -> bool {
    let is_address = || {
        host.parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
    };
    host == "localhost" || host.ends_with(".localhost") || host == "[::1]" || is_address()
}

fn has_header(request: &dyn RequestView, name: &str) -> bool {
    let mut found = false;
    request.visit_header(name, &mut |_| found = true);
    found
}

fn custom_header(name: &str) -> Result<Box<str>, ConfigError> {
    let name = name.to_ascii_lowercase();
    let is_token = !name.is_empty() && name.bytes().all(is_tchar);
    if !is_token {
        return Err(ConfigError::new(
            "required header",
            "not a header field name (RFC 9110 §5.6.2)",
        ));
    }
    if proves_nothing(&name) {
        return Err(ConfigError::new(
            "required header",
            format!(
                "{name} is sent by browsers or allowed to any site: choose a custom name, e.g. X-Requested-With"
            ),
        ));
    }
    Ok(name.into_boxed_str())
}

/// Fields that a browser or a proxy sends unasked, and the ones that Fetch lets any site set
/// without a preflight ("CORS-safelisted request-header").
fn proves_nothing(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "accept",
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-language",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "dnt",
        "downlink",
        "dpr",
        "ect",
        "expect",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "last-event-id",
        "origin",
        "pragma",
        "priority",
        "range",
        "referer",
        "rtt",
        "save-data",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "upgrade-insecure-requests",
        "user-agent",
        "via",
        "viewport-width",
        "width",
        "x-real-ip",
    ];
    const FAMILIES: &[&str] = &[
        "accept-",
        "access-control-",
        "proxy-",
        "sec-",
        "x-forwarded-",
    ];
    NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests;
