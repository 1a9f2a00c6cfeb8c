//! Carries out a schedule, and notes what was wrong from when to when.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    calls::Caller,
    fleet::Node,
    schedule::{Fault, Schedule, Step},
    stage::{Concerned, Stage},
    windows::{Window, Windows},
    workload::Workload,
};
use crate::history::{Change, What};

/// How often each kind of fault was injected.
pub(super) type Faults = BTreeMap<&'static str, u64>;

#[derive(Debug, Clone)]
pub(super) struct Lanes {
    pub(super) caller: Caller,
    pub(super) stage: Arc<Stage>,
    pub(super) nodes: Arc<Vec<Node>>,
    pub(super) windows: Windows,
    pub(super) workload: Workload,
    /// Where the handlers write.
    pub(super) journal: PathBuf,
    /// A failover may lose what was acknowledged.
    pub(super) loses_writes: bool,
    pub(super) until: Duration,
}

impl Lanes {
    /// Both lanes, side by side. When it returns, everything is mended.
    pub(super) async fn run(&self, schedule: &Schedule) -> Faults {
        let nodes = self.clone().lane(schedule.nodes.clone());
        let store = self.clone().lane(schedule.store.clone());
        let (nodes, store) = tokio::join!(tokio::spawn(nodes), tokio::spawn(store));
        let mut faults = nodes.expect("the lane of the processes");
        for (kind, count) in store.expect("the lane of the store") {
            *faults.entry(kind).or_default() += count;
        }
        faults
    }

    async fn lane(self, steps: Vec<Step>) -> Faults {
        let mut faults = Faults::new();
        let mut calls = Vec::new();
        for Step { pause, fault } in steps {
            sleep(pause).await;
            if self.caller.clock.now() > self.until {
                break;
            }
            self.caller.note(What::Note(format!("{fault:?}")));
            let mut kind = fault.kind();
            let mut from = self.caller.clock.now();
            match fault {
                Fault::Kill { node, down } => self.kill(node, down).await,
                Fault::Stop { node, time } => self.stop(node, time).await,
                Fault::Overtake { first, second } => {
                    let overtaking = self.overtake(first, second).await;
                    calls.extend(overtaking.calls);
                    let Some(stopped) = overtaking.since else {
                        continue;
                    };
                    from = stopped;
                    if !overtaking.came {
                        kind = "node stopped";
                    }
                }
                other => self.stage.apply(other).await,
            }
            let to = self.caller.clock.now();
            self.caller.note(What::Note(format!("{kind} is over")));
            *faults.entry(kind).or_default() += 1;
            let node = match self.stage.concerns(&fault) {
                Concerned::Node(node) => Some(node),
                Concerned::All => None,
            };
            // What a death excuses is in the history itself.
            if !matches!(fault, Fault::Kill { .. }) {
                self.windows.note(Window {
                    node,
                    from,
                    to,
                    why: kind,
                });
            }
            if self.loses_writes
                && matches!(
                    fault,
                    Fault::MasterKilled { .. } | Fault::MasterStopped { .. }
                )
            {
                self.caller
                    .recorder
                    .note(from, What::LostWrites { places: None });
            }
        }
        for call in calls {
            call.await.expect("a request");
        }
        faults
    }

    /// Looks after the store, and notes when it was not well, whoever is to blame. Never ends.
    pub(super) async fn watch(self) {
        let mut well_at = self.caller.clock.now();
        loop {
            sleep(Duration::from_millis(100)).await;
            let well = self.stage.is_well().await;
            let now = self.caller.clock.now();
            if well {
                well_at = now;
                continue;
            }
            self.windows.note(Window {
                node: None,
                from: well_at,
                to: now,
                why: "the store takes no writes",
            });
        }
    }

    async fn kill(&self, index: usize, down: Duration) {
        let node = &self.nodes[index];
        let id = node.id(index);
        node.kill();
        self.caller.note(What::Node {
            node: id,
            change: Change::Crashed,
        });
        sleep(down).await;
        node.restart().await;
        self.caller.note(What::Node {
            node: node.id(index),
            change: Change::Restarted,
        });
    }

    async fn stop(&self, index: usize, time: Duration) {
        let node = &self.nodes[index];
        let id = node.id(index);
        let changed = |change| What::Node { node: id, change };
        self.caller.note(changed(Change::Stopped));
        node.stop();
        sleep(time).await;
        node.resume();
        self.caller.note(changed(Change::Woke));
    }
}
