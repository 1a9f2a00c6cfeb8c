//! What was written, typed.

pub(crate) mod args;
mod duration;
pub(crate) mod function;
mod literal;
pub(crate) mod signature;
mod size;
pub(crate) mod types;
