//! What both example apps promise, asked of this one.

example_app_tests::tests_of!(env!("CARGO_BIN_EXE_example-actix"));
