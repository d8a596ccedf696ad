#![no_main]
//! See `tests/fuzz`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    auth_libfuzzer::run(auth_fuzz::target("row_sql"), data);
});
