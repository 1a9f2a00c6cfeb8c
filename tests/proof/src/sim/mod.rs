//! A deterministic simulation of idem's runtime.
//!
//! Everything of `idem-core` is the real thing: claims, heartbeats, waiters, rescue, steps.
//! Each simulated process has a tokio runtime of its own, of one thread and with a paused clock,
//! and the real [`Runtime`](idem_core::Runtime) in it. Around them, simulated: the store (a state
//! machine that passes the conformance suite), the network to it, the clients, and the faults.
//!
//! One loop takes the next event from a queue and lets every process run up to it. A process
//! stops running as soon as it sends something, so that the answer can come in time; how far one
//! may be ahead of another is the seed's choice.
//!
//! | fault | what it is |
//! | --- | --- |
//! | crash | the process's tokio runtime is dropped, with every task at whatever await it is |
//! | stop | nothing of it is polled for a while; then its clock jumps, and it goes on where it was |
//! | lossy network | commands and replies are lost, late, and arrive twice; connections break |
//! | outage | the store refuses, is silent, applies and says nothing, or is slow |
//! | failover | the store is what it was a while ago: acknowledged writes are lost |
//! | impatience | a client leaves after a time, or after so many polls of its request |
//!
//! One `u64` decides everything ([`run`]): the same seed is the same history, to the last event.

mod coverage;
mod machine;
mod near;
mod node;
mod plan;
mod rng;
mod watchdog;
mod wire;
mod work;
mod world;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use idem_core::{
    Policy,
    record::Record,
    testing::{Leftovers, Seeded},
};
use tokio::sync::Notify;

pub use self::{
    coverage::{Coverage, SITUATIONS},
    machine::Defect,
    near::store,
    plan::{Options, Profile},
};
use self::{
    machine::Machine,
    node::Node,
    plan::{Ambushes, Fault, Intent, Plan, Weather, ms},
    rng::Rng,
    work::Job,
    world::{Ask, Coming, Life, Shared},
};
use crate::{
    checker::{self, Verdict},
    history::{
        Abandoned, Answer, CallId, Change, Claimed, Command, History, NodeId, Place, Rules, What,
    },
};

/// Longer than any schedule: what still runs then hangs.
const END: Duration = Duration::from_secs(60);

/// A schedule that was played.
#[derive(Debug)]
pub struct Played {
    /// What decides it.
    pub seed: u64,
    /// What went wrong in it.
    pub profile: Profile,
    /// What happened.
    pub history: History,
    /// What the checker says of it.
    pub verdict: Verdict,
}

impl Played {
    /// # Panics
    /// If the runtime has broken a promise: with the seed, the promise, what happened to its
    /// key, and how to play it again.
    pub fn assert_clean(&self) {
        assert!(
            self.verdict.is_clean(),
            "seed {} ({:?}) breaks a promise\n{}\nto play it again, with all that happens:\n    \
             SEED={} PROFILE={:?} cargo run -p idem-proof --bin simulate\n",
            self.seed,
            self.profile,
            self.verdict.explain(&self.history),
            self.seed,
            self.profile,
        );
    }
}

/// Plays the schedule of a seed and holds it against what is promised.
#[must_use]
pub fn run(seed: u64, options: Options) -> Played {
    let _seeded = Seeded::new(seed);
    let mut rng = Rng::new(seed);
    let plan = Plan::draw(&mut rng, options.profile);
    let profile = plan.profile;
    let _watched = watchdog::Watched::new(format!("SEED={seed} PROFILE={profile:?}"));
    let mut simulation = Simulation::new(plan, rng, options.defect);
    simulation.play();
    let history = simulation.history();
    let verdict = checker::check(&history);
    Played {
        seed,
        profile,
        history,
        verdict,
    }
}

struct Simulation {
    world: Shared,
    plan: Plan,
    nodes: BTreeMap<NodeId, Seat>,
    calls: BTreeMap<CallId, Open>,
    next_call: CallId,
    snapshot: Option<Machine>,
    /// The last words of the history are said: everything works, and nobody leaves.
    is_calm: bool,
}

/// Where a process is, dead or alive.
struct Seat {
    lives: u32,
    node: Option<Node>,
    /// Its clock when it was last looked at.
    clock: Duration,
}

/// A request, as its client sees it.
struct Open {
    intent: usize,
    tries_left: u32,
    life: Life,
    is_open: bool,
}

impl Simulation {
    fn new(plan: Plan, rng: Rng, defect: Option<Defect>) -> Self {
        let world = Shared::new(rng, plan.weather, plan.ambushes, defect);
        let nodes = (0..plan.nodes).map(|node| {
            let life = Life { node, number: 0 };
            let place = Seat {
                lives: 1,
                node: Some(Node::start(&world, &plan, life, Duration::ZERO)),
                clock: Duration::ZERO,
            };
            (node, place)
        });
        let nodes = nodes.collect();
        {
            let mut world = world.lock();
            for (at, fault) in &plan.faults {
                world.come(*at, Coming::Fault(*fault));
            }
            for (number, intent) in plan.intents.iter().enumerate() {
                let ask = Ask {
                    intent: number,
                    tries_left: intent.tries,
                };
                world.come(intent.at, Coming::Ask(ask));
            }
        }
        Self {
            world,
            plan,
            nodes,
            calls: BTreeMap::new(),
            next_call: 1,
            snapshot: None,
            is_calm: false,
        }
    }

    fn play(&mut self) {
        self.until_idle();
        self.calm_down();
        for _ in 0..2 {
            self.probe();
            self.until_idle();
        }
        self.drain();
    }

    /// Until nothing is to come and nobody does anything.
    fn until_idle(&mut self) {
        loop {
            let next = self.world.lock().next_at().filter(|at| *at < END);
            let target = next.unwrap_or(END);
            if let Some(node) = self.lagging(target) {
                self.step(node, target);
            } else if next.is_some() {
                let coming = self.world.lock().next();
                if let Some(coming) = coming {
                    self.happen(coming);
                }
            } else {
                return;
            }
            self.follow_up();
        }
    }

    /// One of the processes that have something to do before then.
    fn lagging(&mut self, target: Duration) -> Option<NodeId> {
        let first = self.first_clock()?;
        if first >= target {
            return None;
        }
        let horizon = target.min(first + self.plan.ahead);
        let lagging: Vec<_> = self
            .nodes
            .iter()
            .filter(|(_, place)| place.is_running() && place.clock < horizon)
            .map(|(id, _)| *id)
            .collect();
        match lagging.as_slice() {
            [] => None,
            [one] => Some(*one),
            several => Some(self.world.lock().rng.one_of(several)),
        }
    }

    fn first_clock(&self) -> Option<Duration> {
        let running = self.nodes.values().filter(|place| place.is_running());
        running.map(|place| place.clock).min()
    }

    fn step(&mut self, id: NodeId, target: Duration) {
        let first = self.first_clock().unwrap_or(target);
        let until = target.min(first + self.plan.ahead);
        if let Some(place) = self.nodes.get_mut(&id)
            && let Some(node) = &mut place.node
        {
            node.run(until);
            place.clock = node.now();
        }
    }

    /// The process, once it has come to the present.
    fn node_at_present(&mut self, life: Life) -> Option<&mut Node> {
        let now = self.world.lock().now;
        let place = self.nodes.get_mut(&life.node)?;
        let node = place.node.as_mut()?;
        if node.inside.life != life {
            return None;
        }
        if !node.is_stopped && place.clock < now {
            node.run_to(now);
            place.clock = node.now();
        }
        Some(node)
    }

    /// Hands something to a process: now, or when it wakes.
    fn hand(&mut self, life: Life, what: impl FnOnce(&mut Node) + 'static) {
        if let Some(node) = self.node_at_present(life) {
            if node.is_stopped {
                node.inbox.push(Box::new(what));
            } else {
                what(node);
                node.is_active = true;
            }
        }
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Command {
                from,
                call,
                request,
                reply_to,
                is_late,
            } => self
                .world
                .lock()
                .arrive(from, call, &request, reply_to, is_late),
            Coming::Reply {
                to,
                reply_to,
                reply,
            } => self.hand(to, move |_| {
                // Whoever has lost patience does not listen any more.
                let _ = reply_to.send(reply);
            }),
            Coming::Written(request, held) => {
                if let machine::Request::Claim(claim) = request {
                    self.world.lock().machine.put(claim.slot, *held);
                }
            }
            Coming::Ask(ask) => self.ask(&ask),
            Coming::Leave(call) => self.leave(call),
            Coming::Fault(fault) => self.fault(fault),
        }
    }

    fn ask(&mut self, ask: &Ask) {
        let intent = self.plan.intents[ask.intent].clone();
        let call = self.next_call;
        self.next_call += 1;
        let (now, id, patience) = {
            let mut world = self.world.lock();
            let id = world.rng.between(0, u64::from(self.plan.nodes) - 1);
            let is_impatient = !self.is_calm && world.rng.odds(intent.impatience);
            let patience = is_impatient.then(|| (world.rng.odds(500), world.rng.between(0, 160)));
            (world.now, id as NodeId, patience)
        };
        let budget = self.budget(&intent);
        let place = &self.nodes[&id];
        let life = match &place.node {
            Some(node) => node.inside.life,
            None => Life {
                node: id,
                number: u32::MAX,
            },
        };
        let sent = What::Sent {
            call,
            node: id,
            place: intent.place,
            payload: intent.payload,
            answer_by: Some(now + budget),
        };
        self.world.lock().note(now, sent);
        let open = Open {
            intent: ask.intent,
            tries_left: ask.tries_left.saturating_sub(1),
            life,
            is_open: true,
        };
        self.calls.insert(call, open);
        if place.node.is_none() {
            self.close(call, now, Err(Abandoned::ConnectionLost));
            return;
        }
        let mut polls = None;
        match patience {
            Some((true, _)) => polls = Some(self.world.lock().rng.between(0, 9) as u32),
            Some((false, after)) => {
                self.world.lock().come(now + ms(after), Coming::Leave(call));
            }
            None => {}
        }
        let job = Job {
            call,
            place: intent.place,
            payload: intent.payload,
            kind: intent.kind,
            rules: self.plan.rules(intent.place),
            wait: intent.wait,
            polls,
        };
        self.hand(life, move |node| {
            let left = Arc::new(Notify::new());
            node.clients.insert(call, Arc::clone(&left));
            let (inside, runtime) = (node.inside.clone(), node.runtime.clone());
            node.spawn(work::serve(inside, runtime, job, left));
        });
    }

    /// How long an answer may take, if the process lives and is polled.
    fn budget(&self, intent: &Intent) -> Duration {
        let timeouts = self.plan.timeouts;
        let pause = ms(work::LONGEST);
        let steps = work::steps_of(intent.place);
        let claims = intent.wait + 3 * timeouts.verb;
        let works = 3 * pause + steps * (2 * pause + 2 * timeouts.verb);
        let ends = timeouts.verb.max(timeouts.complete) + timeouts.complete + 2 * timeouts.verb;
        claims + works + ends + self.plan.ahead + ms(100)
    }

    fn leave(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let (life, is_open) = (open.life, open.is_open);
        if !is_open {
            return;
        }
        let now = self.world.lock().now;
        self.close(call, now, Err(Abandoned::ClientLeft));
        self.hand(life, move |node| {
            if let Some(left) = node.clients.get(&call) {
                left.notify_one();
            }
        });
    }

    /// The client has its answer, or none, and thinks about what to do.
    fn close(&mut self, call: CallId, at: Duration, answer: Result<Answer, Abandoned>) {
        let Some(open) = self.calls.get_mut(&call) else {
            return;
        };
        if !std::mem::take(&mut open.is_open) {
            return;
        }
        let mut world = self.world.lock();
        let comes_again = match &answer {
            Ok(Answer::Fresh { .. } | Answer::Replayed { .. }) => world.rng.odds(300),
            Ok(Answer::KeyReused | Answer::OutcomeUnknown) => world.rng.odds(100),
            _ => true,
        };
        if comes_again && open.tries_left > 0 && !self.is_calm {
            let pause = ms(world.rng.between(1, 140));
            let at = at.max(world.now) + pause;
            let ask = Ask {
                intent: open.intent,
                tries_left: open.tries_left,
            };
            world.come(at, Coming::Ask(ask));
        }
        let what = match answer {
            Ok(answer) => What::Answered { call, answer },
            Err(why) => What::Abandoned { call, why },
        };
        world.note(at, what);
    }

    /// What processes have told their clients.
    fn follow_up(&mut self) {
        let over = std::mem::take(&mut self.world.lock().over);
        for (call, at, answer) in over {
            let life = self.calls.get(&call).map(|open| open.life);
            if let Some(life) = life
                && let Some(place) = self.nodes.get_mut(&life.node)
                && let Some(node) = &mut place.node
            {
                node.clients.remove(&call);
                node.look_around();
            }
            self.close(call, at, answer.ok_or(Abandoned::ClientLeft));
        }
    }

    fn fault(&mut self, fault: Fault) {
        let now = self.world.lock().now;
        match fault {
            Fault::Crash(id) => self.crash(id, now),
            Fault::Restart(id) => {
                let Some(place) = self.nodes.get_mut(&id) else {
                    return;
                };
                if place.node.is_some() {
                    return;
                }
                let life = Life {
                    node: id,
                    number: place.lives,
                };
                place.lives += 1;
                let born = now.max(place.clock);
                place.clock = born;
                place.node = Some(Node::start(&self.world, &self.plan, life, born));
                self.note_node(born, id, Change::Restarted);
            }
            Fault::Stop(id) => {
                let Some(life) = self.life(id) else {
                    return;
                };
                let Some(node) = self.node_at_present(life) else {
                    return;
                };
                if node.is_stopped {
                    return;
                }
                node.is_stopped = true;
                let at = node.now();
                self.note_node(at, id, Change::Stopped);
            }
            Fault::Wake(id) => {
                let timers_first = {
                    let mut world = self.world.lock();
                    if world.rng.odds(600) {
                        world.ambushes.again = Some(id);
                    }
                    world.rng.odds(500)
                };
                let Some(place) = self.nodes.get_mut(&id) else {
                    return;
                };
                let Some(node) = place.node.as_mut().filter(|node| node.is_stopped) else {
                    return;
                };
                let at = now.max(place.clock);
                // Before anything of it runs.
                self.world.lock().note(
                    at,
                    What::Node {
                        node: id,
                        change: Change::Woke,
                    },
                );
                node.wake(at, timers_first);
                place.clock = node.now();
            }
            Fault::Outage(kind) => {
                let mut world = self.world.lock();
                if world.outage.is_none() {
                    world.note(now, What::OutageBegan);
                }
                world.outage = Some(kind);
            }
            Fault::Back => {
                let mut world = self.world.lock();
                if world.outage.take().is_some() {
                    world.note(now, What::OutageEnded);
                }
            }
            Fault::Snapshot => self.snapshot = Some(self.world.lock().machine.clone()),
            Fault::Restore => {
                let Some(snapshot) = self.snapshot.take() else {
                    return;
                };
                let mut world = self.world.lock();
                let lost = world.machine.difference(&snapshot);
                world.machine = snapshot;
                let places = Some(world::places_of(&lost));
                world.note(now, What::LostWrites { places });
            }
        }
    }

    fn life(&self, id: NodeId) -> Option<Life> {
        let node = self.nodes.get(&id)?.node.as_ref()?;
        Some(node.inside.life)
    }

    fn note_node(&self, at: Duration, node: NodeId, change: Change) {
        self.world.lock().note(at, What::Node { node, change });
    }

    fn crash(&mut self, id: NodeId, now: Duration) {
        let Some(life) = self.life(id) else {
            return;
        };
        self.node_at_present(life);
        self.follow_up();
        let Some(place) = self.nodes.get_mut(&id) else {
            return;
        };
        let at = now.max(place.clock);
        if let Some(node) = place.node.take() {
            place.clock = at;
            self.note_node(at, id, Change::Crashed);
            let before = self.world.lock().events.len();
            node.crash(at);
            // Tasks are dropped in an order that hangs on how many there were in this
            // process before.
            self.world.lock().events[before..].sort_by_key(|event| match event.what {
                What::Cut { run } => run,
                _ => 0,
            });
        }
        let broken: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, open)| open.is_open && open.life == life)
            .map(|(call, _)| *call)
            .collect();
        for call in broken {
            self.close(call, at, Err(Abandoned::ConnectionLost));
        }
    }

    /// Everything works from here on.
    fn calm_down(&mut self) {
        self.is_calm = true;
        let now = self.present();
        for id in 0..self.plan.nodes {
            for fault in [Fault::Restart(id), Fault::Wake(id)] {
                self.world.lock().now = now;
                self.fault(fault);
            }
        }
        self.fault(Fault::Back);
        {
            let mut world = self.world.lock();
            world.weather = Weather::CALM;
            world.ambushes = Ambushes::default();
        }
        for place in self.nodes.values() {
            if let Some(node) = &place.node {
                let calm = &node.inside.calm;
                calm.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
        self.until_idle();
    }

    fn present(&self) -> Duration {
        let clocks = self.nodes.values().map(|place| place.clock).max();
        let now = self.world.lock().now;
        now.max(clocks.unwrap_or_default())
    }

    /// A last request for each key, by somebody who asks what was asked before.
    fn probe(&mut self) {
        let now = self.present() + ms(5);
        let mut world = self.world.lock();
        let mut asked: BTreeMap<Place, u32> = BTreeMap::new();
        for event in &world.events {
            if let What::Applied {
                place,
                command:
                    Command::Claim {
                        payload,
                        reply: Claimed::Won { .. },
                        ..
                    },
            } = &event.what
            {
                asked.insert(*place, *payload);
            }
        }
        for (place, payload) in asked {
            let known = self.plan.intents.iter();
            let known = known.enumerate().find(|(_, intent)| intent.place == place);
            let Some((_, before)) = known else {
                continue;
            };
            let mut intent = before.clone();
            intent.payload = payload;
            intent.wait = ms(400);
            self.plan.intents.push(intent);
            let ask = Ask {
                intent: self.plan.intents.len() - 1,
                tries_left: 1,
            };
            world.come(now, Coming::Ask(ask));
        }
    }

    fn drain(&mut self) {
        let now = self.present();
        for (id, place) in &mut self.nodes {
            let Some(node) = place.node.take() else {
                continue;
            };
            let Leftovers {
                tasks,
                heartbeats,
                waited_for,
                settling,
                ..
            } = node.drain();
            let left = [
                ("tasks", tasks),
                ("heartbeats", heartbeats),
                ("waited_for", waited_for),
                ("settling", settling),
            ];
            let left = left.map(|(name, count)| (name.to_owned(), count as u64));
            let drained = What::Drained {
                node: *id,
                left: left.to_vec(),
            };
            self.world.lock().note(now, drained);
            node.crash(now);
        }
    }

    fn history(&mut self) -> History {
        let mut history = History {
            events: std::mem::take(&mut self.world.lock().events),
            rules: self.plan.rules,
            exceptions: self.plan.exceptions.clone(),
            sees_store: true,
            sees_runs: true,
            blur: Duration::ZERO,
        };
        history.sort();
        history
    }
}

impl Seat {
    fn is_running(&self) -> bool {
        let node = self.node.as_ref();
        node.is_some_and(|node| node.is_active && !node.is_stopped)
    }
}

fn policy(rules: &Rules) -> Policy {
    Policy {
        ttl: rules.ttl,
        grace: rules.grace,
        lease: rules.lease,
        ..Policy::default()
    }
}

/// The answer in a record.
fn body(record: &Bytes) -> String {
    let text = match Record::decode(record) {
        Ok(Record::Value(json)) => json,
        _ => record.clone(),
    };
    String::from_utf8_lossy(&text).trim_matches('"').to_owned()
}
