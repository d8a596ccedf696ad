//! What both example apps promise, asked of this one.

#[path = "../../shared/app_tests.rs"]
mod app_tests;
#[path = "../../shared/attacks.rs"]
mod attacks;

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-axum");
