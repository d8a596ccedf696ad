//! The common tests of both example apps, for this one.

example_app_tests::tests_of!(env!("CARGO_BIN_EXE_example-actix"));
