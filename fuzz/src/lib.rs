//! What every program for libFuzzer does.

/// Tries one input; what goes wrong panics.
pub fn run(target: Option<&auth_fuzz::Target>, data: &[u8]) {
    match target {
        Some(target) => (target.run)(data),
        None => panic!("no such target"),
    }
}
