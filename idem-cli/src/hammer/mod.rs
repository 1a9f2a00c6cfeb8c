//! `idem hammer URL`: breaks a service of the user's own on purpose, and says which promises it keeps.
//!
//! | station | file |
//! | --- | --- |
//! | the command line | `args.rs` |
//! | the guard: this machine only, unless the user says that the service is theirs | `target.rs` |
//! | the request that is sent again and again, and another payload for it | `template.rs`, `change.rs` |
//! | the bounds | `budget.rs` |
//! | connections: duplicates in one instant, clients that leave, slow ones | `client.rs` |
//! | what came back, and what it means | `answer.rs` |
//! | the real effects | `effects.rs` |
//! | one request first | `probe.rs` |
//! | what every rule sends by | `session.rs` |
//! | the rules, one file each | `rules/` |
//! | what is found, and what shows it | `verdict.rs` |
//! | for people, and as JSON | `report.rs` |

mod answer;
mod args;
mod budget;
mod change;
mod client;
mod effects;
mod error;
mod probe;
mod progress;
mod report;
mod rules;
mod session;
mod target;
mod template;
mod verdict;

use std::{process::ExitCode, sync::Arc};

pub(crate) use args::Args;
pub(crate) use error::HammerError;

use answer::Comparison;
use budget::Budget;
use client::Client;
use progress::Progress;
use report::Report;
use session::{Counter, Session};
use target::Target;
use template::Template;

/// Tries every rule, and prints what was found.
///
/// # Errors
/// Nothing was tested; the error says why and what to do.
pub(crate) async fn run(args: Args) -> Result<ExitCode, HammerError> {
    let mut session = prepare(&args).await?;
    probe::probe(&mut session).await?;
    let findings = rules::try_all(&mut session, &args.skip).await;
    session.progress.clear();
    let report = Report::new(&args, &session, findings);
    report.print(args.json).map_err(HammerError::Output)?;
    Ok(report.exit_code())
}

/// Everything up to the first request. Both targets pass the guard before either is connected to.
async fn prepare(args: &Args) -> Result<Session, HammerError> {
    let budget = Arc::new(Budget::new(args.max_requests, args.max_time.into()));
    let target = Target::resolve(&args.url, args.i_own_this_service).await?;
    let template = Template::new(args, &target)?;
    let client = |target| Client::new(target, args.timeout(), Arc::clone(&budget));
    let effects = match &args.effects_url {
        None => None,
        Some(url) => Some(Counter {
            client: client(Target::resolve(url, args.i_own_this_service).await?)?,
            pointer: args.effects_pointer.clone(),
            mark: None,
        }),
    };
    Ok(Session {
        client: client(target)?,
        template,
        comparison: Comparison {
            ignored: args.ignored_headers.clone(),
        },
        progress: Progress::new(!args.no_progress, rules::steps(args.rounds)),
        duplicates: args.duplicates,
        rounds: args.rounds,
        patience: args.timeout(),
        effects,
        run: rand::random(),
        keys: 0,
        probe: None,
        budget,
    })
}
