//! x
use proc_macro::TokenStream;
/// x
#[proc_macro_attribute]
pub fn idempotent(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}
