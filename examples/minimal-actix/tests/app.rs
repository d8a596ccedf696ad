//! The program of the README's quick start, as a process.

#[test]
fn users_log_in_and_out() {
    example_app_tests::minimal::users_log_in_and_out(env!("CARGO_BIN_EXE_example-minimal-actix"));
}

#[test]
fn the_readme_shows_this_program() {
    example_app_tests::minimal::readme_shows(include_str!("../src/main.rs"));
}
