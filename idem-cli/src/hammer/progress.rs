//! How far the run is, on a terminal's stderr.

use indicatif::{ProgressBar, ProgressStyle};

use super::rules::Rule;

pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// indicatif draws on stderr, and only if that is a terminal.
    pub(crate) fn new(is_shown: bool, steps: u64) -> Self {
        if !is_shown {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(steps);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {elapsed} {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(crate) fn begin(&self, rule: Rule) {
        self.0.set_message(rule.name());
    }

    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
