//! Cookie transport for access and refresh tokens: presets, prefixes, byte-exact parsing.
//!
//! # Choosing a preset
//!
//! | the app | preset, with an example | user logged in after a link from another site | sibling hosts |
//! |---|---|---|---|
//! | a single-page app, API and page on one host | [`CookiePolicy::same_origin_spa`] | once the page's script requests it | cannot plant cookies |
//! | pages that the server renders; users arrive by links | [`CookiePolicy::server_rendered`] | immediately | cannot plant cookies |
//! | several hosts of one domain share the login | [`CookiePolicy::subdomains`] | immediately | **must be trusted** |
//! | the front end is on another site, or other sites embed the app | [`CookiePolicy::cross_site`] | after a login per embedding site | cannot plant cookies |
//! | existing cookie names or attributes must stay | [`CookiePolicy::custom`] | depends on `SameSite` | depends on the prefix |
//! | mobile, command line, services | none: clients send `Authorization: Bearer` | | |
//!
//! When in doubt between the first two, use `server_rendered`. In development, a dev server that
//! proxies the API gives page and API one host. These cookies work on `http://localhost` in Chromium
//! and Firefox; Safari needs HTTPS.
//!
//! ```
//! use auth_cookie::CookiePolicy;
//! use auth_core::adapter::CookieTransport;
//! use std::time::Duration;
//!
//! let cookies = CookiePolicy::server_rendered();
//! let line = cookies.set_access("abc", Some(Duration::from_secs(3600)))?;
//! assert_eq!(line, "__Host-Http-at=abc; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=3600");
//!
//! // Browsers silently drop a cookie of more than 4096 bytes.
//! assert!(cookies.set_access(&"x".repeat(5000), None).is_err());
//!
//! for line in cookies.clear() {
//!     assert!(line.contains("; Secure; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970"));
//! }
//! # Ok::<(), auth_core::adapter::CookieError>(())
//! ```
//!
//! # Rules
//! 1. Cookies conform to their prefix by construction ([`TokenCookie`]); all of them have
//!    `HttpOnly` and `SameSite`, and all but those of the constructor `insecure_plain_http` have
//!    `Secure`.
//! 2. `Max-Age` is set by the caller, to at most 400 days. Without it, the cookie ends with the
//!    browser session. `Expires` depends on the client's clock, so it is written in deletions only.
//! 3. A deletion repeats every attribute of the cookie that it deletes.
//! 4. Writing a cookie is an error if it is longer than browsers accept, or if the token has a byte
//!    that is not allowed in cookie values.
//! 5. A cookie is found by its exact name in any `Cookie` line, and its value is taken literally. Two
//!    values are ambiguous; an empty value counts as absent ([`CookieSource`]).
//! 6. The protection against request forgery is [`CsrfPolicy`](auth_core::CsrfPolicy), not part of
//!    this crate.
//!
//! # Limits
//! Cookies are neither encrypted nor signed; the tokens in them are signed. A sibling subdomain can
//! plant a cookie whose name does not begin with `__Host-`: the request is then ambiguous, or has
//! the valid token of another user.

mod name;
mod policy;
mod source;
mod token_cookie;

pub use policy::CookiePolicy;
pub use source::CookieSource;
pub use token_cookie::{CookieBuilder, HostOnly, SameSite, Scoped, TokenCookie};
