//! Whether everything came to an end, and left nothing behind.

use super::{Invariant, Violation, index::Index, violation};
use crate::history::{History, What};

pub(super) fn check(history: &History, index: &Index<'_>, found: &mut Vec<Violation>) {
    for event in &history.events {
        match &event.what {
            What::Panicked { node, message } => found.push(violation(
                Invariant::I9,
                None,
                event.at,
                format!("panicked on node {node}: {message}"),
            )),
            What::Drained { node, left } => {
                let left: Vec<_> = left.iter().filter(|(_, count)| *count > 0).collect();
                if !left.is_empty() {
                    found.push(violation(
                        Invariant::I9,
                        None,
                        event.at,
                        format!("node {node} was drained, and has left {left:?}"),
                    ));
                }
            }
            _ => {}
        }
    }
    for (id, call) in &index.calls {
        let Some(answer_by) = call.answer_by else {
            continue;
        };
        let over = call.over().unwrap_or(index.end);
        // A process that stands still answers nobody.
        let still = index.stood_still(call.node, call.sent, over);
        let late = over > answer_by + still + history.blur;
        if late && !index.has_crashed(call.node, call.sent, over) {
            found.push(violation(
                Invariant::I9,
                call.place,
                over,
                format!(
                    "request {id} was to be answered by {:.6}",
                    answer_by.as_secs_f64()
                ),
            ));
        }
    }
    for (id, run) in &index.runs {
        let is_over = run.ended.is_some() || run.cut.is_some() || run.dropped.is_some();
        let is_drained = history.events.iter().any(
            |event| matches!(&event.what, What::Drained { node, .. } if *node == run.node && event.at >= run.began),
        );
        if !is_over && is_drained {
            found.push(violation(
                Invariant::I9,
                run.place,
                index.end,
                format!("execution {id} has never ended"),
            ));
        }
    }
}
