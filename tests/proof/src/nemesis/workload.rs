//! What clients do meanwhile: they retry with the same key, at several processes at once, leave
//! early, send another payload under a used key, and use the same key as another user.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    calls::{Call, Caller},
    fleet::Node,
    schedule::LEASE,
};
use crate::history::{Answer, NodeId, PayloadId, Place};

const USERS: [&str; 3] = ["ana", "bob", "cleo"];

/// The kinds of handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Plain,
    Wait,
    Refuse,
    Steps,
}

impl Route {
    const ALL: [Self; 4] = [Self::Plain, Self::Wait, Self::Refuse, Self::Steps];

    /// As the journal has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "work",
            Self::Wait => "work-wait",
            Self::Refuse => "work-refuse",
            Self::Steps => "work-steps",
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Plain => 0,
            Self::Wait => 1,
            Self::Refuse => 2,
            Self::Steps => 3,
        }
    }
}

/// Which slot this is in a history: the route is part of the scope.
pub(super) fn place(route: &str, user: &str, key: &str) -> Option<Place> {
    let route = Route::ALL.into_iter().find(|it| it.name() == route)?;
    let user = USERS.iter().position(|it| *it == user)?;
    Some(Place {
        scope: route.number() * 10 + u32::try_from(user).ok()?,
        key: key.strip_prefix('k')?.parse().ok()?,
    })
}

/// Whether nobody takes over from a crash at this slot.
pub(super) fn refuses(place: Place) -> bool {
    place.scope / 10 == Route::Refuse.number()
}

/// What one user wants under one key.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    route: Route,
    user: &'static str,
    key: String,
    place: Place,
    payload: PayloadId,
    body: Value,
}

impl Wish {
    fn new(random: &mut StdRng, route: Route, user: usize, key: u32, payload: PayloadId) -> Self {
        let user = USERS[user % USERS.len()];
        let key = format!("k{key}");
        // Some take longer than a lease, and live by their renewals.
        let long = random.random_bool(0.2);
        let lease = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        let time = if long {
            random.random_range(lease + 500..lease + 1_500)
        } else {
            random.random_range(0..150)
        };
        let before = random.random_range(0..=time);
        let steps = random.random_range(2..=4);
        let before_ms = if route == Route::Steps {
            before / steps
        } else {
            before
        };
        let fails = u32::from(route == Route::Wait && random.random_bool(0.15));
        let padding = *[0, 0, 100, 3_000]
            .get(random.random_range(0..4))
            .unwrap_or(&0);
        Self {
            route,
            user,
            place: place(route.name(), user, &key).expect("a place"),
            key,
            payload,
            body: json!({
                "payload": format!("p{payload}"), "before_ms": before_ms,
                "after_ms": time - before, "fails": fails, "steps": steps, "padding": padding,
            }),
        }
    }

    /// The same key, another payload.
    fn intruding(&self, payload: PayloadId) -> Self {
        let mut other = self.clone();
        other.payload = payload;
        other.body["payload"] = format!("p{payload}").into();
        other
    }

    /// Which slot it is about.
    pub(super) fn place(&self) -> Place {
        self.place
    }
}

/// The processes, and everything that was ever wanted.
#[derive(Debug, Clone)]
pub(super) struct Workload {
    pub(super) caller: Caller,
    pub(super) nodes: Arc<Vec<Node>>,
    wishes: Arc<Mutex<Vec<Wish>>>,
    numbers: Arc<std::sync::atomic::AtomicU32>,
}

/// How a client's request ended, for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    /// There is nothing more to be had.
    Done,
    /// Another payload was there first.
    Reused,
    /// Try again.
    Again,
}

impl Workload {
    pub(super) fn new(caller: Caller, nodes: Arc<Vec<Node>>) -> Self {
        Self {
            caller,
            nodes,
            wishes: Arc::default(),
            numbers: Arc::default(),
        }
    }

    fn number(&self) -> u32 {
        self.numbers
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst)
    }

    /// All that was wanted so far.
    pub(super) fn wishes(&self) -> Vec<Wish> {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.clone()
    }

    fn want(&self, wish: &Wish) {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.push(wish.clone());
    }

    /// One of the clients, until the time is over.
    pub(super) async fn client(self, seed: u64, until: Duration) {
        let mut random = StdRng::seed_from_u64(seed);
        while self.caller.clock.now() < until {
            if random.random_bool(0.2) {
                self.revisit(&mut random).await;
            } else {
                self.pursue(&mut random, until).await;
            }
            sleep(Duration::from_millis(random.random_range(0..60))).await;
        }
    }

    /// A new key, from the first request to the answer.
    async fn pursue(&self, random: &mut StdRng, until: Duration) {
        let route = Route::ALL[random.random_range(0..4)];
        let user = random.random_range(0..3);
        let key = self.number();
        let wish = Wish::new(random, route, user, key, self.number());
        self.want(&wish);
        let mut parties = vec![self.insist(wish.clone(), random.random(), until)];
        if random.random_bool(0.25) {
            let other = wish.intruding(self.number());
            self.want(&other);
            parties.push(self.insist(other, random.random(), until));
        }
        if random.random_bool(0.25) {
            let payload = if random.random_bool(0.5) {
                wish.payload
            } else {
                self.number()
            };
            let other = Wish::new(random, route, user + 1, key, payload);
            self.want(&other);
            parties.push(self.insist(other, random.random(), until));
        }
        join_all(parties).await;
    }

    /// Requests for one wish, some at once, until there is nothing more to be had.
    async fn insist(&self, wish: Wish, seed: u64, until: Duration) {
        let mut random = StdRng::seed_from_u64(seed);
        sleep(Duration::from_millis(random.random_range(0..40))).await;
        for _ in 0..30 {
            let crowd = *[1, 1, 1, 2, 3].get(random.random_range(0..5)).unwrap_or(&1);
            let calls: Vec<_> = (0..crowd).map(|_| random.random()).collect();
            let calls = calls.iter().map(|seed| self.once(&wish, *seed, true));
            let told = join_all(calls).await;
            if told.iter().any(|told| *told != Told::Again) || self.caller.clock.now() > until {
                return;
            }
            sleep(Duration::from_millis(random.random_range(30..500))).await;
        }
    }

    /// An old key, once more.
    async fn revisit(&self, random: &mut StdRng) {
        let wish = {
            let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
            if wishes.is_empty() {
                return;
            }
            wishes[random.random_range(0..wishes.len())].clone()
        };
        self.once(&wish, random.random(), false).await;
    }

    /// A wish of its own, for work that takes a while, though not as long as a lease.
    pub(super) fn lengthy(&self) -> Wish {
        let payload = self.number();
        let (route, user, key) = (Route::Plain, USERS[0], format!("k{}", self.number()));
        let wish = Wish {
            route,
            user,
            place: place(route.name(), user, &key).expect("a place"),
            key,
            payload,
            body: json!({
                "payload": format!("p{payload}"), "before_ms": 700, "after_ms": 800,
            }),
        };
        self.want(&wish);
        wish
    }

    /// Asks one process for it until there is nothing more to be had.
    pub(super) async fn ask(&self, wish: &Wish, index: usize, until: Duration) {
        while self.send(wish, index, None).await == Told::Again && self.caller.clock.now() < until {
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn once(&self, wish: &Wish, seed: u64, may_leave: bool) -> Told {
        let mut random = StdRng::seed_from_u64(seed);
        let leaves = may_leave && random.random_bool(0.15);
        let leaves = leaves.then(|| Duration::from_millis(random.random_range(1..300)));
        self.send(wish, random.random_range(0..labs(&self.nodes)), leaves)
            .await
    }

    async fn send(&self, wish: &Wish, index: usize, leaves: Option<Duration>) -> Told {
        let node = &self.nodes[index];
        let call = Call {
            address: &node.address,
            node: node.id(index),
            path: &format!("/{}", wish.route.name()),
            user: wish.user,
            key: &wish.key,
            place: wish.place,
            payload: wish.payload,
            body: &wish.body,
            leaves,
        };
        match self.caller.send(&call).await {
            Some(
                Answer::Fresh { .. }
                | Answer::Replayed { .. }
                | Answer::NotStored { .. }
                | Answer::OutcomeUnknown,
            ) => Told::Done,
            Some(Answer::KeyReused) => Told::Reused,
            _ => Told::Again,
        }
    }

    /// Everything is well again: brings a wish to its end, and asks once more. Whether it had one,
    /// and was not refused for another's sake.
    pub(super) async fn settle(&self, wish: &Wish, give_up: Duration) -> Option<Settled> {
        let mut node = wish.place.key as usize;
        loop {
            node += 1;
            let told = self.send(wish, node % labs(&self.nodes), None).await;
            match told {
                Told::Done => return Some(Settled::Answered),
                Told::Reused => return Some(Settled::Reused),
                Told::Again if self.caller.clock.now() > give_up => return None,
                Told::Again => sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

/// How a wish ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// With the key's answer.
    Answered,
    /// The key is another payload's.
    Reused,
}

/// How many processes take this workload: the first ones.
fn labs(nodes: &[Node]) -> usize {
    let labs = nodes
        .iter()
        .filter(|node| node.program == super::fleet::Program::Lab);
    labs.count()
}

/// The id of a process in a history: each start has its own.
pub(super) fn node_id(index: usize, start: usize) -> NodeId {
    u32::try_from(index * 10_000 + start).unwrap_or(u32::MAX)
}
