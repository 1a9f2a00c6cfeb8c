use proptest::prelude::*;

use super::{kept, problem, replay, request};

#[test]
fn what_the_fuzzer_has_left_behind_holds() {
    kept::corpus("problem", problem);
    kept::corpus("replay", replay);
    kept::corpus("request", request);
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

proptest! {
    #[test]
    fn problem_holds(data in any_bytes()) {
        problem(&data);
    }

    #[test]
    fn replay_holds(data in prop_oneof![
        any_bytes(),
        "(\u{c8}|\u{65}){2}([a-z]{0,4}:[ -~\n]{0,9}\n){0,4}.{0,9}".prop_map(String::into_bytes),
    ]) {
        replay(&data);
    }

    #[test]
    fn request_holds(data in prop_oneof![
        any_bytes(),
        "(POST|PUT|GET|get|@)\n([a\"\\\\ ]{1,4}\n){0,3}\n.{0,9}".prop_map(String::into_bytes),
    ]) {
        request(&data);
    }
}
