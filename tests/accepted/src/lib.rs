//! What `#[idempotent]` must accept. Each file of `examples/` is a program: it
//! compiles without a warning that it denies, and ends well. What must *not*
//! compile is in the facade's `tests/ui`.
//!
//! They are programs and not cases of trybuild, because it builds all
//! dependencies a second time for a case that is to pass, and then compiles
//! every case by itself; the refused ones alone are checked all at once.
