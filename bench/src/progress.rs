//! How far the run is, on stderr: a bar on a terminal, else a line now and then.

use std::{
    cell::Cell,
    io::{IsTerminal, stderr},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::contestants::Contestant;

#[derive(Debug)]
pub(crate) struct Progress {
    /// If there is a terminal.
    bar: Option<ProgressBar>,
    /// The line that was printed last.
    said: Cell<Option<(usize, usize)>>,
}

impl Progress {
    pub(crate) fn new(steps: usize) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {elapsed} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self {
            bar,
            said: Cell::new(None),
        }
    }

    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    pub(crate) fn turn(&self, round: usize, connections: usize, contestant: Contestant) {
        let place = format!("round {}, connections: {connections}", round + 1);
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                bar.set_message(format!("{place}, {contestant}"));
            }
            None if self.said.replace(Some((round, connections))) != Some((round, connections)) => {
                eprintln!("{place}");
            }
            None => {}
        }
    }

    pub(crate) fn inspect(&self, contestant: Contestant) {
        let text = format!("allocations, memory, conflicts: {contestant}");
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                bar.set_message(text);
            }
            None => eprintln!("{text}"),
        }
    }

    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
