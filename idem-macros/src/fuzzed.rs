//! The same crate, as one that is no crate of macros and so can export something: the root of the
//! package in `fuzz/macros`, and in no build of idem.

mod attribute;
mod companions;
mod errors;
mod expand;
#[cfg(feature = "utoipa")]
mod openapi;
mod parse;
mod properties;
mod rewrite;
mod suggest;
mod validate;

/// `data` is the attribute's arguments on its first line, and the item below it.
pub fn written(data: &[u8]) {
    properties::attribute(data);
}
