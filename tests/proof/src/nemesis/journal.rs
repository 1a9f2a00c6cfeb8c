//! What the handlers wrote down, as events of a history.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;

use super::{fleet::Clock, fleet::Node, windows::Window, workload};
use crate::history::{End, Event, NodeId, PayloadId, Place, RunId, What};

/// One line.
#[derive(Debug, Deserialize)]
struct Line {
    at: u64,
    node: u32,
    event: String,
    about: Value,
}

/// All that the journal says.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// The executions.
    pub(super) events: Vec<Event>,
    /// When processes did not get to run.
    pub(super) late: Vec<Window>,
    /// The results of each step of each run, when they were kept.
    pub(super) results: Vec<(RunId, String, String)>,
    /// The processes of the executions that have no end.
    pub(super) open: BTreeMap<RunId, NodeId>,
    /// Lines that make no sense.
    pub(super) unreadable: Vec<String>,
}

impl Journal {
    /// Reads what was written until now.
    pub(super) fn read(path: &Path, clock: &Clock, nodes: &[Node]) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut journal = Self::default();
        for line in text.lines() {
            if journal.line(line, clock, nodes).is_none() {
                journal.unreadable.push(line.to_owned());
            }
        }
        journal
    }

    fn line(&mut self, line: &str, clock: &Clock, nodes: &[Node]) -> Option<()> {
        let Line {
            at,
            node: pid,
            event,
            about,
        } = serde_json::from_str(line).ok()?;
        let at = clock.at(at);
        let (index, node) = nodes
            .iter()
            .enumerate()
            .find_map(|(index, node)| Some((index, node.id_of(index, pid)?)))?;
        if event == "late" {
            self.late.push(Window {
                node: Some(index),
                from: clock.at(about["since"].as_u64()?),
                to: at,
                why: "late",
            });
            return Some(());
        }
        let text = |name: &str| about[name].as_str().map(str::to_owned);
        let run = RunId::from_str_radix(about["run"].as_str()?, 16).ok()?;
        let what = match event.as_str() {
            "begin" => {
                self.open.insert(run, node);
                What::Began {
                    run,
                    call: about["call"].as_u64(),
                    node,
                    place: workload::place(&text("route")?, &text("user")?, &text("key")?)?,
                    payload: payload(&text("payload")?)?,
                    attempt: about["attempt"]
                        .as_u64()
                        .and_then(|it| u32::try_from(it).ok()),
                    fence: None,
                }
            }
            "effect" => What::Effect { run },
            "step" => What::StepBegan {
                run,
                step: text("step")?,
            },
            "kept" => {
                self.results.push((run, text("step")?, text("result")?));
                What::StepKept {
                    run,
                    step: text("step")?,
                }
            }
            "stopped" => {
                self.open.remove(&run);
                let end = End::Stopped;
                What::Ended { run, end }
            }
            "failed" | "end" => {
                self.open.remove(&run);
                let answer = text("answer")?;
                let end = if event == "end" {
                    End::Record(answer)
                } else {
                    End::Release(answer)
                };
                What::Ended { run, end }
            }
            _ => return None,
        };
        self.events.push(Event { at, what });
        Some(())
    }
}

/// How long it is by now, in bytes.
pub(super) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// The processes that have begun this key's work, of what was written after so many bytes.
pub(super) fn begun(
    path: &Path,
    after: u64,
    clock: &Clock,
    nodes: &[Node],
    place: Place,
) -> Vec<NodeId> {
    let key = format!("\"k{}\"", place.key);
    let text = read_after(path, after).unwrap_or_default();
    let mut journal = Journal::default();
    for line in text.lines().filter(|line| line.contains(&key)) {
        // The last line may be on its way.
        let _ = journal.line(line, clock, nodes);
    }
    let began = |event: &Event| match event.what {
        What::Began {
            node, place: of, ..
        } if of == place => Some(node),
        _ => None,
    };
    journal.events.iter().filter_map(began).collect()
}

fn read_after(path: &Path, after: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(after))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn payload(text: &str) -> Option<PayloadId> {
    text.strip_prefix('p')?.parse().ok()
}
