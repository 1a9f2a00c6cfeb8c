//! A small service in a crate that is stricter than most: whatever
//! `#[idempotent]` expands to, it warns of nothing here.
//!
//! The tests put one other macro each beside the attribute.
#![deny(warnings)]
#![forbid(unsafe_code)]
// Restrictions that a strict crate chooses; the manifest has the groups.
#![deny(
    clippy::absolute_paths,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::default_numeric_fallback,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    clippy::let_underscore_untyped,
    clippy::missing_docs_in_private_items,
    clippy::panic,
    clippy::redundant_type_annotations,
    clippy::ref_patterns,
    clippy::same_name_method,
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::shadow_unrelated,
    clippy::str_to_string,
    clippy::unreachable,
    clippy::unused_async,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm
)]

mod app;
mod extract;
mod handlers;

pub use self::{
    app::{App, Effects},
    extract::{Connection, Lines, User},
    handlers::{
        beat, crowded, import, notify, pay, pay_amount, raw, router, scoped, top_up, typed,
        Payment, Receipt, Refusal, Till,
    },
};
