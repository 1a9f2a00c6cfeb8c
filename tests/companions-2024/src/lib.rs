//! A crate without a prelude, in which every name that an expansion could reach for is taken by
//! something else.
#![no_implicit_prelude]
#![deny(warnings)]
#![forbid(unsafe_code)]

mod app;
mod handlers;
pub mod taken;

pub use self::{app::App, handlers::router};
