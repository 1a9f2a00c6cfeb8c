//! Whether a server can be trusted with records: asked once at the start, and its health later.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use idem_core::StoreError;
use redis::{FromRedisValue, Pipeline, Value};

use crate::{
    SetupError,
    commands::Commands,
    connect::{Acknowledged, Address, CallError, Master},
    error::{Trouble, is_no_script, not_applied},
    scripts::{By, PROBE},
};

/// The oldest version that has what the scripts use (`SET … KEEPTTL`; 6.0 is out of support).
const OLDEST: (u64, u64) = (6, 2);

/// Something at a server that may lose records. The store works all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hazard {
    /// It drops records when its memory is full, which was accepted, or would
    /// if it had a limit.
    Evicts {
        /// Which server.
        server: String,
        /// Its policy.
        policy: String,
    },
    /// It keeps nothing over a restart.
    NothingPersisted {
        /// Which server.
        server: String,
    },
    /// It has fewer replicas than every write is to wait for.
    TooFewReplicas {
        /// Which server.
        server: String,
        /// How many there should be.
        wanted: u32,
        /// How many there are.
        connected: u64,
    },
    /// It does not say what it is: `INFO` is denied.
    Unknown {
        /// Which server.
        server: String,
        /// What it said instead.
        reply: String,
    },
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evicts { server, policy } => write!(
                f,
                "{server} may drop records when its memory is full (maxmemory-policy {policy}), and a dropped record is an effect that happens twice: set maxmemory-policy to noeviction"
            ),
            Self::NothingPersisted { server } => write!(
                f,
                "{server} keeps nothing over a restart, and a lost record is an effect that happens twice: set appendonly to yes"
            ),
            Self::TooFewReplicas {
                server,
                wanted,
                connected,
            } => write!(
                f,
                "{server} has {connected} replicas and each write is to wait for {wanted}: until there are more, every claim is refused"
            ),
            Self::Unknown { server, reply } => write!(
                f,
                "{server} does not say whether it keeps what it is told ({reply}): allow INFO to have it checked"
            ),
        }
    }
}

/// What the store asks of its servers.
#[derive(Debug, Clone)]
pub(crate) struct Needs {
    pub(crate) namespace: String,
    pub(crate) replicas: u32,
    pub(crate) allow_eviction: bool,
}

/// What the URL says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Single,
    Sentinel,
    Cluster,
}

impl Expected {
    pub(crate) const fn of(address: &Address) -> Self {
        match address {
            Address::Single(_) => Self::Single,
            Address::Sentinel { .. } => Self::Sentinel,
            Address::Cluster(_) => Self::Cluster,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Single => "a single server",
            Self::Sentinel => "sentinels",
            Self::Cluster => "a cluster",
        }
    }
}

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
        // Connecting, then three questions.
        match tokio::time::timeout(4 * patience, looking).await {
            Ok(looked) => looked?,
            Err(_) => {
                return Err(SetupError::Unreachable {
                    server: master.name.clone(),
                    cause: format!("no answer within {:?}", 4 * patience).into(),
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

fn check_kind(server: &str, info: &Info, expected: Expected) -> Result<(), SetupError> {
    let server = server.to_owned();
    let mode = |is, instead| {
        Err(SetupError::Mode {
            server: server.clone(),
            is,
            expected: expected.name(),
            instead,
        })
    };
    match (info.text("redis_mode"), expected) {
        ("cluster", Expected::Single | Expected::Sentinel) => {
            return mode("a node of a cluster", "redis-cluster://");
        }
        ("sentinel", _) => return mode("a sentinel", "redis-sentinel://HOST:PORT/MASTER-NAME"),
        ("standalone", Expected::Cluster) => return mode("no node of a cluster", "redis://"),
        _ => {}
    }
    // Valkey says for compatibility that it is Redis 7.2, and has all it needs.
    let is_valkey = info.text("server_name") == "valkey" || !info.text("valkey_version").is_empty();
    let version = info.text("redis_version");
    if !is_valkey && older(version) {
        return Err(SetupError::TooOld {
            server,
            version: version.to_owned(),
        });
    }
    if info.text("role") == "slave" {
        return Err(SetupError::Replica {
            server,
            master: format!("{}:{}", info.text("master_host"), info.text("master_port")),
        });
    }
    tracing::debug!(
        server,
        version = if is_valkey {
            info.text("valkey_version")
        } else {
            version
        },
        software = if is_valkey { "Valkey" } else { "Redis" },
        "connected"
    );
    Ok(())
}

fn check_keeping(
    server: &str,
    info: &Info,
    needs: &Needs,
    hazards: &mut Vec<Hazard>,
) -> Result<(), SetupError> {
    let server = server.to_owned();
    let policy = info.text("maxmemory_policy").to_owned();
    let maxmemory = info.number("maxmemory");
    if !matches!(policy.as_str(), "noeviction" | "") {
        if maxmemory > 0 && !needs.allow_eviction {
            return Err(SetupError::Evicts {
                server,
                policy,
                maxmemory,
            });
        }
        let server = server.clone();
        hazards.push(Hazard::Evicts { server, policy });
    }
    let persisted = info.number("aof_enabled") == 1 || info.saves;
    if !persisted {
        let server = server.clone();
        hazards.push(Hazard::NothingPersisted { server });
    }
    let connected = info.number("connected_slaves");
    if connected < u64::from(needs.replicas) {
        hazards.push(Hazard::TooFewReplicas {
            server,
            wanted: needs.replicas,
            connected,
        });
    }
    Ok(())
}

fn older(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < OLDEST,
        // What cannot be read is not known to be old.
        _ => false,
    }
}

struct Info {
    fields: HashMap<String, String>,
    /// Whether snapshots are taken; when that is not told, they may be.
    saves: bool,
}

impl Info {
    fn text(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    fn number(&self, field: &str) -> u64 {
        self.text(field).parse().unwrap_or(0)
    }
}

/// What a server says of itself, or why it does not.
async fn info(master: &Master) -> Result<Result<Info, String>, SetupError> {
    let mut questions = Pipeline::new();
    questions.cmd("INFO");
    questions.cmd("CONFIG").arg("GET").arg("save");
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
    let config: Option<Vec<String>> = answers
        .next()
        .and_then(|answer| FromRedisValue::from_redis_value(answer).ok());
    let saves = config.is_none_or(|config| config.get(1).is_none_or(|save| !save.is_empty()));
    let fields = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(field, value)| (field.to_owned(), value.trim_end().to_owned()))
        .collect();
    Ok(Ok(Info { fields, saves }))
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
    let mut answer = master
        .pool
        .write(0, PROBE.call(By::Hash, &key, 0, 0), false)
        .await;
    if let Err(CallError::Server(error)) = &answer
        && is_no_script(error)
    {
        answer = master
            .pool
            .write(0, PROBE.call(By::Text, &key, 0, 0), false)
            .await;
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
    let denied = Vec::<String>::from_redis_value(answer).unwrap_or_default();
    match &denied[..] {
        [command, reply, ..] => Ok(Probe::Denied {
            command: command.clone(),
            reply: reply.clone(),
        }),
        _ => Ok(Probe::Allowed { acknowledged }),
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
