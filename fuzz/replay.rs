//! What the fuzz targets have found worth keeping, once more, without a fuzzer.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// Holds `property` to every input in `fuzz/corpus/<target>`.
pub(crate) fn corpus(target: &str, property: fn(&[u8])) {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|directory| directory.join("fuzz/corpus").join(target))
        .find(|directory| directory.is_dir())
        .unwrap_or_else(|| panic!("there is no directory fuzz/corpus/{target}"));
    let mut replayed = 0;
    for input in fs::read_dir(inputs).unwrap() {
        let path = input.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let held = catch_unwind(AssertUnwindSafe(|| property(&bytes)));
        assert!(held.is_ok(), "{} breaks the property", path.display());
        replayed += 1;
    }
    assert!(replayed > 0, "nothing is kept for {target}");
}
