//! One verb as one call: at the right server, by hash or by text, within a deadline.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use idem_core::{ScopeTag, Slot, StoreError};
use redis::{Cmd, ServerErrorKind, Value};

use crate::{
    connect::{Acknowledged, CallError, Master, Topology},
    error::{self, Trouble, corrupt, maybe_applied, not_applied},
    layout::{LayoutError, hex},
    scripts::{By, Script},
};

/// How often one verb follows a redirection before it gives up.
const MOST_HOPS: usize = 5;

/// Sends the scripts of a store.
#[derive(Debug)]
pub(crate) struct Commands {
    pub(crate) topology: Topology,
    /// `<namespace>:`
    pub(crate) prefix: String,
    pub(crate) deadline: Duration,
}

/// When a call is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// As soon as the master answers.
    Here,
    /// When the replicas that the store waits for have what it wrote.
    Replicated,
}

/// A reply, and how many replicas have what was written before it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) acknowledged: Acknowledged,
    pub(crate) master: Arc<Master>,
}

/// What a script answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// `1`: what was asked for, as nearly always.
    Done,
    /// What else there is to say.
    Words(Vec<Value>),
}

/// One call of a script, before it is known where it goes.
pub(crate) struct Call<'a> {
    pub(crate) script: &'static Script,
    pub(crate) done: Done,
    /// Another slot that the script looks at, on the same server.
    pub(crate) another: Option<Slot>,
    pub(crate) arguments: &'a [&'a [u8]],
}

impl Commands {
    /// Calls a script on a slot.
    pub(crate) async fn call(&self, slot: &Slot, call: Call<'_>) -> Result<Reply, StoreError> {
        let key_of = |slot: &Slot| self.prefix.clone() + &hex(slot.as_bytes());
        let (key, another) = (key_of(slot), call.another.as_ref().map(key_of));
        let keys = (key.as_str(), another.as_deref());
        let hint = usize::from(slot.as_bytes()[0]);
        self.call_at(Some(slot), keys, hint, call).await
    }

    /// Calls a script on the meter of a scope.
    pub(crate) async fn call_meter(
        &self,
        tag: &ScopeTag,
        call: Call<'_>,
    ) -> Result<Reply, StoreError> {
        // No slot's key, which is longer and has nothing but digits.
        let key = format!("{}spent:{}", self.prefix, hex(tag.as_bytes()));
        let hint = usize::from(tag.as_bytes()[0]);
        self.call_at(None, (&key, None), hint, call).await
    }

    async fn call_at(
        &self,
        slot: Option<&Slot>,
        keys: (&str, Option<&str>),
        hint: usize,
        call: Call<'_>,
    ) -> Result<Reply, StoreError> {
        let sent = AtomicBool::new(false);
        let calling = self.follow(slot, keys, hint, &call, &sent);
        match tokio::time::timeout(self.deadline, calling).await {
            Ok(answer) => answer,
            Err(_) if sent.load(Relaxed) => Err(StoreError::TimedOut(self.deadline)),
            Err(_) => Err(not_applied(Trouble::NotConnected {
                server: "Redis".to_owned(),
                deadline: self.deadline,
            })),
        }
    }

    /// Goes where the servers send it. A server that redirects, or does not know
    /// the script, has done nothing, so nothing is ever applied twice by this.
    async fn follow(
        &self,
        slot: Option<&Slot>,
        (key, another): (&str, Option<&str>),
        hint: usize,
        call: &Call<'_>,
        sent: &AtomicBool,
    ) -> Result<Reply, StoreError> {
        let mut by = By::Hash;
        let mut asking = false;
        let nobody = || not_applied(Trouble::NobodyKeepsIt);
        let mut master = self.topology.master_of(key).await.ok_or_else(nobody)?;
        for _ in 0..MOST_HOPS {
            let command = call.command(by, key, another);
            let answer = match call.done {
                Done::Replicated => master.pool.write(hint, command, asking, sent).await,
                Done::Here => {
                    let answer = master.pool.call(hint, &command, asking, sent).await;
                    answer.map(|value| (value, Acknowledged::enough()))
                }
            };
            let error = match answer {
                Ok((value, acknowledged)) => {
                    if !acknowledged.is_enough() {
                        self.topology.doubt(&master);
                    }
                    return reply(master, value, acknowledged);
                }
                Err(CallError::Server(error)) => error,
                Err(error) => return Err(self.failed(&master, error)),
            };
            sent.store(false, Relaxed);
            if error::is_no_script(&error) {
                by = By::Text;
                continue;
            }
            if let Some(slot) = slot
                && error::is_wrong_type(&error)
            {
                return Err(corrupt(*slot, LayoutError::WrongType));
            }
            let moved = error.kind() == Some(ServerErrorKind::Moved);
            if moved || error.kind() == Some(ServerErrorKind::Ask) {
                // `MOVED 3999 127.0.0.1:6381`
                let to = error
                    .details()
                    .and_then(|details| details.rsplit(' ').next());
                let to = to.and_then(|to| self.topology.redirected(&master, to, moved));
                if let Some(to) = to {
                    (master, asking) = (to, !moved);
                    continue;
                }
            }
            return Err(self.failed(&master, CallError::Server(error)));
        }
        Err(not_applied(Trouble::Circle))
    }

    pub(crate) fn failed(&self, master: &Arc<Master>, error: CallError) -> StoreError {
        let lost = match &error {
            CallError::NotConnected(_) | CallError::Broken(_) => true,
            CallError::Server(error) => error::is_not_master(error),
        };
        if lost {
            self.topology.doubt(master);
        }
        error::failed(&master.name, error)
    }
}

impl Call<'_> {
    fn command(&self, by: By, key: &str, another: Option<&str>) -> Cmd {
        let bytes = self.arguments.iter().map(|argument| argument.len()).sum();
        let mut command = self
            .script
            .call(by, key, another, self.arguments.len(), bytes);
        for argument in self.arguments {
            command.arg(*argument);
        }
        command
    }
}

pub(crate) fn reply(
    master: Arc<Master>,
    value: Value,
    acknowledged: Acknowledged,
) -> Result<Reply, StoreError> {
    let answer = match value {
        Value::Int(1) => Answer::Done,
        Value::Array(words) if !words.is_empty() => Answer::Words(words),
        other => {
            let (server, what) = (master.name.clone(), format!("{other:.100?}"));
            return Err(maybe_applied(Trouble::Strange { server, what }));
        }
    };
    Ok(Reply {
        answer,
        acknowledged,
        master,
    })
}
