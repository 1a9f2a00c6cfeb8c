//! One lock's worth of slots, and when each of them is due for deletion.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use tokio::time::Instant;

use super::{budget::Budget, entry::Entry};
use crate::Slot;

/// How many due entries one verb deletes on its way: more than it can add, so
/// that the queue drains, and few enough to keep the lock short.
const REAPED_PER_VERB: usize = 4;

/// How many a new slot deletes in a shard that it has nothing else to do with: that one
/// comes to it again only after all the others.
const REAPED_PER_SWEEP: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Shard {
    entries: HashMap<Slot, Tracked>,
    /// When to look at a slot. An entry that is not due then is put back, so
    /// nearly every one has one place here.
    queue: BinaryHeap<Reverse<(Instant, Slot)>>,
}

#[derive(Debug)]
struct Tracked {
    entry: Entry,
    /// The time of the one place in the queue that counts for this entry.
    queued_at: Option<Instant>,
}

impl Shard {
    /// The slot's entry, unless it is physically deleted.
    pub(super) fn get(&self, slot: &Slot, now: Instant) -> Option<&Entry> {
        let tracked = self.entries.get(slot)?;
        (!tracked.entry.is_deleted(now)).then_some(&tracked.entry)
    }

    /// Changes the slot's entry, if it is there, and keeps the books.
    pub(super) fn change<T>(
        &mut self,
        slot: &Slot,
        now: Instant,
        budget: &Budget,
        step: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        let tracked = self.entries.get_mut(slot)?;
        if tracked.entry.is_deleted(now) {
            return None;
        }
        let before = tracked.entry.cost();
        let answer = step(&mut tracked.entry);
        budget.adjust(before, tracked.entry.cost());
        enqueue(&mut self.queue, *slot, tracked, now);
        Some(answer)
    }

    /// Adds an entry whose place in the budget is already taken.
    pub(super) fn insert(&mut self, slot: Slot, entry: Entry, now: Instant, budget: &Budget) {
        let mut tracked = Tracked {
            entry,
            queued_at: None,
        };
        enqueue(&mut self.queue, slot, &mut tracked, now);
        if let Some(dead) = self.entries.insert(slot, tracked) {
            budget.free(dead.entry.cost());
        }
    }

    /// Deletes a few of the entries that are due.
    pub(super) fn reap_some(&mut self, now: Instant, budget: &Budget) {
        self.reap(REAPED_PER_VERB, now, budget);
    }

    /// Deletes some more of them.
    pub(super) fn sweep(&mut self, now: Instant, budget: &Budget) {
        self.reap(REAPED_PER_SWEEP, now, budget);
    }

    fn reap(&mut self, most: usize, now: Instant, budget: &Budget) {
        for _ in 0..most {
            if !self.reap_one(now, budget) {
                break;
            }
        }
    }

    /// Deletes every entry that is due.
    pub(super) fn reap_all(&mut self, now: Instant, budget: &Budget) {
        while self.reap_one(now, budget) {}
    }

    fn reap_one(&mut self, now: Instant, budget: &Budget) -> bool {
        match self.queue.peek() {
            Some(Reverse((due, _))) if *due <= now => {}
            _ => return false,
        }
        let Some(Reverse((due, slot))) = self.queue.pop() else {
            return false;
        };
        let Some(tracked) = self.entries.get_mut(&slot) else {
            return true;
        };
        if tracked.queued_at != Some(due) {
            return true;
        }
        tracked.queued_at = None;
        if tracked.entry.is_deleted(now) {
            budget.free(tracked.entry.cost());
            self.entries.remove(&slot);
        } else {
            enqueue(&mut self.queue, slot, tracked, now);
        }
        true
    }

    pub(super) fn iter(&self, now: Instant) -> impl Iterator<Item = (&Slot, &Entry)> {
        self.entries
            .iter()
            .filter(move |(_, tracked)| !tracked.entry.is_deleted(now))
            .map(|(slot, tracked)| (slot, &tracked.entry))
    }

    #[cfg(test)]
    pub(super) fn queue_len(&self) -> usize {
        self.queue.len()
    }
}

/// Makes sure that the slot is looked at no later than its entry's deletion.
fn enqueue(
    queue: &mut BinaryHeap<Reverse<(Instant, Slot)>>,
    slot: Slot,
    tracked: &mut Tracked,
    now: Instant,
) {
    let Some(due) = tracked.entry.look_at(now) else {
        return;
    };
    if tracked.queued_at.is_none_or(|queued| due < queued) {
        tracked.queued_at = Some(due);
        queue.push(Reverse((due, slot)));
    }
}
