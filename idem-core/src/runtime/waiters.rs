//! Who waits, in this process, for a slot to change.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use crate::Slot;

/// The slots that somebody in this process waits for or, where duplicates are
/// told to wait, owns. Ending an execution wakes its waiters at once.
#[derive(Clone, Default)]
pub(crate) struct Waiters(Arc<Shared>);

#[derive(Default)]
struct Shared {
    slots: Mutex<HashMap<Slot, Place>>,
    /// How many places there are, to see without the lock that there are none.
    places: AtomicUsize,
}

struct Place {
    changes: Arc<Changes>,
    /// Whose turn it is to ask the store: one asks for all who wait.
    turn: Arc<Semaphore>,
    owners: usize,
    waiters: usize,
}

/// How often a slot has changed. Who waits is told in the order of coming.
#[derive(Default)]
struct Changes {
    count: AtomicU64,
    told: Notify,
}

impl Changes {
    fn tell(&self) {
        self.count.fetch_add(1, SeqCst);
        self.told.notify_waiters();
    }

    /// Ends once there were more changes than `seen`, which is counted up to them.
    async fn after(&self, seen: &mut u64) {
        loop {
            // A change after this line is told, and one before it is counted.
            let told = self.told.notified();
            let count = self.count.load(SeqCst);
            if count != *seen {
                *seen = count;
                return;
            }
            told.await;
        }
    }
}

impl Waiters {
    /// Waits for changes from now on.
    pub(crate) fn join(&self, slot: Slot) -> Waiter {
        let mut slots = self.0.lock();
        let place = self.0.place(&mut slots, slot);
        place.waiters += 1;
        Waiter {
            seen: place.changes.count.load(SeqCst),
            changes: Arc::clone(&place.changes),
            turn: Arc::clone(&place.turn),
            my_turn: None,
            slot,
            shared: Arc::clone(&self.0),
        }
    }

    /// Notes that this process owns the slot: its end will be told, nobody has to ask.
    pub(crate) fn own(&self, slot: Slot) -> Owning {
        let mut slots = self.0.lock();
        self.0.place(&mut slots, slot).owners += 1;
        Owning {
            slot,
            shared: Arc::clone(&self.0),
        }
    }

    /// Whether this process owns the slot, as far as that was noted.
    pub(crate) fn owns(&self, slot: &Slot) -> bool {
        self.0.owns(slot)
    }

    /// Tells everybody who waits that the slot has changed.
    pub(crate) fn wake(&self, slot: &Slot) {
        if self.0.places.load(SeqCst) == 0 {
            return;
        }
        if let Some(place) = self.0.lock().get(slot) {
            place.changes.tell();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Place>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place<'a>(&self, slots: &'a mut HashMap<Slot, Place>, slot: Slot) -> &'a mut Place {
        slots.entry(slot).or_insert_with(|| {
            self.places.fetch_add(1, SeqCst);
            Place {
                changes: Arc::default(),
                turn: Arc::new(Semaphore::new(1)),
                owners: 0,
                waiters: 0,
            }
        })
    }

    fn owns(&self, slot: &Slot) -> bool {
        self.lock().get(slot).is_some_and(|place| place.owners > 0)
    }

    fn leave(&self, slot: &Slot, count: impl FnOnce(&mut Place)) {
        let mut slots = self.lock();
        if let Some(place) = slots.get_mut(slot) {
            count(place);
            if place.owners == 0 && place.waiters == 0 {
                slots.remove(slot);
                self.places.fetch_sub(1, SeqCst);
            }
        }
    }
}

#[cfg(feature = "testing")]
impl Waiters {
    /// How many slots somebody waits for, or owns where duplicates wait.
    pub(crate) fn len(&self) -> usize {
        self.0.places.load(SeqCst)
    }
}

/// One who waits for a slot.
pub(crate) struct Waiter {
    changes: Arc<Changes>,
    /// The changes that are no news.
    seen: u64,
    turn: Arc<Semaphore>,
    /// Kept until it is dropped: then it is another's turn.
    my_turn: Option<OwnedSemaphorePermit>,
    slot: Slot,
    shared: Arc<Shared>,
}

impl Waiter {
    /// Ends at the next change since the last one seen; at `look_again`, if it
    /// is this one's turn to ask; and at `until`.
    pub(crate) async fn changed(&mut self, look_again: Instant, until: Instant) {
        let Self {
            changes,
            seen,
            turn,
            my_turn,
            ..
        } = self;
        let asking = async {
            if my_turn.is_none() {
                // It is never closed, so there is always a turn to come.
                *my_turn = Arc::clone(turn).acquire_owned().await.ok();
            }
            sleep_until(look_again).await;
        };
        tokio::select! {
            biased;
            () = changes.after(seen) => {}
            () = asking => {}
            () = sleep_until(until) => {}
        }
    }

    /// Tells the others that there is something to see, if it was this one's turn to look.
    pub(crate) fn tell(&self) {
        if self.my_turn.is_some() {
            Waiters(Arc::clone(&self.shared)).wake(&self.slot);
        }
    }

    /// Whether this process owns the slot now.
    pub(crate) fn is_owned_here(&self) -> bool {
        self.shared.owns(&self.slot)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.shared.leave(&self.slot, |place| place.waiters -= 1);
    }
}

/// The note that this process owns a slot.
pub(crate) struct Owning {
    slot: Slot,
    shared: Arc<Shared>,
}

impl Drop for Owning {
    fn drop(&mut self) {
        self.shared.leave(&self.slot, |place| place.owners -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_place_that_nobody_owns_or_waits_for() {
        let waiters = Waiters::default();
        let places = || {
            let places = waiters.0.places.load(SeqCst);
            assert_eq!(places, waiters.0.lock().len());
            places
        };
        let slot = Slot::from_bytes([7; 32]);
        let owning = waiters.own(slot);
        let first = waiters.join(slot);
        let second = waiters.join(slot);
        let elsewhere = waiters.join(Slot::from_bytes([8; 32]));
        assert!(first.is_owned_here() && !elsewhere.is_owned_here());
        assert_eq!(places(), 2);
        drop(first);
        drop(owning);
        assert!(!second.is_owned_here());
        assert_eq!(places(), 2);
        drop(second);
        assert_eq!(places(), 1);
        drop(elsewhere);
        assert_eq!(places(), 0);
    }
}
