//! A process together with its children, for a server that is more than one.

use std::thread;
use std::time::{Duration, Instant};

use super::Process;
use super::table::{State, children_of, send, state_of};
use crate::waiting::DEADLINE;

impl Process {
    /// Its children.
    pub(crate) fn children(&self) -> Vec<u32> {
        children_of(self.pid())
    }

    /// Stops it and its children. When this returns, all of them have stopped.
    pub(crate) fn stop_all(&self) {
        let children = self.stop_before_children();
        send("STOP", &children);
        wait_until(&children, |state| state != State::Running);
    }

    /// Lets it and its children go on.
    pub(crate) fn resume_all(&self) {
        let mut all = self.children();
        all.push(self.pid());
        send("CONT", &all);
        wait_until(&all, |state| state != State::Stopped);
    }

    /// `kill -9` of it and its children. When this returns, all of them are gone.
    pub(crate) fn kill_all(&self) {
        if !self.is_running() {
            return;
        }
        let mut all = self.stop_before_children();
        all.push(self.pid());
        send("KILL", &all);
        wait_until(&all, |state| state == State::Ended);
    }

    /// `kill -9` of one child. When this returns, it is gone.
    pub(crate) fn kill_child(&self, pid: u32) {
        let mine = self.children().contains(&pid);
        assert!(mine, "{pid} is no child of {}", self.pid());
        send("KILL", &[pid]);
        wait_until(&[pid], |state| state == State::Ended);
    }

    /// Its children, of which there will be no more: it has stopped. Nor are there less, since
    /// it cannot reap them: none of these ids can become somebody else's.
    fn stop_before_children(&self) -> Vec<u32> {
        self.signal("STOP");
        self.wait_for(State::Stopped);
        self.children()
    }
}

/// Waits, blocking, until this holds for each of them.
pub(super) fn wait_until(pids: &[u32], holds: impl Fn(State) -> bool) {
    let start = Instant::now();
    while let Some(pid) = pids.iter().find(|pid| !holds(state_of(**pid))) {
        assert!(
            start.elapsed() < DEADLINE,
            "process {pid} stayed {:?}",
            state_of(*pid)
        );
        thread::sleep(Duration::from_millis(1));
    }
}
