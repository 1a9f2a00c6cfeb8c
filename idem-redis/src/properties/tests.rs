use proptest::prelude::*;

use super::{layout, replay, reply};

#[test]
fn what_the_fuzzer_has_left_behind_holds() {
    replay::corpus("layout", layout);
    replay::corpus("reply", reply);
}

const OWNER: &str = "0123456789abcdef0123456789abcdef";
const PRINT: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..400)
}

/// A header that is nearly right, more often than not quite.
fn value() -> impl Strategy<Value = String> {
    let pick = |words: &'static [&'static str]| prop::sample::select(words);
    (
        pick(&["idem1", "idem1", "idem1", "idem2", "idem", "IDEM1"]),
        pick(&["in-flight", "completed", "released", "done"]),
        [pick(NUMBERS), pick(NUMBERS), pick(NUMBERS)],
        pick(&["-", "t", "r", "tr", ""]),
        pick(&[OWNER, OWNER, OWNER, "0123", ""]),
        pick(&[PRINT, PRINT, PRINT, OWNER]),
        pick(&["\n", "\n", "\n", "", " \n"]),
        pick(&[
            "",
            "4 2\nmail\0\n\n",
            "4 0\nmail\n3 1\nabcd\n",
            "4 9\nmail\n",
            "-1 2\n",
        ]),
    )
        .prop_map(
            |(version, state, [fence, attempt, span], flags, owner, print, end, body)| {
                format!(
                    "{version} {state} {fence} {attempt} {flags} {owner} {print} {span}{end}{body}"
                )
            },
        )
}

const NUMBERS: &[&str] = &[
    "1",
    "2",
    "3",
    "0",
    "007",
    "18446744073709551615",
    "18446744073709551616",
    "-1",
    "1e3",
    "",
];

fn words() -> impl Strategy<Value = Vec<u8>> {
    let kind = [
        "claimed",
        "in-flight",
        "mismatch",
        "unknown",
        "completed",
        "unreadable",
        "timeless",
        "fenced",
        "moved",
        "owned",
        "absent",
        "present",
        "alias",
        "alias claimed",
        "alias completed",
        "",
    ];
    let word = prop_oneof![
        prop::sample::select(NUMBERS).prop_map(str::to_owned),
        prop::sample::select(vec!["t", "-", "x"]).prop_map(str::to_owned),
        value(),
    ];
    (
        prop::sample::select(kind.to_vec()),
        prop::collection::vec(word, 0..6),
    )
        .prop_map(|(kind, rest)| {
            let bulk = |word: &str| format!("${}\r\n{word}\r\n", word.len());
            let rest: String = rest.iter().map(|word| bulk(word)).collect();
            let kind = kind.split(' ').map(bulk).collect::<String>();
            let words = kind + &rest;
            let count = words.matches("\r\n").count() / 2;
            format!("*{count}\r\n{words}").into_bytes()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn layout_holds(expiry: i64, soon: bool, value in prop_oneof![
        value().prop_map(String::into_bytes),
        any_bytes(),
    ]) {
        let expiry = if soon { expiry.rem_euclid(1000) } else { expiry };
        layout(&[&expiry.to_be_bytes()[..], &value].concat());
    }

    #[test]
    fn reply_holds(data in prop_oneof![words(), any_bytes()]) {
        reply(&data);
    }
}
