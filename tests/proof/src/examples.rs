//! The services under test are examples of the facade.

use std::process::Command;

/// Builds them, in the profile of this program: `cargo run` does not.
///
/// # Panics
///
/// When they do not compile.
pub fn build() {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--quiet",
        "--package",
        "idem-axum",
        "--all-features",
    ]);
    cargo.args(["--example", "lab", "--example", "ledger"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.status().expect("cargo starts");
    assert!(built.success(), "the examples do not compile");
}
