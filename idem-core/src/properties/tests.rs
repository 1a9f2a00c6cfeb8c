use proptest::prelude::*;

use super::{canonical, checkpoint, key, record, replay};

#[test]
fn what_the_fuzzer_has_left_behind_holds() {
    replay::corpus("canonical", canonical);
    replay::corpus("checkpoint", checkpoint);
    replay::corpus("key", key);
    replay::corpus("record", record);
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..400)
}

/// Few letters, so that quotes, escapes and line ends meet.
fn key_lines() -> impl Strategy<Value = Vec<u8>> {
    let letter = prop::sample::select(b"\"\"\"\\\\ab \t\n\x7f\xc3".to_vec());
    prop_oneof![
        prop::collection::vec(letter, 0..24),
        r#"["]?[ab"\\ ]{0,6}["]?"#.prop_map(String::into_bytes),
        "[\"]?[a-z]{250,260}[\"]?".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn canonical_holds(data in any_bytes()) {
        canonical(&data);
    }

    #[test]
    fn checkpoint_holds(data in any_bytes()) {
        checkpoint(&data);
    }

    #[test]
    fn key_holds(data in prop_oneof![any_bytes(), key_lines()]) {
        key(&data);
    }

    #[test]
    fn record_holds(data in any_bytes()) {
        record(&data);
    }
}
