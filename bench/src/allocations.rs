//! Allocations of this process, counted for each thread and added up when somebody asks. It cannot be
//! turned off, and takes about 2 ns of each allocation and release, of every contestant alike.

use std::{
    alloc::System,
    sync::{Mutex, PoisonError},
};

use alloc_tracker::{Allocator, Operation, ProcessSpan, Session};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

#[derive(Debug)]
pub(crate) struct Allocations {
    session: Session,
    operation: Operation,
    /// What is added when it is dropped.
    span: Mutex<Option<ProcessSpan>>,
}

impl Allocations {
    pub(crate) fn new() -> Self {
        let session = Session::new().no_stdout().no_file();
        let operation = session.operation("served");
        Self {
            span: Mutex::new(Some(operation.measure_process())),
            session,
            operation,
        }
    }

    /// How many there were since this was made.
    pub(crate) fn so_far(&self) -> u64 {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        drop(span.take().map(|span| span.iterations(1)));
        let report = self.session.to_report();
        *span = Some(self.operation.measure_process());
        report
            .operations()
            .map(|(_, operation)| operation.total_allocations_count())
            .sum()
    }
}

impl Drop for Allocations {
    fn drop(&mut self) {
        let span = self.span.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A span that is dropped without a number panics.
        drop(span.take().map(|span| span.iterations(1)));
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn allocations_of_all_threads_are_counted() {
        let allocations = Allocations::new();
        let before = allocations.so_far();
        let allocate = || {
            for byte in 0..100_u8 {
                black_box(vec![byte]);
            }
        };
        allocate();
        std::thread::spawn(allocate).join().unwrap();
        let counted = allocations.so_far() - before;
        // The thread itself and the tests beside this one have some, too.
        assert!(counted >= 200, "{counted}");
    }
}
