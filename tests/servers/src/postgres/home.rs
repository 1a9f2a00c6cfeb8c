//! Where a server lives, and as whom.

use std::env;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::Account;

/// What the path of a directory may have for a socket in it: 103 bytes on macOS, 107 on Linux, less
/// `/idem-servers-XXXXXX/.s.PGSQL.12345`.
const LONGEST: usize = 103 - 36;

/// A directory of the server's own, and who has it if that is not the test.
pub(super) fn build() -> (TempDir, Option<Account>) {
    // PostgreSQL refuses to run as root.
    let account = (id(&["-u"]) == Some(0)).then(unprivileged);
    let temp = tempfile::Builder::new()
        .prefix("idem-servers-")
        .tempdir_in(base(account.is_some()))
        .expect("a directory");
    if let Some(account) = account {
        chown(temp.path(), Some(account.user), Some(account.group)).expect("chown");
    }
    (temp, account)
}

/// The directory for temporary files, unless the server cannot live there.
fn base(as_another: bool) -> PathBuf {
    let dir = env::temp_dir();
    let path = dir.as_os_str().as_bytes();
    // It becomes a part of a URL and of settings.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(byte);
    let fits = path.len() <= LONGEST && path.iter().all(plain);
    if fits && (!as_another || is_public(&dir)) {
        dir
    } else {
        "/tmp".into()
    }
}

/// Whether anybody can reach it and write there.
fn is_public(dir: &Path) -> bool {
    let may = |dir: &Path, what: u32| fs::metadata(dir).is_ok_and(|dir| dir.mode() & what == what);
    may(dir, 0o003) && dir.ancestors().all(|dir| may(dir, 0o001))
}

/// Whom the packages of PostgreSQL make for it, or else whom every system has for such things.
fn unprivileged() -> Account {
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| {
            Some(Account {
                user: id(&["-u", name])?,
                group: id(&["-g", name])?,
            })
        })
        .expect("a user `postgres` or `nobody`")
}

fn id(args: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(args).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
