//! The common parts of what is in `tests/`: the conformance servers, and the programs that race
//! refreshes and break stores.

pub mod fault;
pub mod shim;
