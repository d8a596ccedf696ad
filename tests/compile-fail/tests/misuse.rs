//! Misuse that the types rule out.

#[test]
fn misuse_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("cases/complete.rs");
    cases.compile_fail("cases/missing_*.rs");
    cases.compile_fail("cases/secret_*.rs");
    cases.compile_fail("cases/forged_*.rs");
}
