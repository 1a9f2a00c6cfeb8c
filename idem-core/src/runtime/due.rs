//! When to look at each of many things that mostly end before their time.

use std::{cmp::Reverse, collections::BinaryHeap};

use tokio::time::Instant;

/// How many places may be out of date beside those that are not, before they are cleared.
const SPARE: usize = 64;

/// A queue of times. What is done before its time stays in it until it comes up or until
/// such places are the most: nearly every execution is, and a tree that is put in order for
/// each of them costs more than all the rest of its heartbeat.
#[derive(Default)]
pub(super) struct Queue {
    places: BinaryHeap<Reverse<(Instant, u64)>>,
    /// How many places are out of date.
    dated: usize,
}

impl Queue {
    pub(super) fn put(&mut self, at: Instant, id: u64) {
        self.places.push(Reverse((at, id)));
    }

    /// A place is out of date from now on. `is_current` says of each whether it is not.
    pub(super) fn outdate(&mut self, is_current: impl Fn(Instant, u64) -> bool) {
        self.dated += 1;
        if self.dated > self.places.len() / 2 + SPARE {
            self.places.retain(|Reverse((at, id))| is_current(*at, *id));
            self.dated = 0;
        }
    }

    /// The first place that is current.
    pub(super) fn first(
        &mut self,
        is_current: impl Fn(Instant, u64) -> bool,
    ) -> Option<(Instant, u64)> {
        while let Some(Reverse((at, id))) = self.places.peek().copied() {
            if is_current(at, id) {
                return Some((at, id));
            }
            self.places.pop();
            self.dated = self.dated.saturating_sub(1);
        }
        None
    }

    /// Takes the place that [`first`](Self::first) has named.
    pub(super) fn pop(&mut self) {
        self.places.pop();
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use super::*;

    #[test]
    fn what_ends_before_its_time_takes_no_room_for_long_and_hides_nothing() {
        let start = Instant::now();
        let at = |id: u64| start + Duration::from_millis(id * 7 % 1000);
        let mut queue = Queue::default();
        let mut live = HashMap::new();
        for id in 0..100_000 {
            queue.put(at(id), id);
            live.insert(id, at(id));
            // One of a thousand stays.
            if id % 1000 != 0 {
                live.remove(&id);
                queue.outdate(|at, id| live.get(&id) == Some(&at));
            }
            assert!(queue.places.len() <= 2 * (live.len() + SPARE) + 2, "{id}");
        }
        let mut left: Vec<_> = live.iter().map(|(id, at)| (*at, *id)).collect();
        left.sort();
        for next in left {
            assert_eq!(queue.first(|at, id| live.get(&id) == Some(&at)), Some(next));
            queue.pop();
        }
        assert_eq!(queue.first(|_, _| false), None);
    }
}
