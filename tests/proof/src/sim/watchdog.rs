//! Ends the process if a schedule does not end: a task that never waits stops simulated time,
//! and nothing within the simulation can see it.

use std::{
    sync::{Mutex, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// A schedule takes milliseconds. This is for a machine that is starved.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is played by whom, and since when.
static PLAYED: Mutex<Vec<(thread::ThreadId, String, Instant)>> = Mutex::new(Vec::new());

/// A schedule that is watched until this is dropped.
pub(super) struct Watched(thread::ThreadId);

impl Watched {
    /// `what` is printed if it does not end.
    pub(super) fn new(what: String) -> Self {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| drop(thread::spawn(watch)));
        let thread = thread::current().id();
        let mut played = PLAYED.lock().unwrap_or_else(PoisonError::into_inner);
        played.push((thread, what, Instant::now()));
        Self(thread)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut played = PLAYED.lock().unwrap_or_else(PoisonError::into_inner);
        played.retain(|(thread, ..)| *thread != self.0);
    }
}

fn watch() {
    loop {
        thread::sleep(PATIENCE / 10);
        let played = PLAYED.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, what, since) in &*played {
            if since.elapsed() > PATIENCE {
                eprintln!("I9: {what} does not end: something runs without ever waiting");
                std::process::exit(101);
            }
        }
    }
}
