//! Each accepted program runs to its end.

use std::{env, fs, io, path::PathBuf, process::Command};

#[test]
fn each_accepted_program_runs_to_its_end() -> io::Result<()> {
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    // This test is at target/debug/deps, they are beside it.
    let built = env::current_exe()?;
    let built = built.ancestors().nth(2).map(|root| root.join("examples"));
    let built = built.ok_or(io::ErrorKind::NotFound)?;
    let mut ran = 0;
    for source in fs::read_dir(sources)? {
        let source = source?.path();
        let name = source.file_stem().ok_or(io::ErrorKind::InvalidData)?;
        let program = built.join(name);
        let output = Command::new(&program).output().map_err(|error| {
            let hint = "cargo build --all-features -p idem-accepted --examples";
            io::Error::new(
                error.kind(),
                format!("{}: {error}; {hint}", program.display()),
            )
        })?;
        assert!(
            output.status.success(),
            "{}: {}",
            source.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        ran += 1;
    }
    assert!(ran >= 30, "only {ran} programs were there");
    Ok(())
}
