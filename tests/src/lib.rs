//! The conformance servers' common part. The suite that drives them is in `tests/`.

pub mod shim;
