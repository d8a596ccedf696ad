//! Cookie transport for access and refresh tokens: presets, prefixes, byte-exact parsing.
//!
//! # Which preset do I need?
//!
//! | the app | preset, with an example | a link from elsewhere finds its user | sibling hosts |
//! |---|---|---|---|
//! | a single-page app, API and page on one host | [`CookiePolicy::same_origin_spa`] | when the page's script asks | can plant nothing |
//! | pages that the server renders; users arrive by links | [`CookiePolicy::server_rendered`] | at once | can plant nothing |
//! | several hosts of one domain share the login | [`CookiePolicy::subdomains`] | at once | **must be trusted** |
//! | the front end is on another site, or other sites embed the app | [`CookiePolicy::cross_site`] | once per embedding site | can plant nothing |
//! | names or attributes that exist already | [`CookiePolicy::custom`] | by their `SameSite` | by their prefix |
//! | mobile, command line, services | none: they send `Authorization: Bearer` | | |
//!
//! When in doubt between the first two, take `server_rendered`. A dev server that proxies the API
//! makes the first row true on `http://localhost` too, and all of these cookies work there.
//!
//! ```
//! use auth_cookie::CookiePolicy;
//! use auth_core::CookieTransport;
//! use std::time::Duration;
//!
//! let cookies = CookiePolicy::server_rendered();
//! let line = cookies.set_access("abc", Some(Duration::from_secs(3600)))?;
//! assert_eq!(line, "__Host-Http-at=abc; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=3600");
//!
//! // More than 4096 bytes would vanish in the browser without a word.
//! assert!(cookies.set_access(&"x".repeat(5000), None).is_err());
//!
//! for line in cookies.clear() {
//!     assert!(line.contains("; Secure; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970"));
//! }
//! # Ok::<(), auth_core::CookieError>(())
//! ```
//!
//! # Rules
//! 1. Cookies conform to their prefix by construction ([`TokenCookie`]); `HttpOnly` and `SameSite`
//!    are on all of them, `Secure` on all but those whose constructor says insecure.
//! 2. `Max-Age` is what the caller says, at most 400 days; without one the cookie ends with the
//!    browser session. `Expires` is written in deletions only: it would depend on the client's
//!    clock.
//! 3. A deletion repeats every attribute of the cookie that it deletes.
//! 4. A token that makes the cookie longer than browsers keep, or that has a byte which no cookie
//!    value may have, is an error when it is written.
//! 5. A cookie is found by its exact name, in whichever `Cookie` line, and taken literally; two
//!    values are ambiguous, an empty one is none ([`CookieSource`]).
//! 6. Whether a request that a cookie authenticates may act is decided by
//!    [`CsrfPolicy`](auth_core::CsrfPolicy), not here.
//!
//! # What it does not do
//! Nothing here is encrypted or signed: the tokens are. A cookie of a name without `__Host-` can
//! be planted by a sibling subdomain; it is then ambiguous, or somebody else's valid token.

mod name;
mod policy;
mod source;
mod token_cookie;

pub use policy::CookiePolicy;
pub use source::CookieSource;
pub use token_cookie::{CookieBuilder, HostOnly, SameSite, Scoped, TokenCookie};
