//! What a node knows about the nodes of its cluster.

use std::fmt::Write;
use std::ops::RangeInclusive;

use super::MASTERS;
use crate::redis::Redis;

/// The file in which a node keeps it.
pub(super) const FILE: &str = "nodes.conf";

const SLOTS: usize = 16_384;

/// A node that is to be started.
pub(super) struct Member {
    pub(super) id: String,
    pub(super) port: u16,
    pub(super) bus: u16,
    /// Itself, or the node it follows.
    pub(super) master: usize,
}

/// The slots that a master starts with.
pub(super) fn slots(master: usize) -> [RangeInclusive<u16>; 1] {
    let edge = |i: usize| u16::try_from(i * SLOTS / MASTERS).expect("a slot");
    [edge(master)..=edge(master + 1) - 1]
}

/// The file of a node that knows the whole cluster from the start: to meet takes seconds.
pub(super) fn file(members: &[Member], own: usize) -> String {
    let mut file = String::new();
    for (i, member) in members.iter().enumerate() {
        let myself = if i == own { "myself," } else { "" };
        let Member { id, port, bus, .. } = member;
        write!(file, "{id} 127.0.0.1:{port}@{bus} {myself}").unwrap();
        // A master's epoch is its own: nobody contests another's slots.
        let epoch = member.master + 1;
        if member.master == i {
            let [slots] = slots(i);
            let (first, last) = slots.into_inner();
            writeln!(file, "master - 0 0 {epoch} connected {first}-{last}").unwrap();
        } else {
            let master = &members[member.master].id;
            writeln!(file, "slave {master} 0 0 {epoch} connected").unwrap();
        }
    }
    writeln!(file, "vars currentEpoch {MASTERS} lastVoteEpoch 0").unwrap();
    file
}

/// One node, as another sees it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) id: String,
    flags: Vec<String>,
    pub(super) master: Option<String>,
    pub(super) slots: Vec<RangeInclusive<u16>>,
}

impl View {
    /// What a node says about all nodes. `None` if it does not answer.
    pub(super) async fn ask(node: &Redis) -> Option<Vec<Self>> {
        let nodes: String = node.query(&["CLUSTER", "NODES"]).await.ok()?;
        nodes.lines().map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let id = words.next()?.to_owned();
        let flags = words.nth(1)?.split(',').map(Into::into).collect();
        let master = words.next().filter(|id| *id != "-").map(Into::into);
        // "[5-<-id]" is a slot on the move, which belongs to where it comes from.
        let slots = words.skip(4).filter(|word| !word.starts_with('['));
        let slots = slots.map(|word| {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            Some(first.parse().ok()?..=last.parse().ok()?)
        });
        Some(Self {
            id,
            flags,
            master,
            slots: slots.collect::<Option<_>>()?,
        })
    }

    /// Whether it is a master that has slots.
    pub(super) fn is_master(&self) -> bool {
        !self.slots.is_empty() && self.flags.iter().any(|flag| flag == "master")
    }

    /// Whether it has this slot.
    pub(super) fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|range| range.contains(&slot))
    }
}
