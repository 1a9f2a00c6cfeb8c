//! What the attribute accepts, and how it refuses. One run for all cases, since
//! each run builds the dependencies once.

#[test]
fn the_attribute_accepts_what_it_can_protect_and_explains_what_it_cannot() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    #[cfg(feature = "axum-extra")]
    cases.pass("tests/ui/pass_axum_extra/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
    #[cfg(all(feature = "postgres", feature = "sqlite"))]
    {
        cases.pass("tests/ui/pass_sql/*.rs");
        cases.compile_fail("tests/ui/fail_sql/*.rs");
    }
}
