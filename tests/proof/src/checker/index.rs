//! A history, looked up by request, execution, key and process.

use std::{collections::BTreeMap, time::Duration};

use crate::history::{
    Abandoned, Answer, CallId, Change, Command, End, History, NodeId, PayloadId, Place, RunId, What,
};

pub(super) struct Index<'a> {
    pub(super) calls: BTreeMap<CallId, Call<'a>>,
    pub(super) runs: BTreeMap<RunId, Run<'a>>,
    pub(super) places: BTreeMap<Place, Events>,
    pub(super) end: Duration,
    pub(super) says_deadlines: bool,
    disturbances: Vec<Disturbance>,
    lost: Vec<(Duration, Option<&'a [Place]>)>,
}

/// What belongs to a key, in order of time.
#[derive(Default)]
pub(super) struct Events {
    pub(super) calls: Vec<CallId>,
    pub(super) runs: Vec<RunId>,
    /// When the slot was, or may have been, physically deleted.
    forgotten: Vec<Duration>,
}

pub(super) struct Call<'a> {
    pub(super) place: Place,
    pub(super) node: NodeId,
    pub(super) payload: PayloadId,
    pub(super) sent: Duration,
    pub(super) answer_by: Option<Duration>,
    pub(super) answer: Option<(Duration, &'a Answer)>,
    pub(super) abandoned: Option<(Duration, Abandoned)>,
}

impl Call<'_> {
    /// Until when it was open.
    pub(super) fn over(&self) -> Option<Duration> {
        let answered = self.answer.map(|(at, _)| at);
        answered.or(self.abandoned.map(|(at, _)| at))
    }
}

pub(super) struct Run<'a> {
    pub(super) place: Place,
    pub(super) node: NodeId,
    pub(super) call: Option<CallId>,
    pub(super) payload: PayloadId,
    pub(super) attempt: Option<u32>,
    pub(super) fence: Option<u64>,
    pub(super) began: Duration,
    pub(super) ended: Option<(Duration, &'a End)>,
    pub(super) cut: Option<Duration>,
    pub(super) dropped: Option<Duration>,
    pub(super) steps: Vec<(Duration, Step<'a>)>,
}

#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Began(&'a str),
    Effect,
    Kept(&'a str),
}

/// Something that can make a lease lapse or a command fail.
struct Disturbance {
    /// `None`: everybody's.
    node: Option<NodeId>,
    from: Duration,
    to: Duration,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Crash,
    /// For as long as it lasts.
    Stop,
    Outage,
    Moment,
}

impl<'a> Index<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut index = Self {
            calls: BTreeMap::new(),
            runs: BTreeMap::new(),
            places: BTreeMap::new(),
            end: history
                .events
                .last()
                .map(|event| event.at)
                .unwrap_or_default(),
            says_deadlines: false,
            disturbances: Vec::new(),
            lost: Vec::new(),
        };
        for event in &history.events {
            index.add(event.at, &event.what);
        }
        if !history.sees_store {
            index.guess_deletions(history);
        }
        index
    }

    fn add(&mut self, at: Duration, what: &'a What) {
        match what {
            What::Sent {
                call,
                node,
                place,
                payload,
                answer_by,
            } => {
                self.says_deadlines |= answer_by.is_some();
                self.places.entry(*place).or_default().calls.push(*call);
                self.calls.insert(
                    *call,
                    Call {
                        place: *place,
                        node: *node,
                        payload: *payload,
                        sent: at,
                        answer_by: *answer_by,
                        answer: None,
                        abandoned: None,
                    },
                );
            }
            What::Answered { call, answer } => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.answer = Some((at, answer));
                }
            }
            What::Abandoned { call, why } => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.abandoned = Some((at, *why));
                }
            }
            What::Began {
                run,
                call,
                node,
                place,
                payload,
                attempt,
                fence,
            } => {
                self.places.entry(*place).or_default().runs.push(*run);
                self.runs.insert(
                    *run,
                    Run {
                        place: *place,
                        node: *node,
                        call: *call,
                        payload: *payload,
                        attempt: *attempt,
                        fence: *fence,
                        began: at,
                        ended: None,
                        cut: None,
                        dropped: None,
                        steps: Vec::new(),
                    },
                );
            }
            What::Ended { run, end } => self.of_run(*run, |run| run.ended = Some((at, end))),
            What::Cut { run } => self.of_run(*run, |run| run.cut = Some(at)),
            What::Dropped { run } => self.of_run(*run, |run| run.dropped = Some(at)),
            What::StepBegan { run, step } => {
                self.of_run(*run, |run| run.steps.push((at, Step::Began(step))));
            }
            What::StepEffect { run, .. } => {
                self.of_run(*run, |run| run.steps.push((at, Step::Effect)));
            }
            What::StepKept { run, step } => {
                self.of_run(*run, |run| run.steps.push((at, Step::Kept(step))));
            }
            What::Node { node, change } => self.node_changed(at, *node, *change),
            What::OutageBegan => self.begin(None, at, Kind::Outage),
            What::OutageEnded => self.end(None, at, Kind::Outage),
            What::Disturbed { node } => self.moment(Some(*node), at),
            What::LeaseMayHaveLapsed { node } => self.moment(*node, at),
            What::LostWrites { places } => {
                self.lost.push((at, places.as_deref()));
                self.moment(None, at);
            }
            What::Applied { place, command } => {
                let events = self.places.entry(*place).or_default();
                if matches!(command, Command::Deleted) {
                    events.forgotten.push(at);
                }
            }
            What::Effect { .. } | What::Drained { .. } | What::Panicked { .. } | What::Note(_) => {}
        }
    }

    fn of_run(&mut self, run: RunId, change: impl FnOnce(&mut Run<'a>)) {
        if let Some(run) = self.runs.get_mut(&run) {
            change(run);
        }
    }

    fn node_changed(&mut self, at: Duration, node: NodeId, change: Change) {
        match change {
            Change::Crashed => {
                // A stopped process that is killed never wakes.
                self.end(Some(node), at, Kind::Stop);
                self.begin(Some(node), at, Kind::Crash);
            }
            Change::Stopped => self.begin(Some(node), at, Kind::Stop),
            Change::Woke => self.end(Some(node), at, Kind::Stop),
            Change::Restarted => self.end(Some(node), at, Kind::Crash),
        }
    }

    fn begin(&mut self, node: Option<NodeId>, from: Duration, kind: Kind) {
        self.disturbances.push(Disturbance {
            node,
            from,
            to: Duration::MAX,
            kind,
        });
    }

    fn end(&mut self, node: Option<NodeId>, at: Duration, kind: Kind) {
        let open = self.disturbances.iter_mut().rev();
        let mut open = open.filter(|it| it.to == Duration::MAX);
        if let Some(open) = open.find(|it| it.kind == kind && it.node == node) {
            open.to = at;
        }
    }

    fn moment(&mut self, node: Option<NodeId>, at: Duration) {
        self.disturbances.push(Disturbance {
            node,
            from: at,
            to: at,
            kind: Kind::Moment,
        });
    }

    /// Without the store's log nobody knows when a slot was deleted: not before its ttl,
    /// counted from the last that was heard of it.
    fn guess_deletions(&mut self, history: &History) {
        let mut heard: BTreeMap<Place, Duration> = BTreeMap::new();
        for event in &history.events {
            let Some(place) = self.place_of(&event.what) else {
                continue;
            };
            let last = heard.insert(place, event.at);
            let ttl = history.rules(place).ttl;
            if last.is_some_and(|last| event.at.saturating_sub(last) + history.blur >= ttl) {
                self.places
                    .entry(place)
                    .or_default()
                    .forgotten
                    .push(event.at.saturating_sub(Duration::from_nanos(1)));
            }
        }
    }

    /// Which key an event is about.
    pub(super) fn place_of(&self, what: &What) -> Option<Place> {
        match what {
            What::Sent { place, .. } | What::Began { place, .. } | What::Applied { place, .. } => {
                Some(*place)
            }
            What::Answered { call, .. } | What::Abandoned { call, .. } => {
                self.calls.get(call).map(|call| call.place)
            }
            What::Effect { run }
            | What::Ended { run, .. }
            | What::Cut { run }
            | What::Dropped { run }
            | What::StepBegan { run, .. }
            | What::StepEffect { run, .. }
            | What::StepKept { run, .. } => self.runs.get(run).map(|run| run.place),
            _ => None,
        }
    }

    /// How often the slot had been forgotten by then: what is of two generations has
    /// nothing to do with one another.
    pub(super) fn generation(&self, place: Place, at: Duration) -> usize {
        let forgotten = self.places.get(&place).map_or(&[][..], |it| &it.forgotten);
        forgotten.partition_point(|deleted| *deleted <= at)
    }

    /// Whether the lease of an execution of `node` may have lapsed between the two.
    /// It is renewed every third of it, so half of it can be enough.
    pub(super) fn may_lapse(
        &self,
        node: NodeId,
        from: Duration,
        to: Duration,
        lease: Duration,
    ) -> bool {
        let from = from.saturating_sub(lease);
        self.disturbances
            .iter()
            .filter(|it| it.node.is_none_or(|of| of == node))
            .filter(|it| it.from <= to && it.to >= from)
            .any(|it| match it.kind {
                Kind::Crash | Kind::Moment => true,
                Kind::Stop | Kind::Outage => it.to.min(to).saturating_sub(it.from) >= lease / 2,
            })
    }

    /// Whether anything at all was wrong for this node between the two.
    pub(super) fn is_disturbed(&self, node: NodeId, from: Duration, to: Duration) -> bool {
        self.disturbances
            .iter()
            .filter(|it| it.node.is_none_or(|of| of == node))
            .any(|it| it.from <= to && it.to >= from)
    }

    /// Whether anything at all was wrong for anybody between the two.
    pub(super) fn is_anybody_disturbed(&self, from: Duration, to: Duration) -> bool {
        let mut all = self.disturbances.iter();
        all.any(|it| it.from <= to && it.to >= from)
    }

    /// Whether the node has died between the two.
    pub(super) fn has_crashed(&self, node: NodeId, from: Duration, to: Duration) -> bool {
        self.disturbances.iter().any(|it| {
            it.kind == Kind::Crash && it.node == Some(node) && it.from <= to && it.to >= from
        })
    }

    /// For how long the node stood still between the two.
    pub(super) fn stood_still(&self, node: NodeId, from: Duration, to: Duration) -> Duration {
        self.disturbances
            .iter()
            .filter(|it| it.kind == Kind::Stop && it.node == Some(node))
            .map(|it| it.to.min(to).saturating_sub(it.from.max(from)))
            .sum()
    }

    /// Whether acknowledged writes of this slot were lost by then.
    pub(super) fn lost_before(&self, place: Option<Place>, at: Duration) -> bool {
        self.lost.iter().any(|(lost, places)| {
            *lost <= at
                && match (places, place) {
                    (Some(places), Some(place)) => places.contains(&place),
                    _ => true,
                }
        })
    }
}
