//! An owner that has lost its lease ends its work while the one that took over is still at work.
//!
//! Chance seldom makes this moment, and it is the one in which a store that does not look at fences
//! gives itself away. The journal says when each of the two is in its handler.

use std::{future::Future, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{journal, lanes::Lanes, schedule::LEASE, workload::Wish};
use crate::history::{Change, NodeId, What};

/// How long it may take until a handler begins that nothing is in the way of.
const BEGINS: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug)]
pub(super) struct Overtaking {
    /// Since when the first process stood still, if it did.
    pub(super) since: Option<Duration>,
    /// Whether the other was at work when the first went on.
    pub(super) came: bool,
    /// The requests, which go on.
    pub(super) calls: Vec<JoinHandle<()>>,
}

impl Lanes {
    /// Stops the first in its handler until the second is in its own for the same key. If that
    /// moment does not come, it was a stop like any other.
    pub(super) async fn overtake(&self, first: usize, second: usize) -> Overtaking {
        let after = journal::length(&self.journal);
        let wish = self.workload.lengthy();
        let mut overtaking = Overtaking {
            since: None,
            came: false,
            calls: vec![self.request(&wish, first, self.until)],
        };
        let id = self.nodes[first].id(first);
        if !self.begun(&wish, after, BEGINS, |node| node == id).await {
            return overtaking;
        }
        let from = self.caller.clock.now();
        let changed = |change| What::Node { node: id, change };
        self.caller.note(changed(Change::Stopped));
        self.nodes[first].stop();
        let patience = LEASE + BEGINS;
        let until = self.caller.clock.now() + patience;
        overtaking.calls.push(self.request(&wish, second, until));
        overtaking.came = self.begun(&wish, after, patience, |node| node != id).await;
        self.nodes[first].resume();
        self.caller.note(changed(Change::Woke));
        overtaking.since = Some(from);
        overtaking
    }

    fn request(&self, wish: &Wish, node: usize, until: Duration) -> JoinHandle<()> {
        let (workload, wish) = (self.workload.clone(), wish.clone());
        tokio::spawn(async move { workload.ask(&wish, node, until).await })
    }

    /// Waits until a process of this kind has begun the wish's key.
    fn begun(
        &self,
        wish: &Wish,
        after: u64,
        patience: Duration,
        is: impl Fn(NodeId) -> bool,
    ) -> impl Future<Output = bool> {
        let place = wish.place();
        let begun = async move {
            loop {
                let nodes =
                    journal::begun(&self.journal, after, &self.caller.clock, &self.nodes, place);
                if nodes.into_iter().any(&is) {
                    return;
                }
                sleep(Duration::from_millis(25)).await;
            }
        };
        async move { timeout(patience, begun).await.is_ok() }
    }
}
