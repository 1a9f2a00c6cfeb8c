//! Where the servers' programs are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where packages put PostgreSQL's programs that are not on the `PATH`: Debian's and its like, and
/// Homebrew's, which keeps all versions but the newest to itself.
const POSTGRES: [(&str, &str); 3] = [
    ("/usr/lib/postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

/// # Panics
///
/// When there is no `redis-server` on the `PATH`.
pub(crate) fn require_redis() {
    assert!(
        path().any(|dir| has(&dir, "redis-server")),
        "redis-server is not installed: run ./scripts/test, which installs it, or \
         `apt-get install redis-server` / `brew install redis`",
    );
}

/// The directory of `initdb` and `postgres`.
///
/// # Panics
///
/// When there is none.
pub(crate) fn postgres() -> PathBuf {
    pg_config()
        .into_iter()
        .chain(packaged())
        .chain(path())
        // `pg_config` comes with the client's library, too.
        .find(|dir| has(dir, "initdb") && has(dir, "postgres"))
        .expect(
            "PostgreSQL is not installed: run ./scripts/test, which installs it, or \
             `apt-get install postgresql` / `brew install postgresql@15`",
        )
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let dir = String::from_utf8(output.stdout).ok()?;
    Some(dir.trim().into())
}

/// All packaged versions, the newest first.
fn packaged() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = POSTGRES
        .into_iter()
        .filter_map(|(parent, prefix)| Some((fs::read_dir(parent).ok()?, prefix)))
        .flat_map(|(entries, prefix)| entries.flatten().map(move |entry| (entry, prefix)))
        .filter_map(|(entry, prefix)| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, dir)| dir).collect()
}

fn path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn has(dir: &Path, program: &str) -> bool {
    dir.join(program).is_file()
}
