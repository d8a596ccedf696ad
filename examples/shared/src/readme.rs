//! Compiles the examples in every README.

/// The project's.
#[doc = include_str!("../../../README.md")]
struct Project;

/// auth-core's.
#[doc = include_str!("../../../auth-core/README.md")]
struct Core;

/// auth-cookie's.
#[doc = include_str!("../../../auth-cookie/README.md")]
struct Cookie;

/// auth-tower's.
#[doc = include_str!("../../../auth-tower/README.md")]
struct Tower;

/// auth-actix's.
#[doc = include_str!("../../../auth-actix/README.md")]
struct Actix;

/// auth-store's.
#[doc = include_str!("../../../auth-store/README.md")]
struct Store;

/// auth-jwks'.
#[doc = include_str!("../../../auth-jwks/README.md")]
struct Jwks;
