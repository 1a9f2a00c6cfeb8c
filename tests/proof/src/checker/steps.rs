//! Whether finished steps stayed finished.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Invariant, Violation,
    index::{Index, Step},
    model::Log,
    violation,
};
use crate::history::{History, Place};

pub(super) fn check(history: &History, index: &Index<'_>, log: &Log, found: &mut Vec<Violation>) {
    let mut kept: BTreeMap<(Place, usize, &str), Duration> = BTreeMap::new();
    for run in index.runs.values() {
        let generation = index.generation(run.place, run.began);
        for (at, step) in &run.steps {
            if let Step::Kept(step) = step {
                let first = kept.entry((run.place, generation, step)).or_insert(*at);
                *first = (*first).min(*at);
            }
        }
    }
    for (id, run) in &index.runs {
        let generation = index.generation(run.place, run.began);
        for (at, step) in &run.steps {
            let Step::Began(name) = step else {
                continue;
            };
            if let Some(kept) = kept.get(&(run.place, generation, name))
                && *kept + history.blur < *at
            {
                found.push(violation(
                    Invariant::Steps,
                    run.place,
                    *at,
                    format!(
                        "execution {id} runs the step {name:?}, which was kept at {:.6}",
                        kept.as_secs_f64()
                    ),
                ));
            }
            if let Some(fence) = run.fence
                && history.sees_store
                && log.is_taken_over(run.place, fence, run.began, *at)
                && index.generation(run.place, *at) == generation
            {
                found.push(violation(
                    Invariant::I1,
                    run.place,
                    *at,
                    format!("execution {id} begins the step {name:?}, and another has taken over"),
                ));
            }
        }
    }
}
