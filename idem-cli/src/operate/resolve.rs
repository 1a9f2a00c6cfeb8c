//! `idem resolve`: an operator's decision about a slot whose owner is gone.

use idem_core::{
    Fence, ListQuery, Resolved, Slot, SlotState, SlotView, StateKind,
    record::{Record, RecordError},
};
use serde::Serialize;

use super::{
    Done, OperateError, audit,
    confirm::{ask, can_ask},
    decision::{Decision, DecisionArgs},
    keys::KeysArgs,
    output::{duration, milliseconds, print, print_json},
    store::{Opened, StoreArgs},
    view::{Seen, card},
};

/// End a slot whose owner is gone: --release it, or --complete it with an answer
///
/// Shows the slot, asks, and applies the decision only if the slot still has the fence that you have
/// seen and its owner's lease is over. The slot's fence grows, so that an owner who wakes up cannot
/// write any more. Who decided what is an event of the target `idem::audit`, on stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// All its 64 hexadecimal digits, see `idem list` and `idem inspect`
    slot: Slot,

    /// The fence that you have seen when you decided
    #[arg(long, value_name = "N")]
    fence: u64,

    /// Who decides, for the audit
    #[arg(long, value_name = "NAME", env = "USER")]
    by: String,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    decision: DecisionArgs,

    /// Complete the slot with a record that is not sealed, in a store that has sealed ones
    #[arg(long, requires = "complete", conflicts_with = "keys")]
    unsealed: bool,

    #[command(flatten)]
    keys: KeysArgs,

    #[command(flatten)]
    store: StoreArgs,
}

const AFTER_HELP: &str = "\
Examples (the slot's 64 digits are abbreviated):
  idem resolve 1a2b… --fence 1 --release --by ana
  idem resolve 1a2b… --fence 1 --complete --status 201 \\
      --header 'Location: /payments/17' --body '{\"id\":17}' --by ana
  idem resolve 1a2b… --fence 1 --complete --value '\"mail-17\"' --by ana

A service that seals its records (feature `encryption`) refuses one that is not: give --complete its keys.

Outcomes:
  done          applied
  moved         the slot has another fence, has a record, or is gone: nothing was changed
  still owned   its owner's lease is alive: nothing was changed
  absent        there is no such slot
  declined      you said no

Exit codes: 0 done, 1 anything else of these, 2 usage or the store.";

/// How many records are looked at before one is written that is not sealed.
const LOOKED_AT: usize = 20;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Resolved(Resolved),
    Absent,
    Declined,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    slot: String,
    /// The one that the decision is about.
    fence: u64,
    decision: &'static str,
    by: &'a str,
    outcome: &'static str,
    /// The name of the key that the record is sealed under.
    sealed_under: Option<String>,
    /// Of one that is still owned.
    lease_left_ms: Option<u64>,
    /// The slot before the decision.
    before: Option<Seen>,
}

pub(super) async fn run(args: Args) -> Result<Done, OperateError> {
    let decision = args.decision.decide()?;
    if args.by.trim().is_empty() {
        return Err(OperateError::Nobody);
    }
    if !args.yes && !can_ask() {
        return Err(OperateError::NoTerminal);
    }
    audit::show();
    let keys = args.keys.keyring()?;
    let sealed_under = keys.as_ref().map(|keys| keys.seals_under().to_string());
    let seals = keys.is_some();
    let store = args.store.open_with(keys).await?;
    if decision.record.is_some() && !seals && !args.unsealed {
        expects_no_seal(&store).await?;
    }
    let view = store.runtime.inspect(args.slot).await;
    let view = view.map_err(|cause| store.failed(cause))?;
    let outcome = match &view {
        None => Outcome::Absent,
        Some(view) => decide(&args, &decision, &store, view).await?,
    };
    let before = view.as_ref().map(Seen::from);
    if args.json {
        let sealed_under = sealed_under.filter(|_| decision.record.is_some());
        print_json(&Document {
            sealed_under,
            ..document(&args, &decision, outcome, before)
        })?;
    } else {
        print(&said(&args, &decision, outcome, sealed_under.as_deref()))?;
    }
    Ok(match outcome {
        Outcome::Resolved(Resolved::Done) => Done::Yes,
        _ => Done::No,
    })
}

/// Sees that there is nothing sealed among the store's records, as far as one page goes.
async fn expects_no_seal(store: &Opened) -> Result<(), OperateError> {
    let page = store.runtime.list(ListQuery {
        state: Some(StateKind::Completed),
        after: None,
        limit: LOOKED_AT,
    });
    let page = page.await.map_err(|cause| store.failed(cause))?;
    for view in page.slots {
        if let SlotState::Completed { record, .. } = &view.state
            && let Err(RecordError::Sealed { key }) = Record::decode(record)
        {
            return Err(OperateError::SealedStore {
                store: store.name.clone(),
                key,
            });
        }
    }
    Ok(())
}

/// Shows it, asks, and applies it.
async fn decide(
    args: &Args,
    decision: &Decision,
    store: &Opened,
    view: &SlotView,
) -> Result<Outcome, OperateError> {
    show(args, view)?;
    if !args.yes {
        // Without a yes nothing is asked of the store, not even what it would refuse.
        if let Some(in_vain) = in_vain(view, args.fence()) {
            return Ok(Outcome::Resolved(in_vain));
        }
        if !ask(&question(decision, view))? {
            return Ok(Outcome::Declined);
        }
    }
    let resolution = decision.resolution.clone();
    let resolved = store
        .runtime
        .resolve(args.slot, args.fence(), &args.by, resolution)
        .await;
    match resolved {
        Ok(resolved) => Ok(Outcome::Resolved(resolved)),
        // One of its tries may have arrived, whatever became of the last.
        Err(cause) if cause.is_transient() => Err(OperateError::Ambiguous {
            store: store.name.clone(),
            cause,
        }),
        Err(cause) => Err(store.failed(cause)),
    }
}

impl Args {
    fn fence(&self) -> Fence {
        Fence::from_raw(self.fence)
    }
}

/// To stdout, unless that is for JSON.
fn show(args: &Args, view: &SlotView) -> Result<(), OperateError> {
    let text = card(view).render();
    match (args.json, args.yes) {
        (false, _) => print(&format!("{text}\n")),
        (true, false) => {
            eprint!("{text}");
            Ok(())
        }
        (true, true) => Ok(()),
    }
}

/// What the store would say, as far as it is seen already.
fn in_vain(view: &SlotView, fence: Fence) -> Option<Resolved> {
    match &view.state {
        _ if view.fence != fence => Some(Resolved::Moved),
        SlotState::Completed { .. } => Some(Resolved::Moved),
        SlotState::InFlight { lease_left } => Some(Resolved::StillOwned {
            lease_left: *lease_left,
        }),
        SlotState::Lapsed | SlotState::Unknown | SlotState::Released => None,
    }
}

fn question(decision: &Decision, view: &SlotView) -> String {
    let (word, consequence) = (decision.word, decision.consequence());
    let short = view.slot.short();
    match &decision.record {
        None => format!("{word} {short}? Then {consequence}."),
        Some(record) => format!("{word} {short} with {record}? Then {consequence}."),
    }
}

fn said(args: &Args, decision: &Decision, outcome: Outcome, sealed_under: Option<&str>) -> String {
    let slot = args.slot;
    match outcome {
        Outcome::Resolved(Resolved::Done) => {
            let done = match (&decision.record, sealed_under) {
                (None, _) => "it is released".to_owned(),
                (Some(record), None) => format!("it has its record, {record}"),
                (Some(record), Some(key)) => {
                    format!("it has its record, {record}, sealed under the key \"{key}\"")
                }
            };
            format!("done: {done}. From now on {}.\n", decision.consequence())
        }
        Outcome::Resolved(Resolved::Moved) => format!(
            "moved: the slot has another fence than {}, has a record, or is gone; somebody was quicker. Nothing \
             was changed. Look at it again:\n  idem inspect {slot}\n",
            args.fence
        ),
        Outcome::Resolved(Resolved::StillOwned { lease_left }) => format!(
            "still owned: its owner's lease has {} left, so it is at work. Nothing was changed. Wait: it \
             ends, or its lease does.\n",
            duration(lease_left)
        ),
        Outcome::Absent => format!(
            "absent: there is nothing under the slot {slot}, so that there is nothing to resolve: it has never \
             been claimed, or it has been deleted since.\n"
        ),
        Outcome::Declined => "declined: nothing was changed.\n".to_owned(),
    }
}

fn document<'a>(
    args: &'a Args,
    decision: &Decision,
    outcome: Outcome,
    before: Option<Seen>,
) -> Document<'a> {
    let mut lease_left_ms = None;
    let outcome = match outcome {
        Outcome::Resolved(Resolved::Done) => "done",
        Outcome::Resolved(Resolved::Moved) => "moved",
        Outcome::Resolved(Resolved::StillOwned { lease_left }) => {
            lease_left_ms = Some(milliseconds(lease_left));
            "still-owned"
        }
        Outcome::Absent => "absent",
        Outcome::Declined => "declined",
    };
    Document {
        slot: args.slot.to_string(),
        fence: args.fence,
        decision: decision.word,
        by: &args.by,
        outcome,
        sealed_under: None,
        lease_left_ms,
        before,
    }
}
