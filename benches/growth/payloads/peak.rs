//! How many bytes are alive at once.

use std::alloc::System;

use alloc_tracker::{Allocator, Session};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

/// The most bytes that were allocated on this thread while it worked, and not yet released.
pub(crate) fn alive_at_most(work: impl FnOnce()) -> f64 {
    let session = Session::new().no_stdout().no_file();
    let operation = session.operation("once");
    let span = operation.measure_thread().iterations(1);
    work();
    drop(span);
    session
        .to_report()
        .operations()
        .filter_map(|(_, operation)| operation.peak_outstanding_bytes())
        .sum()
}
