//! `idem inspect`: one slot.

use idem_core::{Fence, Inspected, Slot, SlotState};
use serde::Serialize;
use serde_json::json;

use super::{
    Done, OperateError,
    answer::Answer,
    keys::KeysArgs,
    output::{count, print, print_json},
    store::StoreArgs,
    view::{Sealed, Seen, card, is_resolvable, sealed},
    which::{Found, WhichArgs},
};

/// Look at one slot: what it is doing, and until when it is kept
///
/// Give its digits, or the operation, scope and key that it is of. Nothing is changed, and nothing of
/// a recorded answer is printed unless you ask for it: it may be somebody's data.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Print the recorded answer too: status, headers, body
    #[arg(long)]
    show_answer: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    which: WhichArgs,

    #[command(flatten)]
    keys: KeysArgs,

    #[command(flatten)]
    store: StoreArgs,
}

const AFTER_HELP: &str = "\
Examples:
  idem inspect 1a2b3c4d
  idem inspect --operation 'POST /payments' --scope user=ana --key 8e03978e

Exit codes: 0 shown, 1 there is no such slot (or several begin so), 2 usage or the store.";

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    seen: Seen,
    #[serde(flatten)]
    seal: Sealed,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a Answer>,
}

pub(super) async fn run(args: Args) -> Result<Done, OperateError> {
    let digits = args.which.digits()?;
    let store = args.store.open_with(args.keys.keyring()?).await?;
    match digits.find(&store).await? {
        Found::One(seen) => show(&args, &seen).map(|()| Done::Yes),
        Found::Absent(slot) => say_absent(&args, slot).map(|()| Done::No),
        Found::Several {
            digits,
            number,
            some,
        } => say_several(&args, &digits, number, &some).map(|()| Done::No),
    }
}

fn show(args: &Args, Inspected { view, seal }: &Inspected) -> Result<(), OperateError> {
    let answer = match &view.state {
        SlotState::Completed { record, .. } if args.show_answer => Some(Answer::read(record)),
        _ => None,
    };
    if args.json {
        return print_json(&Document {
            seen: Seen::from(view),
            seal: Sealed::from(seal),
            answer: answer.as_ref(),
        });
    }
    let mut facts = card(view);
    if let Some(text) = sealed(seal) {
        facts.fact("sealed", text);
    }
    let mut text = facts.render();
    if let Some(answer) = answer {
        text = format!("{text}\n{}", answer.render());
    } else if matches!(view.state, SlotState::Completed { .. }) {
        text += "\n--show-answer prints the record.\n";
    }
    if is_resolvable(&view.state) {
        text += &how_to_resolve(view.slot, view.fence);
    }
    print(&text)
}

fn how_to_resolve(slot: Slot, fence: Fence) -> String {
    format!(
        "\nIf you know that the effect did not happen, so that a retry may run:\n  \
         idem resolve {slot} --fence {fence} --release\n\
         If it happened, with the answer that retries get:\n  \
         idem resolve {slot} --fence {fence} --complete --status 201 --body …\n"
    )
}

fn say_absent(args: &Args, slot: Slot) -> Result<(), OperateError> {
    if args.json {
        return print_json(&json!({ "slot": slot.to_string(), "state": "absent" }));
    }
    let mut text = format!("absent: there is nothing under the slot {slot}.\n");
    text += if args.which.is_by_key() {
        "No request with this key has claimed it, or it has been deleted since; or the operation, scope, \
         key, namespace or secret is not quite the service's.\n"
    } else {
        "It has never been claimed, or it has been deleted since.\n"
    };
    print(&text)
}

fn say_several(
    args: &Args,
    digits: &str,
    number: usize,
    some: &[Slot],
) -> Result<(), OperateError> {
    let some: Vec<String> = some.iter().map(Slot::to_string).collect();
    if args.json {
        let state = if number == 0 { "absent" } else { "ambiguous" };
        return print_json(&json!({
            "digits": digits, "state": state, "slots": number, "candidates": some,
        }));
    }
    if number == 0 {
        return print(&format!("absent: no slot begins with {digits}.\n"));
    }
    let mut text = format!(
        "{} begin with {digits}; give more digits:\n",
        count(number as u64, "slot")
    );
    for slot in &some {
        text += &format!("  {slot}\n");
    }
    if number > some.len() {
        text += &format!("  … and {} more\n", number - some.len());
    }
    print(&text)
}
