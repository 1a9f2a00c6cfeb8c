//! How the attribute refuses what it cannot protect. What it accepts is in
//! `tests/accepted`: one case that is to pass would make trybuild build the
//! dependencies instead of checking them, and take the cases one by one.

#[test]
fn the_attribute_explains_what_it_cannot_protect() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/fail/*.rs");
    #[cfg(all(feature = "postgres", feature = "sqlite"))]
    cases.compile_fail("tests/ui/fail_sql/*.rs");
}
