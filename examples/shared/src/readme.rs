//! Compiles the examples in the README of every crate.

/// The README of auth-core.
#[doc = include_str!("../../../auth-core/README.md")]
struct Core;

/// The README of auth-cookie.
#[doc = include_str!("../../../auth-cookie/README.md")]
struct Cookie;

/// The README of auth-tower.
#[doc = include_str!("../../../auth-tower/README.md")]
struct Tower;

/// The README of auth-actix.
#[doc = include_str!("../../../auth-actix/README.md")]
struct Actix;

/// The README of auth-store.
#[doc = include_str!("../../../auth-store/README.md")]
struct Store;

/// The README of auth-jwks.
#[doc = include_str!("../../../auth-jwks/README.md")]
struct Jwks;
