//! `idem stats`: how many slots there are, and in which state.

use std::{ops::ControlFlow, time::Duration};

use idem_core::{SlotState, SlotView};
use serde::Serialize;

use super::{
    Done, OperateError,
    output::{count, duration, milliseconds, print, print_json},
    store::StoreArgs,
    table::Table,
};

/// Count the slots by their state
///
/// Looks at all of them, page by page, so on a large store it takes a while. Nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

const AFTER_HELP: &str = "\
Expired are records whose ttl has passed: retries still get them, marked, until their grace has passed
too. What is past both is no slot any more and is not counted; `idem purge` deletes it.

Exit codes: 0 counted, 2 usage or the store.";

#[derive(Debug, Default, Serialize)]
struct Counts {
    store: String,
    slots: u64,
    in_flight: u64,
    lapsed: u64,
    unknown: u64,
    completed: u64,
    released: u64,
    /// Of the completed ones: the ttl has passed.
    expired: u64,
    record_bytes: u64,
    /// Of those in flight.
    shortest_lease_left_ms: Option<u64>,
    /// Of those in flight.
    highest_attempt: Option<u32>,
    /// Of the lapsed ones: the one that has been silent for the longest time is deleted first, unless
    /// ttls differ.
    first_lapsed_deleted_in_ms: Option<u64>,
}

pub(super) async fn run(args: Args) -> Result<Done, OperateError> {
    let store = args.store.open().await?;
    let mut counts = Counts {
        store: store.name.clone(),
        ..Counts::default()
    };
    store
        .each(None, |view| {
            counts.add(&view);
            ControlFlow::Continue(())
        })
        .await?;
    if args.json {
        print_json(&counts)?;
    } else {
        print(&counts.render())?;
    }
    Ok(Done::Yes)
}

impl Counts {
    fn add(&mut self, view: &SlotView) {
        self.slots += 1;
        match &view.state {
            SlotState::InFlight { lease_left } => {
                self.in_flight += 1;
                let attempt = self.highest_attempt.max(Some(view.attempt));
                self.highest_attempt = attempt;
                at_least(&mut self.shortest_lease_left_ms, *lease_left);
            }
            SlotState::Lapsed => {
                self.lapsed += 1;
                if let Some(left) = view.deleted_in {
                    at_least(&mut self.first_lapsed_deleted_in_ms, left);
                }
            }
            SlotState::Unknown => self.unknown += 1,
            SlotState::Completed { record, expired } => {
                self.completed += 1;
                self.expired += u64::from(*expired);
                self.record_bytes += record.len() as u64;
            }
            SlotState::Released => self.released += 1,
        }
    }

    fn render(&self) -> String {
        let mut table = Table::of_facts();
        let mut row = |name: &str, number: String, note: String| {
            table.row([name.to_owned(), number, note]);
        };
        let note = |is_there: bool, text: String| if is_there { text } else { String::new() };
        row("slots", self.slots.to_string(), String::new());
        let in_flight = format!(
            "the shortest lease has {} left, the highest attempt is {}",
            short(self.shortest_lease_left_ms),
            self.highest_attempt.unwrap_or_default(),
        );
        row(
            "in flight",
            self.in_flight.to_string(),
            note(self.in_flight > 0, in_flight),
        );
        let lapsed = match self.first_lapsed_deleted_in_ms {
            None => String::new(),
            first => format!(
                "the next request takes over; the first is deleted in {}",
                short(first)
            ),
        };
        row("lapsed", self.lapsed.to_string(), lapsed);
        let unknown = "nobody takes over: idem list --state unknown".to_owned();
        row(
            "unknown",
            self.unknown.to_string(),
            note(self.unknown > 0, unknown),
        );
        let completed = format!(
            "{} of records, {} expired",
            count(self.record_bytes, "byte"),
            self.expired
        );
        row(
            "completed",
            self.completed.to_string(),
            note(self.completed > 0, completed),
        );
        row("released", self.released.to_string(), String::new());
        format!("{}\n\n{}", self.store, table.render())
    }
}

/// The least that has been seen.
fn at_least(least: &mut Option<u64>, time: Duration) {
    let time = milliseconds(time);
    *least = Some(least.map_or(time, |least| least.min(time)));
}

fn short(milliseconds: Option<u64>) -> String {
    duration(Duration::from_millis(milliseconds.unwrap_or_default()))
}
