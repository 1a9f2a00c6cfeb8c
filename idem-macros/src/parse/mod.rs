//! What was written, typed.

pub(crate) mod args;
mod duration;
pub(crate) mod signature;
mod size;
