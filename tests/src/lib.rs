//! The common parts of what is in `tests/`: the conformance servers, and the programs that race
//! refreshes, break stores and tear clusters apart.

pub mod cluster;
pub mod fault;
pub mod shim;

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
