//! The demonstration of the example, as a test.

use std::path::Path;
use std::process::Command;

#[test]
fn tokens_of_the_example_app_are_accepted_on_both_frameworks_and_others_are_not() {
    let program = Path::new(env!("CARGO_BIN_EXE_example-resource-server"));
    let mut command = Command::new(program);
    command.arg("--once");
    // A run of all tests has built the app already, with all features.
    if program.with_file_name("example-axum").exists() {
        command.env_remove("CARGO");
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
