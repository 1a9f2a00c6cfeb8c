//! `idem list`: slots, page by page.

use std::ops::ControlFlow;

use idem_core::SlotView;

use super::{
    Done, OperateError,
    output::{print, print_json},
    store::StoreArgs,
    table::Table,
    view::{Seen, StateName, is_resolvable, kept, state_in_short},
};

/// List slots, in an order of the store's choosing
///
/// Nothing is changed. What can be resolved (lapsed, unknown, released) is shown with all its digits;
/// for the others `idem inspect` takes the first 8.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 listed (also if there is none), 2 usage or the store.")]
pub(crate) struct Args {
    /// Only slots in this state
    #[arg(long)]
    state: Option<StateName>,

    /// How many at the most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,

    /// Print a JSON array
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) async fn run(args: Args) -> Result<Done, OperateError> {
    let store = args.store.open().await?;
    let limit = if args.all {
        usize::MAX
    } else {
        usize::try_from(args.limit).unwrap_or(usize::MAX)
    };
    let mut rows = Rows::default();
    let mut has_more = false;
    store
        .each(args.state.map(StateName::kind), |view| {
            if rows.seen.len() == limit {
                has_more = true;
                return ControlFlow::Break(());
            }
            rows.add(&view);
            ControlFlow::Continue(())
        })
        .await?;
    if args.json {
        print_json(&rows.seen)?;
    } else {
        print(&rows.render(args.state))?;
    }
    if has_more {
        eprintln!("There are more than {limit}: see --limit and --all.");
    }
    Ok(Done::Yes)
}

/// What is printed of slots. Their records are not kept.
struct Rows {
    seen: Vec<Seen>,
    table: Table,
}

impl Default for Rows {
    fn default() -> Self {
        let head = [
            "SLOT", "STATE", "ATTEMPT", "FENCE", "STEPS", "RECORD", "KEPT", "IN FULL",
        ];
        Self {
            seen: Vec::new(),
            table: Table::with_head(head),
        }
    }
}

impl Rows {
    fn add(&mut self, view: &SlotView) {
        let seen = Seen::from(view);
        let or_none = |number: Option<usize>| number.map_or("-".to_owned(), |n| n.to_string());
        let steps = Some(seen.steps.len()).filter(|steps| *steps > 0);
        let in_full = is_resolvable(&view.state).then(|| seen.slot.clone());
        self.table.row([
            seen.short.clone(),
            state_in_short(&view.state),
            seen.attempt.to_string(),
            seen.fence.to_string(),
            or_none(steps),
            or_none(seen.record_bytes),
            kept(view),
            in_full.unwrap_or_default(),
        ]);
        self.seen.push(seen);
    }

    fn render(&self, state: Option<StateName>) -> String {
        match (self.seen.is_empty(), state) {
            (false, _) => self.table.render(),
            (true, None) => "There are no slots.\n".to_owned(),
            (true, Some(_)) => "There are no slots in this state.\n".to_owned(),
        }
    }
}
