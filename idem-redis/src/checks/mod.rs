//! Whether a server can be trusted with records: asked once at the start, and its health later.

mod hazard;
mod kind;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use idem_core::StoreError;
use redis::{FromRedisValue, Pipeline, RedisError, Value};

pub use self::hazard::Hazard;
pub(crate) use self::kind::{Expected, Needs};
use self::kind::{Info, check_keeping, check_kind};
use crate::{
    SetupError,
    commands::Commands,
    connect::{Acknowledged, CallError, Master},
    error::{Trouble, is_no_script, not_applied, printable},
    scripts::{By, PROBE},
};

/// Connects to every master and looks at it.
pub(crate) async fn setup(
    commands: &Commands,
    patience: Duration,
    expected: Expected,
    needs: &Needs,
) -> Result<Vec<Hazard>, SetupError> {
    let masters = first_masters(commands).await?;
    let mut hazards = Vec::new();
    for master in masters {
        let looking = look_at(commands, &master, expected, needs, &mut hazards);
        // Sentinels may take four steps to connect, then there are three questions.
        let patience = 7 * patience;
        match tokio::time::timeout(patience, looking).await {
            Ok(looked) => looked?,
            Err(_) => {
                return Err(SetupError::Unreachable {
                    server: master.name.clone(),
                    cause: format!("no answer within {patience:?}").into(),
                });
            }
        }
    }
    Ok(hazards)
}

async fn first_masters(commands: &Commands) -> Result<Vec<Arc<Master>>, SetupError> {
    commands.topology.look().await.map_err(|error| {
        if error.code() == Some("ERR") {
            return SetupError::Mode {
                server: "the first node of the URL".to_owned(),
                is: "no node of a cluster",
                expected: Expected::Cluster.name(),
                instead: "redis://",
            };
        }
        SetupError::Unreachable {
            server: "any node of the cluster".to_owned(),
            cause: error.into(),
        }
    })?;
    Ok(commands.topology.masters().await)
}

async fn look_at(
    commands: &Commands,
    master: &Arc<Master>,
    expected: Expected,
    needs: &Needs,
    hazards: &mut Vec<Hazard>,
) -> Result<(), SetupError> {
    let server = master.name.clone();
    match info(master).await? {
        Ok(info) => {
            check_kind(&server, &info, expected)?;
            check_keeping(&server, &info, needs, hazards)?;
        }
        Err(reply) => hazards.push(Hazard::Unknown {
            server: server.clone(),
            reply,
        }),
    }
    match probe(commands, master).await {
        Ok(Probe::Allowed { .. }) => Ok(()),
        Ok(Probe::Denied { command, reply }) => Err(SetupError::Denied {
            server,
            command,
            reply,
            namespace: needs.namespace.clone(),
        }),
        Err(error) => Err(unreachable(master, error)),
    }
}

/// Whether every master takes claims now.
pub(crate) async fn health(commands: &Commands) -> Result<(), StoreError> {
    let masters = commands.topology.masters().await;
    if masters.is_empty() {
        return Err(not_applied(Trouble::NobodyKeepsIt));
    }
    for master in &masters {
        let probing = probe(commands, master);
        let Ok(probed) = tokio::time::timeout(commands.deadline, probing).await else {
            return Err(StoreError::TimedOut(commands.deadline));
        };
        match probed.map_err(|error| commands.failed(master, error))? {
            Probe::Allowed { acknowledged } if acknowledged.is_enough() => {}
            Probe::Allowed { acknowledged } => {
                return Err(StoreError::Underreplicated {
                    wanted: acknowledged.wanted,
                    reached: acknowledged.reached,
                });
            }
            Probe::Denied { command, reply } => {
                let server = &master.name;
                return Err(StoreError::Refused {
                    reason: format!(
                        "{server} denies {command} ({reply}): widen the ACL of the user"
                    ),
                });
            }
        }
    }
    Ok(())
}

/// What a server says of itself, or why it does not.
async fn info(master: &Master) -> Result<Result<Info, String>, SetupError> {
    let mut questions = Pipeline::new();
    questions.cmd("INFO");
    let settings = ["save", "appendfsync"];
    for setting in settings {
        questions.cmd("CONFIG").arg("GET").arg(setting);
    }
    let answers = master.pool.call_all(&questions).await;
    let answers = answers.map_err(|error| unreachable(master, error))?;
    let mut answers = answers.into_iter();
    let text = match answers.next().unwrap_or(Value::Nil) {
        Value::ServerError(error) => return Ok(Err(error.to_string())),
        answer => String::from_redis_value(answer).map_err(|error| SetupError::Strange {
            server: master.name.clone(),
            what: error.to_string(),
        })?,
    };
    // Where CONFIG is denied, as by many who run Redis for others, nothing is told.
    let config = answers
        .filter_map(|answer| Vec::<String>::from_redis_value(answer).ok())
        .filter_map(|pair| pair.try_into().ok())
        .map(|[name, value]: [String; 2]| (name, value))
        .collect();
    Ok(Ok(Info::read(&text, config)))
}

enum Probe {
    Allowed { acknowledged: Acknowledged },
    Denied { command: String, reply: String },
}

/// Writes and reads a key of its own, as the verbs do.
async fn probe(commands: &Commands, master: &Arc<Master>) -> Result<Probe, CallError> {
    let prefix = format!("{}probe", commands.prefix);
    let Some(key) = commands.topology.key_on(master, &prefix).await else {
        // It keeps no hash slot any more.
        let acknowledged = Acknowledged::enough();
        return Ok(Probe::Allowed { acknowledged });
    };
    let ask = async |by| {
        let command = PROBE.call(by, &key, None, 0, 0);
        master
            .pool
            .write(0, command, false, &AtomicBool::default())
            .await
    };
    let mut answer = ask(By::Hash).await;
    if let Err(CallError::Server(error)) = &answer
        && is_no_script(error)
    {
        answer = ask(By::Text).await;
    }
    let (answer, acknowledged) = match answer {
        Err(CallError::Server(error)) if error.code() == "NOPERM" => {
            return Ok(Probe::Denied {
                command: "a script".to_owned(),
                reply: error.details().unwrap_or_default().to_owned(),
            });
        }
        answer => answer?,
    };
    if matches!(&answer, Value::Array(denied) if denied.is_empty()) {
        return Ok(Probe::Allowed { acknowledged });
    }
    let what = format!("{answer:.100?}");
    match &Vec::<String>::from_redis_value(answer).unwrap_or_default()[..] {
        [command, reply, ..] => Ok(Probe::Denied {
            command: printable(command),
            reply: printable(reply),
        }),
        // Who answers something else has not done what was asked, and is not well.
        _ => Err(CallError::Broken(RedisError::from((
            redis::ErrorKind::UnexpectedReturnType,
            "no script of idem's answers so",
            what,
        )))),
    }
}

fn unreachable(master: &Master, error: CallError) -> SetupError {
    let server = master.name.clone();
    let cause = match error {
        CallError::NotConnected(error) | CallError::Broken(error) => error.into(),
        CallError::Server(error) => error.into(),
    };
    SetupError::Unreachable { server, cause }
}
