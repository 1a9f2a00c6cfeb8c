//! What has been seen so far: what the properties speak of, and no process could know.

use crate::{
    Fingerprint, Id, Kept, REQUESTS, Slot,
    slot::{Reply, Verb},
};

/// What has been seen. Of a deleted slot, only the mistakes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Witness {
    /// Whose lease runs, on the store's clock.
    pub alive: [bool; REQUESTS],
    /// Who was told that the slot is theirs, and not yet that it is over.
    pub told: [bool; REQUESTS],
    /// What the store has answered each until now.
    pub granted: [Granted; REQUESTS],
    /// The payload that has run.
    pub ran_for: Option<Fingerprint>,
    /// The record that is kept, or that was shown to anybody.
    pub record: Option<Id>,
    /// How many executions have begun.
    pub executions: u8,
    /// How many of them may have been repetitions: after a lapse, a release, a deletion.
    pub excuses: u8,
    /// I2: a write under an old fence has changed something.
    pub stale_write: bool,
    /// I3: a record has changed, or two were shown different ones.
    pub two_answers: bool,
    /// I4: an execution has begun although there is a record.
    pub ran_after_record: bool,
    /// I5: another payload has run, or was given the record.
    pub mixed_up: bool,
    /// I8: a command that was sent again was not answered as it was at first.
    pub unlike_the_first: bool,
}

/// What the store has granted to a request, in the life of the slot until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Granted {
    Nothing,
    Claim(u8),
    Completion(u8),
    Release(u8),
    /// A claim, and then another's.
    Followed,
}

impl Witness {
    pub(crate) const fn new() -> Self {
        Self {
            alive: [false; REQUESTS],
            told: [false; REQUESTS],
            granted: [Granted::Nothing; REQUESTS],
            ran_for: None,
            record: None,
            executions: 0,
            excuses: 0,
            stale_write: false,
            two_answers: false,
            ran_after_record: false,
            mixed_up: false,
            unlike_the_first: false,
        }
    }

    /// The store has done what `id` asked.
    pub(crate) fn applied(
        &mut self,
        id: Id,
        verb: Verb,
        reply: Reply,
        before: Option<Slot>,
        after: Option<Slot>,
    ) {
        self.check_write(id, verb, before, after);
        self.check_repetition(id, verb, reply);
        match (verb, reply) {
            (Verb::Claim | Verb::Set(_), Reply::Claimed(fence)) => {
                for (other, granted) in self.granted.iter_mut().enumerate() {
                    if other != id && matches!(granted, Granted::Claim(_) | Granted::Release(_)) {
                        *granted = Granted::Followed;
                    }
                }
                self.granted[id] = Granted::Claim(fence);
            }
            (Verb::Complete(fence), Reply::Done) => {
                self.granted[id] = Granted::Completion(fence);
                self.alive[id] = false;
            }
            (Verb::Release(fence), Reply::Done) => {
                self.granted[id] = Granted::Release(fence);
                self.alive[id] = false;
            }
            _ => {}
        }
    }

    fn check_write(&mut self, id: Id, verb: Verb, before: Option<Slot>, after: Option<Slot>) {
        if let Verb::Complete(fence) | Verb::Release(fence) = verb {
            let newest = before.is_some_and(|slot| slot.owner == id && slot.fence == fence);
            self.stale_write |= !newest && before != after;
        }
        let record = |slot: Option<Slot>| match slot?.kept {
            Kept::Completed { record, .. } => Some(record),
            _ => None,
        };
        self.two_answers |= record(before).is_some() && record(before) != record(after);
    }

    fn check_repetition(&mut self, id: Id, verb: Verb, reply: Reply) {
        let as_the_first = match (verb, self.granted[id]) {
            (_, Granted::Nothing | Granted::Followed) => true,
            (Verb::Claim, Granted::Claim(fence)) => {
                matches!(reply, Reply::Claimed(again) if again == fence)
            }
            (Verb::Claim, Granted::Completion(_)) => reply == Reply::Completed(id),
            (Verb::Claim, Granted::Release(_)) => reply == Reply::InFlight,
            (Verb::Complete(fence), Granted::Claim(granted) | Granted::Completion(granted))
            | (Verb::Release(fence), Granted::Claim(granted) | Granted::Release(granted)) => {
                fence != granted || reply == Reply::Done
            }
            _ => true,
        };
        self.unlike_the_first |= !as_the_first;
    }

    /// An execution begins.
    pub(crate) fn begins(&mut self, id: Id, fingerprint: Fingerprint) {
        self.told[id] = true;
        self.executions += 1;
        self.ran_after_record |= self.record.is_some();
        self.mixed_up |= self.ran_for.is_some_and(|known| known != fingerprint);
        self.ran_for = Some(fingerprint);
    }

    /// A record is kept, or somebody is shown it.
    pub(crate) fn shown(&mut self, record: Id) {
        self.two_answers |= self.record.is_some_and(|known| known != record);
        self.record = Some(record);
    }

    /// The slot is physically deleted: what comes is another life of it.
    pub(crate) const fn deleted(&mut self) {
        self.granted = [Granted::Nothing; REQUESTS];
        self.ran_for = None;
        self.record = None;
    }

    /// Another server is the master, with this slot: what it does not know was
    /// answered to nobody who relies on it.
    pub(crate) fn failed_over(&mut self, slot: Option<Slot>) {
        for (id, granted) in self.granted.iter_mut().enumerate() {
            match slot {
                Some(slot) if slot.owner == id => {
                    *granted = match slot.kept {
                        Kept::InFlight { .. } => Granted::Claim(slot.fence),
                        Kept::Completed { .. } => Granted::Completion(slot.fence),
                        Kept::Released => Granted::Release(slot.fence),
                    }
                }
                _ if self.told[id] => {}
                _ => *granted = Granted::Nothing,
            }
        }
    }
}
