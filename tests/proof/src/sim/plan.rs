//! What a seed decides before anything happens: who asks what, where, and what goes wrong.

use std::{collections::BTreeMap, time::Duration};

use super::{machine::Defect, rng::Rng};
use crate::history::{NodeId, PayloadId, Place, Rules};

/// What goes wrong in a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Nothing but impatient clients.
    Calm,
    /// Commands and replies are lost, late, and come twice.
    Lossy,
    /// Processes die.
    Crashes,
    /// Processes stand still, and go on where they were.
    Stops,
    /// The store is away, or slow.
    Outages,
    /// The store loses what it has acknowledged.
    Failover,
    /// All of it.
    Everything,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Calm,
        Self::Lossy,
        Self::Crashes,
        Self::Stops,
        Self::Outages,
        Self::Failover,
        Self::Everything,
    ];

    const fn has(self, other: Self) -> bool {
        self as u8 == other as u8 || self as u8 == Self::Everything as u8
    }
}

/// What the simulation is to do with a seed, beside what the seed decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What goes wrong; `None`: the seed decides.
    pub profile: Option<Profile>,
    /// In which way the store is wrong.
    pub defect: Option<Defect>,
}

pub(super) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) profile: Profile,
    pub(super) nodes: NodeId,
    pub(super) rules: Rules,
    pub(super) exceptions: BTreeMap<Place, Rules>,
    pub(super) timeouts: Timeouts,
    pub(super) intents: Vec<Intent>,
    pub(super) faults: Vec<(Duration, Fault)>,
    pub(super) weather: Weather,
    pub(super) ambushes: Ambushes,
    /// How far one node may be ahead of another.
    pub(super) ahead: Duration,
    /// How long nodes replay an answer without the store, if they do.
    pub(super) cache: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) verb: Duration,
    pub(super) attempt: Duration,
    pub(super) complete: Duration,
}

/// What one client wants.
#[derive(Debug, Clone)]
pub(super) struct Intent {
    pub(super) place: Place,
    pub(super) payload: PayloadId,
    pub(super) kind: Kind,
    pub(super) at: Duration,
    pub(super) wait: Duration,
    /// How often it asks at the most.
    pub(super) tries: u32,
    /// In how many of a thousand cases its client loses patience.
    pub(super) impatience: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Steps,
    Plain,
    Once,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Crash(NodeId),
    Restart(NodeId),
    Stop(NodeId),
    Wake(NodeId),
    Outage(Outage),
    Back,
    Snapshot,
    Restore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    /// Connections are refused: nothing is sent.
    Refuses,
    /// Nothing comes back, and nothing arrives.
    Silent,
    /// Commands arrive, and no reply comes back.
    Mute,
}

/// Faults that wait for a command to be on its way: the moments in which a process has most
/// to lose are short.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ambushes {
    pub(super) crashes: u32,
    pub(super) stops: u32,
    /// In how many of a thousand cases a command is the one.
    pub(super) odds: u64,
    pub(super) lease: u64,
    /// Who was befallen just now: its next command is the one.
    pub(super) again: Option<NodeId>,
}

/// In how many of a thousand cases a command meets something.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) request_lost: u64,
    pub(super) reply_lost: u64,
    pub(super) interrupted: u64,
    pub(super) twice: u64,
    pub(super) late: u64,
    pub(super) renewal_skipped: u64,
    /// The longest way of a command or reply, in milliseconds.
    pub(super) way: u64,
}

impl Weather {
    pub(super) const CALM: Self = Self {
        request_lost: 0,
        reply_lost: 0,
        interrupted: 0,
        twice: 0,
        late: 0,
        renewal_skipped: 0,
        way: 2,
    };
}

impl Plan {
    pub(super) fn draw(rng: &mut Rng, profile: Option<Profile>) -> Self {
        let profile = profile.unwrap_or_else(|| rng.one_of(&Profile::ALL));
        let nodes = rng.between(1, 3) as NodeId;
        let lease = ms(rng.one_of(&[60, 120, 120, 300]));
        let rules = Rules {
            lease,
            ttl: ms(rng.one_of(&[1500, 5000])),
            grace: ms(rng.one_of(&[0, 700])),
            refuse: false,
        };
        let many = rng.odds(60);
        let keys = if many { 12 } else { rng.between(1, 2) as u32 };
        let scopes = if many { 1 } else { rng.between(1, 2) as u32 };
        let mut exceptions = BTreeMap::new();
        let mut intents = Vec::new();
        let span = rng.one_of(&[5, 150, 400]);
        for key in 0..keys {
            for scope in 0..scopes {
                let place = Place { scope, key };
                if rng.odds(200) {
                    let refused = Rules {
                        refuse: true,
                        ..rules
                    };
                    exceptions.insert(place, refused);
                }
                let kind = rng.one_of(&[Kind::Steps, Kind::Steps, Kind::Plain, Kind::Once]);
                let clients = if many { 1 } else { rng.between(1, 3) };
                for client in 0..clients {
                    let other = client > 0 && rng.odds(150);
                    intents.push(Intent {
                        place,
                        payload: u32::from(other),
                        kind,
                        at: ms(rng.between(0, span)),
                        wait: ms(rng.one_of(&[0, 0, 80, 400])),
                        tries: rng.between(1, 4) as u32,
                        impatience: rng.one_of(&[0, 300, 700]),
                    });
                }
            }
        }
        let late = rng.odds(120);
        if late {
            // Somebody comes when the record is old, or gone.
            let mut again = intents[0].clone();
            again.at = rules.ttl + ms(rng.between(0, 1500));
            intents.push(again);
        }
        Self {
            profile,
            nodes,
            rules,
            exceptions,
            timeouts: Timeouts {
                verb: ms(rng.one_of(&[90, 200])),
                attempt: ms(rng.one_of(&[25, 40])),
                complete: ms(rng.one_of(&[80, 200])),
            },
            faults: faults(rng, profile, nodes, lease),
            weather: weather(rng, profile),
            ambushes: ambushes(rng, profile, lease),
            intents,
            ahead: ms(rng.one_of(&[5, 25, 60])),
            cache: rng.one_of(&[None, None, Some(ms(200)), Some(ms(10_000))]),
        }
    }

    pub(super) fn rules(&self, place: Place) -> Rules {
        self.exceptions.get(&place).copied().unwrap_or(self.rules)
    }
}

fn ambushes(rng: &mut Rng, profile: Profile, lease: Duration) -> Ambushes {
    let mut ambushes = Ambushes {
        odds: rng.one_of(&[60, 250]),
        lease: lease.as_millis() as u64,
        ..Ambushes::default()
    };
    if profile.has(Profile::Crashes) {
        ambushes.crashes = rng.between(0, 2) as u32;
    }
    if profile.has(Profile::Stops) {
        ambushes.stops = rng.between(0, 3) as u32;
    }
    ambushes
}

fn weather(rng: &mut Rng, profile: Profile) -> Weather {
    let mut weather = Weather {
        way: rng.one_of(&[1, 2, 5]),
        renewal_skipped: 30,
        ..Weather::CALM
    };
    if profile == Profile::Calm {
        weather.renewal_skipped = 0;
    }
    if profile.has(Profile::Lossy) {
        weather.request_lost = rng.one_of(&[0, 60, 200]);
        weather.reply_lost = rng.one_of(&[60, 200, 400]);
        weather.interrupted = rng.one_of(&[0, 60, 200]);
        weather.twice = rng.one_of(&[0, 100, 300]);
        weather.late = rng.one_of(&[0, 50, 150]);
    }
    if profile.has(Profile::Outages) && rng.odds(400) {
        weather.way = rng.one_of(&[15, 40]);
    }
    weather
}

fn faults(
    rng: &mut Rng,
    profile: Profile,
    nodes: NodeId,
    lease: Duration,
) -> Vec<(Duration, Fault)> {
    let mut faults = Vec::new();
    let lease = lease.as_millis() as u64;
    if profile.has(Profile::Crashes) {
        for _ in 0..rng.between(1, 2) {
            let node = rng.between(0, u64::from(nodes) - 1) as NodeId;
            let at = rng.between(1, 350);
            faults.push((ms(at), Fault::Crash(node)));
            let back = at + rng.one_of(&[1, 30, lease, 2 * lease]);
            faults.push((ms(back), Fault::Restart(node)));
        }
    }
    if profile.has(Profile::Stops) {
        for _ in 0..rng.between(1, 3) {
            let node = rng.between(0, u64::from(nodes) - 1) as NodeId;
            let at = rng.between(1, 350);
            faults.push((ms(at), Fault::Stop(node)));
            let longest = 3 * lease;
            let back = at + rng.between(lease / 4, longest);
            faults.push((ms(back), Fault::Wake(node)));
        }
    }
    if profile.has(Profile::Outages) {
        for _ in 0..rng.between(1, 2) {
            let at = rng.between(0, 300);
            let kind = rng.one_of(&[Outage::Refuses, Outage::Silent, Outage::Mute]);
            faults.push((ms(at), Fault::Outage(kind)));
            let back = at + rng.one_of(&[20, 100, 250, 2 * lease + 100]);
            faults.push((ms(back), Fault::Back));
        }
    }
    if profile.has(Profile::Failover) {
        let at = rng.between(1, 300);
        faults.push((ms(at), Fault::Snapshot));
        faults.push((ms(at + rng.between(2, 150)), Fault::Restore));
    }
    faults
}
