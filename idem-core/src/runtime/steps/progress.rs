//! Which steps of a slot are finished, and which this run has asked for.

use std::collections::HashSet;

use bytes::Bytes;

use super::error::{MAX_STEP_NAME_BYTES, MAX_STEPS, MAX_STEPS_BYTES, StepsError};
use crate::Checkpoint;

/// The finished steps in the order in which they were kept, and what the run at
/// hand has done of them.
#[derive(Debug)]
pub(super) struct Progress {
    finished: Vec<Checkpoint>,
    /// The names that this run has asked for or retired.
    asked: HashSet<String>,
    /// What all results have together.
    bytes: usize,
}

/// What a run that asks for a step gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// What was kept of it.
    Finished(Bytes),
    /// It is to be run.
    Fresh,
    /// It is to be run, but there is a finished step that was not asked for yet.
    OutOfOrder,
}

impl Progress {
    pub(super) fn new(finished: Vec<Checkpoint>) -> Self {
        let bytes = finished.iter().map(size).sum();
        Self {
            finished,
            asked: HashSet::new(),
            bytes,
        }
    }

    /// The run begins anew, in the same claim.
    pub(super) fn begin_again(&mut self) {
        self.asked.clear();
    }

    /// Takes the name for this run.
    pub(super) fn ask(&mut self, name: &str) -> Result<Asked, StepsError> {
        let is_name = !name.is_empty()
            && name.len() <= MAX_STEP_NAME_BYTES
            && !name.chars().any(char::is_control);
        if !is_name {
            return Err(StepsError::Name {
                name: name.to_owned(),
            });
        }
        if !self.asked.insert(name.to_owned()) {
            return Err(StepsError::Twice {
                step: name.to_owned(),
            });
        }
        if let Some(value) = self.value(name) {
            return Ok(Asked::Finished(value));
        }
        if self.finished.len() >= MAX_STEPS {
            return Err(StepsError::TooMany {
                step: name.to_owned(),
            });
        }
        Ok(match self.skipped() {
            Some(_) => Asked::OutOfOrder,
            None => Asked::Fresh,
        })
    }

    /// A finished step that this run has not asked for.
    pub(super) fn skipped(&self) -> Option<String> {
        self.finished
            .iter()
            .map(|step| &step.name)
            .find(|name| !self.asked.contains(*name))
            .cloned()
    }

    /// This run knows that there was such a step, and has it no more.
    pub(super) fn retire(&mut self, name: &str) {
        self.asked.insert(name.to_owned());
    }

    /// A step that had no result may be run again.
    pub(super) fn forget(&mut self, name: &str) {
        self.asked.remove(name);
    }

    pub(super) fn value(&self, name: &str) -> Option<Bytes> {
        let step = self.finished.iter().find(|step| step.name == name)?;
        Some(step.value.clone())
    }

    /// Whether there is room for one more result.
    pub(super) fn has_room_for(&self, step: &Checkpoint) -> bool {
        self.bytes.saturating_add(size(step)) <= MAX_STEPS_BYTES
    }

    pub(super) fn keep(&mut self, step: Checkpoint) {
        self.bytes = self.bytes.saturating_add(size(&step));
        self.finished.push(step);
    }
}

fn size(step: &Checkpoint) -> usize {
    step.name.len() + step.value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str) -> Checkpoint {
        Checkpoint {
            name: name.to_owned(),
            value: Bytes::from_static(b"v"),
        }
    }

    #[test]
    fn names_are_checked() {
        let mut progress = Progress::new(Vec::new());
        for bad in ["", "a\nb", &"n".repeat(MAX_STEP_NAME_BYTES + 1)] {
            assert!(matches!(progress.ask(bad), Err(StepsError::Name { .. })));
        }
        assert_eq!(
            progress.ask(&"n".repeat(MAX_STEP_NAME_BYTES)).unwrap(),
            Asked::Fresh
        );
        progress.ask("ship to Zürich").unwrap();
        assert!(matches!(
            progress.ask("ship to Zürich"),
            Err(StepsError::Twice { .. })
        ));
        progress.forget("ship to Zürich");
        progress.ask("ship to Zürich").unwrap();
    }

    #[test]
    fn a_finished_step_that_is_not_asked_for_stands_in_the_way() {
        let mut progress = Progress::new(vec![step("a"), step("b")]);
        assert_eq!(
            progress.ask("a").unwrap(),
            Asked::Finished(Bytes::from_static(b"v"))
        );
        assert_eq!(progress.ask("c").unwrap(), Asked::OutOfOrder);
        progress.retire("b");
        assert_eq!(progress.ask("d").unwrap(), Asked::Fresh);
        progress.begin_again();
        assert_eq!(progress.skipped().as_deref(), Some("a"));
    }

    #[test]
    fn there_is_an_end_of_steps_and_of_room() {
        let steps = (0..MAX_STEPS).map(|number| step(&format!("s{number}")));
        let mut progress = Progress::new(steps.collect());
        assert!(matches!(
            progress.ask("more"),
            Err(StepsError::TooMany { .. })
        ));
        assert!(matches!(progress.ask("s0"), Ok(Asked::Finished(_))));

        let large = |bytes| Checkpoint {
            name: "n".to_owned(),
            value: Bytes::from(vec![0; bytes]),
        };
        let mut progress = Progress::new(Vec::new());
        assert!(progress.has_room_for(&large(MAX_STEPS_BYTES - 1)));
        assert!(!progress.has_room_for(&large(MAX_STEPS_BYTES)));
        progress.keep(large(MAX_STEPS_BYTES / 2));
        assert!(!progress.has_room_for(&large(MAX_STEPS_BYTES / 2)));
    }
}
