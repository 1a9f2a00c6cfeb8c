use proptest::prelude::*;

use super::{attribute, replay};

#[test]
fn what_the_fuzzer_has_left_behind_holds() {
    replay::corpus("attribute", attribute);
}

const ARGUMENTS: &[&str] = &[
    "ttl = \"24h\"",
    "ttl = \"99999999999999999999d\"",
    "ttl = \"\"",
    "ttl = 24h",
    "ttl",
    "lease = \"5s\"",
    "grace = \"1y\"",
    "wait = \"1ns\"",
    "scope = \"user\"",
    "scope = \"global\"",
    "scope = user.id",
    "scope = { return }",
    "key = \"optional\"",
    "key = order.id",
    "key = |x| x",
    "header = \"X-Key\"",
    "header = \"\\0\"",
    "fingerprint = \"raw\"",
    "fingerprint = (&order, user)",
    "max_response = \"1EiB\"",
    "max_response = \"99999999999GB\"",
    "record = \"al\"",
    "retries = 3",
    "retries = -1",
    "state = App",
    "state = fn(",
    "crate = ::a::b",
    "crate = 1",
    "operation = \"\"",
    "on_crash = \"refuse\"",
    "= 1",
    ",",
];

const ITEMS: &[&str] = &[
    "async fn",
    "fn",
    "unsafe extern \"C\" fn",
    "pay",
    "r#async",
    "(",
    ")",
    "()",
    "->",
    "String",
    "{ todo() }",
    "{ Self::a }",
    "user: User",
    ",",
    "Json(order): Json<Order>",
    "#[deferred]",
    "mut db: Db",
    "self",
    "&mut self",
    "tx: Tx<Postgres>",
    "steps: Steps",
    "#[cfg(a)]",
    "#[cfg_attr(a, deferred)]",
    "#[axum::debug_handler(state = App)]",
    "#[idempotent]",
    "<T>",
    "where T: Copy",
    "impl Trait",
    "..",
    "_: u8",
    "[a, ..]: [u8; 3]",
    "r#type: String",
    "struct A;",
    "pub(crate)",
    ";",
    "body: Bytes",
];

fn written(words: &'static [&'static str], between: &'static str) -> impl Strategy<Value = String> {
    let words = prop::sample::select(words);
    prop::collection::vec(words, 0..12).prop_map(move |words| words.join(between))
}

/// An item of which only a part is left to chance, so that it is often a handler.
fn handler() -> impl Strategy<Value = String> {
    let arguments = written(&ITEMS[12..], ", ");
    arguments.prop_map(|arguments| format!("async fn pay({arguments}) -> String {{ todo() }}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn attribute_holds(
        args in prop_oneof![written(ARGUMENTS, ", "), ".{0,40}"],
        item in prop_oneof![handler(), written(ITEMS, " "), ".{0,60}"],
    ) {
        attribute(format!("{args}\n{item}").as_bytes());
    }
}
