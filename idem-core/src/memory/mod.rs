//! The embedded store: one process, nothing to install, nothing kept over a restart.

mod budget;
mod entry;
mod meters;
mod shard;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use self::{budget::Budget, entry::Entry, meters::Meters, shard::Shard};
use crate::{
    Alias, Checkpoint, Claim, ClaimRequest, Claimed, Cursor, Fence, Found, Grant, ListQuery,
    OwnerId, Page, Resolution, Resolved, Retention, ScopeTag, Slot, SlotView, Spent, Store,
    StoreError, Under, Written,
};

/// So many that the map of one is small: it grows under its lock, and whoever claims then
/// waits for all of its entries to be moved (at a million slots 12 ms with 64 shards, and half
/// a millisecond with these).
const SHARDS: usize = 1024;

/// A store in this process's memory.
///
/// It protects the requests of one process and forgets everything when that
/// process ends; use it for one node, for tests, and to get to know idem.
///
/// It is bounded in slots and in bytes, and never drops an execution in flight
/// or a record before its time: when it is full it refuses new claims with
/// [`StoreError::Full`]. Deletion costs no scan: each verb deletes a few of the
/// slots that are due. Its clock is tokio's, so tests can pause it.
///
/// ```
/// let store = idem_core::MemoryStore::new();
/// # let _ = store;
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    /// Counts new slots: which shard is swept next.
    swept: AtomicUsize,
    budget: Budget,
    meters: Mutex<Meters>,
}

impl MemoryStore {
    /// The most slots a store holds unless told otherwise: one million.
    pub const DEFAULT_MAX_SLOTS: usize = 1_000_000;
    /// The most bytes a store holds unless told otherwise: 1 GiB.
    pub const DEFAULT_MAX_BYTES: usize = 1 << 30;

    /// A store with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Self::DEFAULT_MAX_SLOTS, Self::DEFAULT_MAX_BYTES)
    }

    /// A store that holds at most `max_slots` slots and takes no new ones once
    /// its slots, records and checkpoints take `max_bytes` bytes. Executions
    /// that are in flight at that moment still get their records stored.
    #[must_use]
    pub fn with_limits(max_slots: usize, max_bytes: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            swept: AtomicUsize::new(0),
            budget: Budget::new(max_slots, max_bytes),
            meters: Mutex::default(),
        }
    }

    /// How many slots it holds, those that are due for deletion included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.budget.slots()
    }

    /// How many bytes its slots, records and checkpoints take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.budget.bytes()
    }

    fn shard(&self, slot: &Slot) -> MutexGuard<'_, Shard> {
        lock(&self.shards[shard_of(slot)])
    }

    fn write(
        &self,
        grant: &Grant,
        step: impl FnOnce(&mut Entry, Instant) -> Written,
    ) -> Result<Written, StoreError> {
        let now = Instant::now();
        let mut shard = self.shard(&grant.slot);
        shard.reap_some(now, &self.budget);
        let written = shard.change(&grant.slot, now, &self.budget, |entry| step(entry, now));
        Ok(written.unwrap_or(Written::Fenced))
    }

    fn try_claim(&self, request: &ClaimRequest, now: Instant) -> Result<Claim, StoreError> {
        match &request.alias {
            None => self.claim_in(&mut self.shard(&request.slot), request, now),
            Some(alias) => self.claim_either(request, alias, now),
        }
    }

    /// Both slots stay locked from the look to the claim.
    fn claim_either(
        &self,
        request: &ClaimRequest,
        alias: &Alias,
        now: Instant,
    ) -> Result<Claim, StoreError> {
        let [own, other] = [&request.slot, &alias.slot].map(shard_of);
        // In the order of the shards: two such claims do not wait for each other.
        let mut first = lock(&self.shards[own.min(other)]);
        let mut second = (own != other).then(|| lock(&self.shards[own.max(other)]));
        let found = |shard: &Shard, under| {
            let request = request.under(under);
            match shard.get(&request.slot, now) {
                None => Found::Absent,
                Some(entry) if entry.meets(&request, now).is_none() => Found::Free,
                Some(_) => Found::Taken,
            }
        };
        let [own_shard, other_shard] = match &mut second {
            None => {
                let under = Under::of(found(&first, Under::Slot), found(&first, Under::Alias));
                let claim = self.claim_in(&mut first, &request.under(under), now)?;
                return Ok(claim.found_under(under));
            }
            Some(second) if own < other => [&mut first, second],
            Some(second) => [second, &mut first],
        };
        let under = Under::of(
            found(own_shard, Under::Slot),
            found(other_shard, Under::Alias),
        );
        let shard = match under {
            Under::Slot => own_shard,
            Under::Alias => other_shard,
        };
        let claim = self.claim_in(shard, &request.under(under), now)?;
        Ok(claim.found_under(under))
    }

    fn claim_in(
        &self,
        shard: &mut Shard,
        request: &ClaimRequest,
        now: Instant,
    ) -> Result<Claim, StoreError> {
        shard.reap_some(now, &self.budget);
        if let Some(claim) = shard.change(&request.slot, now, &self.budget, |entry| {
            entry.claim(request, now)
        }) {
            return Ok(claim);
        }
        let entry = Entry::claimed(request, now);
        self.budget.take(&entry)?;
        shard.insert(request.slot, entry, now, &self.budget);
        Ok(Claim::Claimed(Claimed::first()))
    }

    /// Deletes a few due entries of one shard after the other, each new slot of one: in a
    /// shard that no verb comes to they would stay. One that is at work sees to itself.
    fn sweep_one(&self, now: Instant) {
        let next = self.swept.fetch_add(1, Relaxed) % SHARDS;
        let mut shard = match self.shards[next].try_lock() {
            Ok(shard) => shard,
            Err(TryLockError::Poisoned(shard)) => shard.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        shard.sweep(now, &self.budget);
    }

    fn reap_all(&self, now: Instant) {
        for shard in &self.shards {
            lock(shard).reap_all(now, &self.budget);
        }
    }
}

/// The map inside uses the first bytes; the last are as evenly spread.
fn shard_of(slot: &Slot) -> usize {
    let [.., last, end] = *slot.as_bytes();
    usize::from(u16::from_le_bytes([last, end])) % SHARDS
}

/// A poisoned lock is taken all the same: no step leaves an entry half changed.
fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        let now = Instant::now();
        let claim = match self.try_claim(&request, now) {
            Err(StoreError::Full { .. }) => {
                self.reap_all(now);
                self.try_claim(&request, now)
            }
            answer => answer,
        };
        if matches!(claim, Ok(Claim::Claimed(_))) {
            self.sweep_one(now);
        }
        claim
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        self.write(&grant, |entry, now| entry.renew(&grant, lease, now))
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        self.write(&grant, |entry, _| entry.checkpoint(&grant, step))
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        self.write(&grant, |entry, now| {
            entry.complete(&grant, record, retention, now)
        })
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        self.write(&grant, |entry, now| entry.release(&grant, ttl, now))
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        let now = Instant::now();
        let shard = self.shard(&slot);
        Ok(shard.get(&slot, now).map(|entry| entry.view(slot, now)))
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        let after = query.after.as_ref().map(read_cursor).transpose()?;
        let limit = query.limit.max(1);
        let now = Instant::now();
        // The `limit` smallest slots after the cursor.
        let mut smallest: BTreeMap<Slot, SlotView> = BTreeMap::new();
        let mut more = false;
        for shard in &self.shards {
            for (slot, entry) in lock(shard).iter(now) {
                if after.is_some_and(|after| *slot <= after) {
                    continue;
                }
                let view = entry.view(*slot, now);
                if query.state.is_none_or(|state| state == view.state.kind()) {
                    smallest.insert(*slot, view);
                }
                if smallest.len() > limit {
                    smallest.pop_last();
                    more = true;
                }
            }
        }
        let slots: Vec<SlotView> = smallest.into_values().collect();
        let next = slots
            .last()
            .filter(|_| more)
            .map(|view| Cursor(Bytes::copy_from_slice(view.slot.as_bytes())));
        Ok(Page { slots, next })
    }

    async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        let now = Instant::now();
        let resolved = self.shard(&slot).change(&slot, now, &self.budget, |entry| {
            entry.resolve(fence, operator, resolution, now)
        });
        Ok(resolved.unwrap_or(Resolved::Moved))
    }

    async fn health(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn refuses_alias(&self) -> Option<&'static str> {
        None
    }

    fn meters(&self) -> bool {
        true
    }

    async fn spend(
        &self,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
    ) -> Result<Spent, StoreError> {
        let now = Instant::now();
        Ok(lock(&self.meters).spend(tag, bytes, window, now))
    }
}

fn read_cursor(cursor: &Cursor) -> Result<Slot, StoreError> {
    match <[u8; 32]>::try_from(cursor.0.as_ref()) {
        Ok(bytes) => Ok(Slot::from_bytes(bytes)),
        Err(_) => Err(StoreError::Refused {
            reason: "the cursor is not one of this store; start the list anew".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
