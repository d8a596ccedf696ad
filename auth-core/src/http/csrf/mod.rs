//! The rule against cross-site request forgery (CSRF), for credentials that browsers attach by
//! themselves.
//!
//! The rule applies to credentials in cookies on every method but GET, HEAD and OPTIONS, and on a
//! GET that opens a WebSocket. On login, refresh and logout it applies to every method. It never
//! applies to a bearer header: no browser adds one.
//!
//! 1. `Origin` and `Sec-Fetch-Site` may occur at most once. `Origin` must be `null` or a serialized
//!    origin (RFC 6454 §6.2, lower case, as browsers write it), and `Sec-Fetch-Site` one of its
//!    four words. Otherwise the request is refused, regardless of its other fields.
//! 2. A trusted `Origin` passes.
//! 3. Otherwise `Sec-Fetch-Site` decides if it is present: `same-origin` and `none` pass, `same-site`
//!    and `cross-site` are refused.
//! 4. If it is absent, `Origin` must name the host and port that the request asks for. A missing
//!    port is the default port of the `Origin`'s scheme. A trailing dot makes a different host.
//!    `http` is accepted on loopback hosts only. Since the cookies are `Secure`, a page loaded over
//!    plain HTTP elsewhere is not the app's, and may come from an attacker on the network. `null`
//!    is refused.
//! 5. If both are absent, the request is refused: no browser of this decade omits both.
//!    [`CsrfPolicy::with_insecure_missing_origin_allowed`] accepts such requests.
//! 6. A required custom header must be present in addition to all of the above. Forms cannot send
//!    one, and scripts of other origins only after a CORS preflight that the app allowed.
//!    WebSockets are exempt from this rule alone: no script can add a field to their handshake.
//!
//! A WebSocket is opened by a GET, but the request is not safe. No CORS rule keeps the page that
//! opened it from reading and writing, and a page of a sibling origin sends the cookies along.
//! Browsers always send `Origin` with the handshake (RFC 6455 §4.1), over HTTP/2 with `CONNECT`
//! (RFC 8441).
//!
//! Rule 3 deliberately ignores contradictions between the two fields. Scripts can set neither, and
//! the browser computes `Sec-Fetch-Site` over the whole redirect chain with the URLs that it really
//! used. `same-origin` with an `Origin` that differs from `Host` comes from a proxy that rewrites
//! `Host`; `same-origin` with `null` comes from a page with `Referrer-Policy: no-referrer`. A
//! client that forges either field is no browser and holds no victim's cookies.
//!
//! # Deployment caveat
//! Browsers send `Sec-Fetch-Site` to HTTPS and loopback only. Behind a proxy that rewrites `Host`,
//! rule 4 refuses older browsers: keep `Host`, or trust the public origin.

use crate::base::config::ConfigError;
use crate::base::error::Cause;
use crate::http::origin::Origin;
use crate::http::request::{
    RequestView, SingleField, is_safe_method, opens_websocket, single_field,
};
use crate::http::source::is_tchar;

/// The origins that may send requests with cookie authentication.
///
/// The default accepts only the app's own origin. Trust another origin only if its pages send
/// requests with credentials.
///
/// ```
/// use auth_core::CsrfPolicy;
///
/// let policy = CsrfPolicy::new().with_trusted_origin("https://app.example.com")?;
/// assert!(CsrfPolicy::new().with_trusted_origin("https://app.example.com/path").is_err());
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CsrfPolicy {
    trusted: Vec<Origin<'static>>,
    required_header: Option<Box<str>>,
    unproven: Unproven,
}

/// The result for a request with neither `Origin` nor `Sec-Fetch-Site`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unproven {
    #[default]
    Refused,
    Allowed,
}

impl CsrfPolicy {
    /// Creates a policy that accepts only the app's own origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts requests from pages of `origin`, written `scheme://host[:port]`. Its subdomains and
    /// its other ports are not included.
    ///
    /// Letter case and a default port make no difference. International host names are given in
    /// punycode, as browsers send them. Schemes of app shells (`capacitor://localhost`) are
    /// accepted.
    ///
    /// # Errors
    /// [`ConfigError`] if `origin` has a path (a final slash counts), user information, a wildcard
    /// or anything else that no browser sends as an `Origin`.
    ///
    /// # Security
    /// A trusted origin can do everything that the user can do here. So can an attacker with a
    /// script injection on it.
    pub fn with_trusted_origin(mut self, origin: &str) -> Result<Self, ConfigError> {
        let origin = trusted_origin(origin)?;
        if !self.trusted.contains(&origin) {
            self.trusted.push(origin);
        }
        Ok(self)
    }

    /// Requires a request header named `name`, with any value, in addition to the origin check.
    /// Cookies that are sent across sites need it.
    ///
    /// # Errors
    /// [`ConfigError`] if `name` is not a header name, or if the header proves nothing: browsers
    /// send it by themselves, or let any site send it (Fetch §2.2.2).
    pub fn with_required_header(mut self, name: &str) -> Result<Self, ConfigError> {
        self.required_header = Some(custom_header(name)?);
        Ok(self)
    }

    /// The name of the required header, in lower case.
    #[must_use]
    pub fn required_header(&self) -> Option<&str> {
        self.required_header.as_deref()
    }

    /// Accepts requests with neither `Origin` nor `Sec-Fetch-Site`. Default: refused.
    ///
    /// # Security
    /// Meant for clients with a cookie jar that are not browsers. For a browser old enough to send
    /// neither field, or behind a proxy that strips both, `SameSite` is the only protection left.
    pub fn with_insecure_missing_origin_allowed(mut self) -> Self {
        self.unproven = Unproven::Allowed;
        self
    }

    /// Checks a request that a cookie authenticates.
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

    /// Checks a login, refresh or logout request of any method.
    pub(crate) fn check_always(&self, request: &dyn RequestView) -> Result<(), Cause> {
        if !self.is_origin_proven(request) {
            return Err(Cause::Origin);
        }
        match &self.required_header {
            Some(name) if !has_header(request, name) => Err(Cause::UnprovenHeader),
            _ => Ok(()),
        }
    }

    /// Checks rules 1 to 5.
    fn is_origin_proven(&self, request: &dyn RequestView) -> bool {
        let claimed = match single_field(request, "origin") {
            SingleField::Absent => Claimed::Nothing,
            SingleField::One(b"null") => Claimed::Opaque,
            SingleField::One(value) => {
                match std::str::from_utf8(value).ok().and_then(Origin::parse) {
                    Some(origin) => Claimed::Origin(origin),
                    None => return false,
                }
            }
            SingleField::Repeated => return false,
        };
        let site = match single_field(request, "sec-fetch-site") {
            SingleField::Absent => Site::Unsaid,
            SingleField::One(b"same-origin" | b"none") => Site::Own,
            SingleField::One(b"same-site" | b"cross-site") => Site::Foreign,
            SingleField::One(_) | SingleField::Repeated => return false,
        };
        match (site, claimed) {
            (_, Claimed::Origin(origin)) if self.trusted.contains(&origin) => true,
            (Site::Own, _) => true,
            (Site::Foreign, _) | (Site::Unsaid, Claimed::Opaque) => false,
            (Site::Unsaid, Claimed::Origin(origin)) => {
                origin.is_secure() && origin.has_authority(request.authority().unwrap_or_default())
            }
            (Site::Unsaid, Claimed::Nothing) => self.unproven == Unproven::Allowed,
        }
    }
}

/// The value of a valid `Sec-Fetch-Site` field.
#[derive(Clone, Copy)]
enum Site {
    Unsaid,
    /// `same-origin`, or `none` for requests that the user started, such as a typed address.
    Own,
    Foreign,
}

/// The value of the `Origin` field.
enum Claimed<'r> {
    Nothing,
    /// `null`: a sandboxed frame, a redirect across origins, or a referrer policy.
    Opaque,
    Origin(Origin<'r>),
}

fn trusted_origin(text: &str) -> Result<Origin<'static>, ConfigError> {
    let lower = text.to_ascii_lowercase();
    let parsed = Origin::parse(&lower).filter(Origin::has_canonical_host);
    parsed.map(Origin::into_owned).ok_or_else(|| {
        ConfigError::new(
            "trusted origin",
            format!(
                "{text:?} is not an origin: write scheme://host or scheme://host:port, without \
                 path, final slash, wildcard or user name, an international name in punycode"
            ),
        )
    })
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

/// Whether browsers or proxies send the field by themselves, or Fetch lets any site set it without
/// a preflight ("CORS-safelisted request-header").
fn proves_nothing(name: &str) -> bool {
    const NAMES: &str = "accept authorization cache-control connection content-encoding \
        content-language content-length content-type cookie date dnt downlink dpr ect expect \
        forwarded host if-match if-modified-since if-none-match if-range if-unmodified-since \
        keep-alive last-event-id origin pragma priority range referer rtt save-data te trailer \
        transfer-encoding upgrade upgrade-insecure-requests user-agent via viewport-width width \
        x-real-ip";
    const FAMILIES: &str = "accept- access-control- proxy- sec- x-forwarded-";
    NAMES.split(' ').any(|other| other == name)
        || FAMILIES.split(' ').any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests;
