//! What is seen of leases, their store and this process during a while.

use std::{collections::HashSet, fmt, time::Duration};

use idem_axum::Store;
use idem_core::{ListQuery, Slot, SlotState, StateKind};
use tokio::time::{Instant, interval, timeout_at};

use crate::{
    counting::{Counting, Counts},
    machine::{self, Cores},
    server::Server,
};

/// How many slots are looked at each time, and how often.
const SAMPLE: usize = 10;
const EVERY: Duration = Duration::from_millis(250);

/// Whose leases are looked at.
pub(crate) struct Subject<'a> {
    pub(crate) store: &'a str,
    pub(crate) lease: Duration,
    pub(crate) who: &'static str,
    pub(crate) slots: &'a [Slot],
}

struct Reading {
    at: Instant,
    counts: Counts,
    own: Option<f64>,
    server: Option<f64>,
    cores: Option<Cores>,
    commands: Option<(u64, u64)>,
}

impl Reading {
    async fn take<S: Store>(store: &Counting<S>, server: &Server) -> Self {
        Self {
            commands: server.commands().await,
            at: Instant::now(),
            counts: store.counts(),
            own: machine::own_seconds(),
            server: server.seconds(),
            cores: Cores::read(),
        }
    }
}

/// What the store shows of the leases.
#[derive(Debug)]
struct Seen {
    /// The least that was left of one.
    least_left: Duration,
    /// How many were not in flight when all were listed.
    lapsed: usize,
    /// How often one was found that was not in flight.
    found_lapsed: usize,
    inspected: u64,
}

pub(crate) struct Row {
    store: String,
    lease: Duration,
    who: &'static str,
    took: f64,
    counts: Counts,
    commands: Option<(u64, u64)>,
    own: Option<f64>,
    server: Option<f64>,
    busy: Option<f64>,
    slowest: Duration,
    seen: Seen,
}

pub(crate) async fn measure<S: Store>(
    subject: Subject<'_>,
    store: &Counting<S>,
    server: &Server,
    window: Duration,
) -> Row {
    let before = Reading::take(store, server).await;
    store.take_slowest();
    let mut seen = look(store, subject.slots, before.at + window).await;
    let after = Reading::take(store, server).await;
    let slowest = store.take_slowest();
    list(store, subject.slots, &mut seen).await;
    let took = (after.at - before.at).as_secs_f64();
    let minutes = took / 60.0;
    let a_minute = |before: Option<f64>, after: Option<f64>| Some((after? - before?) / minutes);
    let commands = match (before.commands, after.commands) {
        // Those that look are not what is looked at.
        (Some(before), Some(after)) => {
            Some((after.0 - before.0 - seen.inspected, after.1 - before.1))
        }
        _ => None,
    };
    Row {
        store: subject.store.to_owned(),
        lease: subject.lease,
        who: subject.who,
        took,
        counts: after.counts - before.counts,
        slowest,
        commands,
        own: a_minute(before.own, after.own),
        server: a_minute(before.server, after.server),
        busy: (before.cores.zip(after.cores)).map(|(before, after)| after.busy_since(before)),
        seen,
    }
}

/// Looks at some of the slots now and then, as another node would.
async fn look<S: Store>(store: &Counting<S>, slots: &[Slot], until: Instant) -> Seen {
    let mut seen = Seen {
        least_left: Duration::MAX,
        lapsed: 0,
        found_lapsed: 0,
        inspected: 0,
    };
    // Far apart, and others each time.
    let mut order = (0..slots.len()).cycle().step_by(slots.len() / 13 * 2 + 1);
    let looking = async {
        let mut ticks = interval(EVERY);
        loop {
            ticks.tick().await;
            for slot in order.by_ref().take(SAMPLE) {
                seen.inspected += 1;
                // What does not answer now is asked again as another one.
                if let Ok(view) = store.inspect(slots[slot]).await {
                    match view.map(|view| view.state) {
                        Some(SlotState::InFlight { lease_left }) => {
                            seen.least_left = seen.least_left.min(lease_left);
                        }
                        _ => seen.found_lapsed += 1,
                    }
                }
            }
        }
    };
    let _: Result<(), _> = timeout_at(until, looking).await;
    seen
}

/// Looks at all of them.
async fn list<S: Store>(store: &Counting<S>, slots: &[Slot], seen: &mut Seen) {
    let mut missing: HashSet<Slot> = slots.iter().copied().collect();
    let mut query = ListQuery {
        state: Some(StateKind::InFlight),
        after: None,
        limit: 1000,
    };
    loop {
        let page = store.list(query.clone()).await.unwrap();
        for view in page.slots {
            if let (true, SlotState::InFlight { lease_left }) =
                (missing.remove(&view.slot), view.state)
            {
                seen.least_left = seen.least_left.min(lease_left);
            }
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    seen.lapsed = missing.len();
}

pub(crate) fn print_header(executions: usize) {
    println!("\n{executions} leases in flight in one process\n");
    println!(
        "| store | lease | who renews | machine busy | renewals/s | store calls/s | slowest call | at the server | \
         process, s of CPU a minute | server, s of CPU a minute | renewals failed | \
         leases lapsed | least left of a lease |"
    );
    println!("|{}", " --- |".repeat(13));
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took, counts, .. } = self;
        let number = |number: Option<f64>| {
            number.map_or_else(|| String::from("–"), |number| format!("{number:.1}"))
        };
        let at_server = match self.commands {
            Some((commands, reads)) => format!(
                "{:.0} commands/s, {:.1} reads/s",
                commands as f64 / took,
                reads as f64 / took
            ),
            None => String::from("–"),
        };
        write!(
            f,
            "| {} | {:?} | {} | {} % | {:.0} | {:.1} | {:.0} ms | {at_server} | {} | {} | {} | {} | {:.1} s |",
            self.store,
            self.lease,
            self.who,
            self.busy
                .map_or_else(|| String::from("–"), |busy| format!("{:.0}", busy * 100.0)),
            counts.renewed as f64 / took,
            counts.calls as f64 / took,
            self.slowest.as_secs_f64() * 1e3,
            number(self.own),
            number(self.server),
            counts.failed + counts.fenced,
            self.seen.lapsed.max(self.seen.found_lapsed),
            self.seen.least_left.as_secs_f64(),
        )
    }
}
