//! The expansion and the refusals, as text.

mod snapshots;

use proc_macro2::TokenStream;

fn expand(args: &str, item: &str) -> String {
    let args: TokenStream = args.parse().unwrap();
    crate::attribute::attribute(&args, &item.parse().unwrap(), "lib.rs:1:1").to_string()
}

fn messages(args: &str, item: &str) -> Vec<String> {
    let text = expand(args, item);
    text.split("compile_error ! {")
        .skip(1)
        .map(|rest| rest.split('"').skip(1).collect::<Vec<_>>().join("\""))
        .collect()
}

const PAY: &str = "async fn pay(user: User, Json(order): Json<Order>) -> String { todo() }";

#[test]
fn the_same_number_is_in_the_entry_and_in_the_registry() {
    let text = expand("ttl = \"24h\", scope = \"user\"", PAY);
    let number = text
        .split("NeedsIdempotencyInState < ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    assert!(
        text.contains(&format!("HandlerSpec :: new ({number} ,")),
        "{text}"
    );
}

#[test]
fn handlers_that_differ_in_place_or_text_have_different_numbers() {
    let number =
        |place: &str, item: &str| crate::attribute::id(&["package", "crate", place, "", item]);
    let all = [
        number("a:1:1", "x"),
        number("a:2:1", "x"),
        number("a:1:1", "y"),
    ];
    assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
}

#[test]
fn a_number_does_not_tell_where_the_program_was_built() {
    assert_eq!(
        super::portable("src/lib.rs", "/home/ana/shop"),
        "src/lib.rs"
    );
    assert_eq!(
        super::portable("/home/ana/shop/src/pay.rs", "/home/ana/shop"),
        "src/pay.rs"
    );
    assert_eq!(
        super::portable("/home/ana/shop/tests/pay.rs", "/home/ana/shop/target/case"),
        "tests/pay.rs"
    );
    assert_eq!(
        super::portable("/home/ana/shop/tests/ui/pay.rs", "/tmp/target/case"),
        "tests/ui/pay.rs"
    );
}

#[test]
fn the_body_is_kept_to_the_letter_and_the_number_of_arguments_too() {
    let text = expand("ttl = \"24h\", scope = \"user\"", PAY);
    assert!(text.contains(
        "async fn pay (user : User , Json (order) : Json < Order >) -> String { todo () }"
    ));
    // So that `#[axum::debug_handler]`, which counts them, may stand above.
    let outer = text.split("async fn pay (").nth(1).unwrap();
    let outer = outer.split(") -> :: idem_axum").next().unwrap();
    assert!(
        outer.starts_with("__idem_arg0 : User , __idem_last : "),
        "{outer}"
    );
    assert_eq!(outer.matches(" : ").count(), 2, "{outer}");
}

#[test]
fn a_name_that_only_an_expression_uses_is_used() {
    let text = expand(
        "ttl = \"24h\", scope = user.id",
        "async fn pay(user: User) -> String { #![allow(x)] #![allow(y)] todo() }",
    );
    assert!(
        text.contains("{ #! [allow (x)] #! [allow (y)] let _ = (& user ,) ; todo () }"),
        "{text}"
    );
}

#[test]
fn a_body_that_is_still_being_written_is_kept_and_its_handler_expanded() {
    let text = expand(
        "ttl = \"24h\", scope = \"user\"",
        "async fn pay(user: User, order: Json<Order>) -> String { order. }",
    );
    assert!(text.contains("-> String { order . }"), "{text}");
    assert!(text.contains("NeedsIdempotencyInState"), "{text}");
    assert!(!text.contains("compile_error"), "{text}");
}

#[test]
fn macros_that_read_the_signature_come_first_and_tell_the_state() {
    let text = expand(
        "ttl = \"24h\", scope = \"user\",",
        "#[must_use] #[axum::debug_handler(state = App)] async fn pay(order: Json<Order>) -> String { order }",
    );
    assert!(
        text.starts_with(
            "# [axum :: debug_handler (state = App)] \
             # [:: idem_axum :: idempotent (ttl = \"24h\" , scope = \"user\" , state = App)] \
             # [must_use] async fn pay"
        ),
        "{text}"
    );
}

#[test]
fn a_conditional_argument_is_two_handlers() {
    let text = expand(
        "ttl = \"24h\", scope = \"user\"",
        "async fn pay(#[cfg(admin)] user: User, #[cfg_attr(slow, deferred)] db: Db) -> String { db }",
    );
    let again = "# [:: idem_axum :: idempotent (ttl = \"24h\" , scope = \"user\")]";
    let rest = "# [cfg_attr (slow , deferred)] db : Db) -> String { db }";
    assert_eq!(
        text,
        format!(
            "# [cfg (admin)] {again} async fn pay (user : User , {rest} \
             # [cfg (not (admin))] {again} async fn pay ({rest}"
        )
    );
}

#[test]
fn a_mistake_leaves_the_original_function_in_place() {
    let text = expand(
        "ttl = \"24h\"",
        "async fn pay(#[deferred] a: A, b: B) -> C { d }",
    );
    assert!(
        text.contains("async fn pay (a : A , b : B) -> C { d }"),
        "{text}"
    );
    assert!(!text.contains("HandlerSpec"));
}

#[test]
fn several_mistakes_are_reported_at_once() {
    let found = messages(
        "ttl = \"soon\", scopes = \"user\", record = \"al\"",
        "fn pay(a: Json<u8>, b: String) { }",
    );
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn expressions_see_names_in_macros_and_in_format_captures() {
    for scope in [
        "format!(\"{}\", user.id)",
        "format!(\"{user}\")",
        "user.tenant()",
    ] {
        let found = messages(&format!("ttl = \"24h\", scope = {scope}"), PAY);
        assert!(found.is_empty(), "{scope}: {found:?}");
    }
}

#[test]
fn a_handler_that_names_self_is_kept_beside() {
    let text = expand(
        "ttl = \"24h\", scope = \"global\"",
        "async fn pay(a: String) -> String { Self::fee(a) }",
    );
    assert!(text.contains("async fn __idem_pay (a : String)"), "{text}");
    assert!(text.contains("= Self :: __idem_pay ;"), "{text}");
    // A `Self` that belongs to an item inside is that item's own.
    let text = expand(
        "ttl = \"24h\", scope = \"global\"",
        "async fn pay(a: String) -> String { impl X for Y { fn z() -> Self { W } } a }",
    );
    assert!(!text.contains("__idem_pay"), "{text}");
}
