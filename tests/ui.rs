//! What `cargo build` refuses, and how it says so: one file a rule, with the message beside it.
//! `TRYBUILD=overwrite cargo test --test ui` writes the messages anew; review them before committing.

#[test]
fn every_rule_has_its_message() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*/*.rs");
}
