//! The common parts of what is in `tests/`: the conformance servers, and the programs that race
//! refreshes, break stores, tear clusters apart and rotate keys under load.

pub mod cluster;
pub mod fault;
pub mod rotation;
pub mod shim;

/// The code in README and the guides compiles.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/incidents.md")]
    struct Incidents;
    #[doc = include_str!("../../docs/lifetimes.md")]
    struct Lifetimes;
}
