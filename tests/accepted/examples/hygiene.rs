#![no_implicit_prelude]
#![forbid(unsafe_code)]
#![deny(warnings)]

// A user's own types may have any name.
pub struct Result;
pub struct Option;
pub struct Response;
pub struct Box;
pub struct Call;
pub struct Entry;

mod nested {
    #[::idem_axum::idempotent(ttl = "24h", scope = user.0, key = amount)]
    pub(crate) async fn pay(
        user: ::axum::Extension<::std::primitive::u64>,
        ::axum::Json(amount): ::axum::Json<::std::primitive::u32>,
    ) -> ::std::string::String {
        ::std::string::ToString::to_string(&(user.0 + amount as ::std::primitive::u64))
    }
}

fn main() {
    let _: ::axum::Router<::idem_axum::Idempotency> =
        ::axum::Router::new().route("/pay", ::axum::routing::post(nested::pay));
    let _ = (Result, Option, Response, Box, Call, Entry);
}
