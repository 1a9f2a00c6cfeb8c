//! What was written, typed.

pub(crate) mod args;
mod duration;
pub(crate) mod function;
pub(crate) mod signature;
mod size;
