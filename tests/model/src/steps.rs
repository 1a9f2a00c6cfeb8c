//! Every step that can be taken.

use crate::{
    Answer, Bounds, Fault, Fingerprint, Flaw, Id, Kept, Phase, REQUESTS, Request, Slot, Verb,
    Witness,
    request::Call,
    slot::{Reply, apply},
};

/// What is checked: the protocol, or a flawed one, with requests and with bounds.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// What each request asks.
    pub fingerprints: [Fingerprint; REQUESTS],
    /// On which of two nodes each is.
    pub nodes: [u8; REQUESTS],
    /// How often what can go wrong.
    pub bounds: Bounds,
    /// The store has one replica, and asks it for every write.
    pub has_replica: bool,
    /// The mistake, if there is one.
    pub flaw: Option<Flaw>,
}

/// Where everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The slot, at the server that answers.
    pub master: Option<Slot>,
    /// The slot, at its replica. Without one it is never there.
    pub replica: Option<Slot>,
    /// The requests.
    pub requests: [Request; REQUESTS],
    /// Commands that nobody waits for any more, and that may still arrive: in order,
    /// because in which order they were sent makes no difference.
    pub late: Vec<(Id, Verb)>,
    /// What can still go wrong.
    pub left: Bounds,
    /// What has been seen.
    pub witness: Witness,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A client sends its request, and the request's claim is on its way.
    Arrives(Id),
    /// The store does what a request has asked.
    Applies(Id),
    /// The reply reaches the request, which goes on; the work begins in the same step.
    Hears(Id),
    /// The reply says that the slot is in flight, and the request asks again.
    WaitsAndAsks(Id),
    /// The reply says that the replica does not have it.
    FallsShort(Id),
    /// The reply is lost, and the request asks again.
    AsksAgain(Id),
    /// The command is on its way twice, or seems lost and is sent again: a copy is late.
    IsSentTwice(Id),
    /// A late copy arrives.
    ArrivesLate(usize),
    /// The deadline for the claim is over.
    IsRefused(Id),
    /// The handler ends, with an answer to record.
    Ends(Id),
    /// The handler ends, with an answer that is not kept.
    EndsInVain(Id),
    /// A lease is over, on the store's clock.
    Lapses(Id),
    /// A heartbeat finds its lease lapsed and nobody there, and starts it anew.
    Renews(Id),
    /// A node dies; what its requests have sent still arrives.
    Dies(u8),
    /// A node dies; what its requests have sent does not arrive.
    DiesUnheard(u8),
    /// The replica has caught up.
    Replicates,
    /// The replica takes over from the master, which is gone.
    FailsOver,
    /// The record's ttl is over.
    Expires,
    /// The slot is physically deleted.
    IsDeleted,
}

impl Protocol {
    pub(crate) fn start(&self) -> State {
        State {
            master: None,
            replica: None,
            requests: [Request::TO_COME; REQUESTS],
            late: Vec::new(),
            left: self.bounds,
            witness: Witness::new(),
        }
    }

    pub(crate) fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        for (id, request) in state.requests.iter().enumerate() {
            self.steps_of(state, id, request, steps);
        }
        steps.extend((0..state.late.len()).map(Step::ArrivesLate));
        if state.left.allow(Fault::Crash) {
            for node in 0..2 {
                let calls = self.calls_of(state, node);
                if calls.is_some() {
                    steps.push(Step::Dies(node));
                }
                if calls == Some(true) {
                    steps.push(Step::DiesUnheard(node));
                }
            }
        }
        if self.has_replica {
            let unanswered = |request: &Request| {
                matches!(
                    request.call,
                    Call::Replied {
                        replicated: false,
                        ..
                    }
                )
            };
            if state.replica != state.master || state.requests.iter().any(unanswered) {
                steps.push(Step::Replicates);
            }
            if state.left.allow(Fault::Failover) {
                steps.push(Step::FailsOver);
            }
        }
        if state.left.allow(Fault::Deletion) {
            match state.master.map(|slot| slot.kept) {
                Some(Kept::Completed { expired: false, .. }) => steps.push(Step::Expires),
                Some(Kept::InFlight { lapsed: false })
                    if self.flaw != Some(Flaw::ExpiryInFlight) => {}
                Some(_) => steps.push(Step::IsDeleted),
                None => {}
            }
        }
    }

    fn steps_of(&self, state: &State, id: Id, request: &Request, steps: &mut Vec<Step>) {
        let network = state.left.allow(Fault::Network);
        match request.phase {
            Phase::ToCome => steps.push(Step::Arrives(id)),
            Phase::Working(_) => {
                steps.push(Step::Ends(id));
                if state.left.allow(Fault::Release) {
                    steps.push(Step::EndsInVain(id));
                }
            }
            Phase::Claiming if state.left.allow(Fault::Deadline) => {
                steps.push(Step::IsRefused(id));
            }
            _ => {}
        }
        match request.call {
            Call::None => {}
            Call::Sent(verb) => {
                steps.push(Step::Applies(id));
                if network && verb != Verb::Inspect {
                    steps.push(Step::IsSentTwice(id));
                }
            }
            Call::Replied {
                reply, replicated, ..
            } => {
                if self.is_believed(request.phase, reply, replicated) {
                    steps.push(Step::Hears(id));
                } else if network {
                    steps.push(Step::FallsShort(id));
                }
                if reply == Reply::InFlight
                    && matches!(request.phase, Phase::Claiming | Phase::Looking)
                    && state.left.allow(Fault::Wait)
                {
                    steps.push(Step::WaitsAndAsks(id));
                }
                if network {
                    steps.push(Step::AsksAgain(id));
                }
            }
        }
        let mine = state.master.filter(|slot| slot.owner == id);
        let lapsed = match mine.map(|slot| slot.kept) {
            Some(Kept::InFlight { lapsed }) => Some(lapsed),
            _ => None,
        };
        let alive = state.witness.alive[id] || lapsed == Some(false);
        if alive && state.left.allow(Fault::Lapse) {
            steps.push(Step::Lapses(id));
        }
        if lapsed == Some(true) && state.witness.told[id] {
            steps.push(Step::Renews(id));
        }
    }

    /// Whether a reply means what it says although a replica may not have it yet.
    fn is_believed(&self, phase: Phase, reply: Reply, replicated: bool) -> bool {
        if replicated || self.flaw == Some(Flaw::WaitIgnored) {
            return true;
        }
        match (phase, reply) {
            // Both give back, and need nobody to know.
            (Phase::Withdrawing | Phase::Settling, _) => true,
            (_, Reply::Claimed(_) | Reply::Done) => false,
            (_, Reply::Completed(_)) => self.flaw == Some(Flaw::ReplaysUnreplicated),
            _ => true,
        }
    }

    /// `None` if nobody is at work on this node; else whether a command is on its way.
    fn calls_of(&self, state: &State, node: u8) -> Option<bool> {
        let mut calls = None;
        for (request, on) in state.requests.iter().zip(self.nodes) {
            if on == node && request.phase != Phase::ToCome && !request.is_over() {
                let sent = matches!(request.call, Call::Sent(_));
                calls = Some(calls.unwrap_or(false) || sent);
            }
        }
        calls
    }

    pub(crate) fn take(&self, state: &State, step: Step) -> State {
        let mut next = state.clone();
        match step {
            Step::Arrives(id) => next.requests[id].asks(Phase::Claiming, Verb::Claim),
            Step::Applies(id) => {
                if let Call::Sent(verb) = next.requests[id].call {
                    let reply = self.apply(&mut next, id, verb);
                    next.requests[id].call = Call::Replied {
                        verb,
                        reply,
                        replicated: !self.has_replica,
                        lapsed: false,
                    };
                }
            }
            Step::Hears(id) => {
                if let Call::Replied { reply, lapsed, .. } = next.requests[id].call {
                    self.hears(&mut next, id, reply, lapsed);
                }
            }
            Step::WaitsAndAsks(id) => {
                next.left.spend(Fault::Wait);
                next.requests[id].repeats(self.flaw);
            }
            Step::FallsShort(id) => {
                next.left.spend(Fault::Network);
                next.requests[id].falls_short();
            }
            Step::AsksAgain(id) => {
                next.left.spend(Fault::Network);
                next.requests[id].repeats(self.flaw);
            }
            Step::IsSentTwice(id) => {
                next.left.spend(Fault::Network);
                if let Call::Sent(verb) = next.requests[id].call {
                    next.leave(id, verb);
                    next.requests[id].repeats(self.flaw);
                }
            }
            Step::ArrivesLate(index) => {
                let (id, verb) = next.late.remove(index);
                let _ = self.apply(&mut next, id, verb);
            }
            Step::IsRefused(id) => {
                next.left.spend(Fault::Deadline);
                next.requests[id].asks(Phase::Settling, Verb::Claim);
            }
            Step::Ends(id) => {
                if let Phase::Working(fence) = next.requests[id].phase {
                    next.requests[id].asks(Phase::Completing(fence), Verb::Complete(fence));
                }
            }
            Step::EndsInVain(id) => {
                next.left.spend(Fault::Release);
                next.witness.excuses += 1;
                if let Phase::Working(fence) = next.requests[id].phase {
                    next.requests[id].asks(Phase::Releasing(fence), Verb::Release(fence));
                }
            }
            Step::Lapses(id) => {
                next.left.spend(Fault::Lapse);
                next.witness.excuses += 1;
                next.witness.alive[id] = false;
                if let Call::Replied { lapsed, .. } = &mut next.requests[id].call {
                    *lapsed = true;
                }
                for slot in [&mut next.master, &mut next.replica] {
                    lapse(slot, id, true);
                }
            }
            Step::Renews(id) => {
                lapse(&mut next.master, id, false);
                next.witness.alive[id] = !self.has_replica;
            }
            Step::Dies(node) => self.dies(&mut next, node, true),
            Step::DiesUnheard(node) => self.dies(&mut next, node, false),
            Step::Replicates => {
                next.replica = next.master;
                for request in &mut next.requests {
                    if let Call::Replied { replicated, .. } = &mut request.call {
                        *replicated = true;
                    }
                }
            }
            Step::FailsOver => {
                next.left.spend(Fault::Failover);
                next.master = next.replica;
                next.witness.failed_over(next.master);
                for request in &mut next.requests {
                    request.loses_its_server(self.flaw);
                }
            }
            Step::Expires => {
                for slot in [&mut next.master, &mut next.replica].into_iter().flatten() {
                    if let Kept::Completed { expired, .. } = &mut slot.kept {
                        *expired = true;
                    }
                }
            }
            Step::IsDeleted => {
                next.left.spend(Fault::Deletion);
                if matches!(
                    next.master.map(|slot| slot.kept),
                    Some(Kept::Completed { .. })
                ) {
                    next.witness.excuses += 1;
                }
                (next.master, next.replica) = (None, None);
                next.witness.deleted();
            }
        }
        next
    }

    fn apply(&self, next: &mut State, id: Id, verb: Verb) -> Reply {
        let before = next.master;
        let fingerprint = self.fingerprints[id];
        let reply = apply(&mut next.master, id, fingerprint, verb, self.flaw);
        next.witness.applied(id, verb, reply, before, next.master);
        // With a replica a lease counts, and a record, from when somebody is told of it.
        if !self.has_replica {
            next.witness.alive[id] |= matches!(reply, Reply::Claimed(_));
            if let Some(Kept::Completed { record, .. }) = next.master.map(|slot| slot.kept) {
                next.witness.shown(record);
            }
        }
        reply
    }

    /// What a request does with a reply.
    fn hears(&self, next: &mut State, id: Id, reply: Reply, lapsed: bool) {
        let fingerprint = self.fingerprints[id];
        let State {
            requests, witness, ..
        } = next;
        let request = &mut requests[id];
        match (request.phase, reply) {
            (Phase::Claiming, Reply::Claimed(fence)) => {
                if !lapsed || self.flaw == Some(Flaw::BeginsUnsure) {
                    request.ends(Phase::Working(fence));
                    witness.alive[id] |= !lapsed;
                    witness.begins(id, fingerprint);
                } else {
                    // The answer came after the lease: it is none.
                    request.repeats(self.flaw);
                }
            }
            (Phase::Claiming, Reply::Free(fence)) => {
                request.asks(Phase::Claiming, Verb::Set(fence));
            }
            (Phase::Claiming | Phase::Looking, Reply::Completed(record)) => {
                witness.mixed_up |= self.fingerprints[record] != fingerprint;
                if self.has_replica {
                    witness.shown(record);
                }
                request.ends(Phase::Answered(Answer::Replayed(record)));
            }
            (Phase::Claiming | Phase::Looking, Reply::InFlight) => {
                request.ends(Phase::Answered(Answer::InProgress));
            }
            (Phase::Claiming, _) => request.ends(Phase::Answered(Answer::KeyReused)),
            (Phase::Completing(_), Reply::Done) => {
                witness.told[id] = false;
                if self.has_replica {
                    witness.shown(id);
                }
                request.ends(Phase::Answered(Answer::Recorded));
            }
            (Phase::Completing(_) | Phase::Releasing(_), Reply::Fenced) => {
                witness.told[id] = false;
                request.asks(Phase::Looking, Verb::Inspect);
            }
            (Phase::Releasing(_), _) => {
                witness.told[id] = false;
                request.ends(Phase::Answered(Answer::NotKept));
            }
            (Phase::Looking, _) => request.ends(Phase::Answered(Answer::NotKept)),
            (Phase::Settling, Reply::Claimed(fence)) => {
                request.asks(Phase::Settling, Verb::Release(fence));
            }
            _ => request.ends(Phase::Answered(Answer::Unavailable)),
        }
    }

    fn dies(&self, next: &mut State, node: u8, heard: bool) {
        next.left.spend(Fault::Crash);
        for id in 0..REQUESTS {
            let request = next.requests[id];
            if self.nodes[id] != node || request.phase == Phase::ToCome || request.is_over() {
                continue;
            }
            if let Call::Sent(verb) = request.call
                && heard
                && verb != Verb::Inspect
            {
                next.leave(id, verb);
            }
            next.requests[id].ends(Phase::Dead);
        }
    }
}

impl State {
    /// A command is left on its way.
    fn leave(&mut self, id: Id, verb: Verb) {
        self.late.push((id, verb));
        self.late.sort_unstable();
    }
}

fn lapse(slot: &mut Option<Slot>, id: Id, now: bool) {
    if let Some(slot) = slot
        && slot.owner == id
        && let Kept::InFlight { lapsed } = &mut slot.kept
    {
        *lapsed = now;
    }
}
