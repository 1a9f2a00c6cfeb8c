//! What can go wrong: while a store is set up, and at each verb.

use std::{error::Error as StdError, time::Duration};

use idem_core::{Slot, StoreError};
use redis::{RedisError, ServerError, ServerErrorKind};

use crate::{LayoutError, connect::CallError};

/// Why a store was not set up. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The URL says nothing that can be connected to.
    #[error("`{url}` does not say where a Redis is: {reason}")]
    Url {
        /// The URL, without its password.
        url: String,
        /// What is wrong with it, and how it should look.
        reason: String,
    },
    /// The URL asks for TLS, which is not compiled in.
    #[error(
        "`{url}` asks for TLS, which this build does not have: enable the feature `redis-tls` of idem-axum (`tls` of idem-redis)"
    )]
    NoTls {
        /// The URL, without its password.
        url: String,
    },
    /// The namespace cannot stand in a key.
    #[error(
        "the namespace `{namespace}` cannot stand in a key: use 1 to 64 letters, digits, dots, dashes, underscores and colons"
    )]
    Namespace {
        /// What was given.
        namespace: String,
    },
    /// A cluster was given a database.
    #[error(
        "database {database} was asked for, and a cluster has only database 0: separate services by their namespace"
    )]
    DatabaseOfCluster {
        /// What was given.
        database: i64,
    },
    /// Waiting for replicas would outlast the verb that waits.
    #[error(
        "min_replicas may wait for {timeout:?}, and a verb ends after {command_timeout:?}: give it less, or command_timeout more"
    )]
    ReplicasTooSlow {
        /// How long replicas may take.
        timeout: Duration,
        /// How long a verb may take.
        command_timeout: Duration,
    },
    /// No server could be reached.
    #[error(
        "no Redis answers at {server}: {cause}; check the address, the credentials and that it runs"
    )]
    Unreachable {
        /// Which one.
        server: String,
        /// What happened.
        #[source]
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// The server is too old.
    #[error(
        "{server} runs Redis {version}, and idem needs 6.2 or newer (or any Valkey): upgrade it"
    )]
    TooOld {
        /// Which one.
        server: String,
        /// What it runs.
        version: String,
    },
    /// The server is a replica.
    #[error(
        "{server} is a replica of {master}, and a replica takes no writes: give the address of the master, or the sentinels' (redis-sentinel://…)"
    )]
    Replica {
        /// Which one.
        server: String,
        /// Its master, `HOST:PORT`.
        master: String,
    },
    /// The server is not what the URL says.
    #[error("{server} is {is}, and the URL says {expected}: write {instead}")]
    Mode {
        /// Which one.
        server: String,
        /// What it is.
        is: &'static str,
        /// What it should be.
        expected: &'static str,
        /// How the URL should begin.
        instead: &'static str,
    },
    /// The server drops records when its memory is full.
    #[error(
        "{server} drops records when its memory is full (maxmemory {maxmemory}, maxmemory-policy {policy}), and a dropped record is an effect that happens twice: set maxmemory-policy to noeviction, use a Redis of its own, or accept it with allow_eviction()"
    )]
    Evicts {
        /// Which one.
        server: String,
        /// Its policy.
        policy: String,
        /// Its limit, in bytes.
        maxmemory: u64,
    },
    /// The user may not do what idem needs.
    #[error(
        "{server} denies {command} ({reply}): let the user run +eval +evalsha +get +getrange +set +pexpire +pttl +scan +info +wait +role +asking +cluster|slots on the keys ~{namespace}:*"
    )]
    Denied {
        /// Which one.
        server: String,
        /// What it denies.
        command: String,
        /// What it said.
        reply: String,
        /// The store's namespace.
        namespace: String,
    },
    /// The server answers something that no Redis does.
    #[error("{server} answered {what}: is it a Redis?")]
    Strange {
        /// Which one.
        server: String,
        /// What it answered.
        what: String,
    },
    /// The given certificates cannot be used.
    #[error("the certificates cannot be used: {reason}")]
    Certificates {
        /// What is wrong with them.
        reason: String,
    },
}

/// The causes of [`StoreError`]s that are not the client library's own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("no connection to {server} was there within {deadline:?}")]
    NotConnected { server: String, deadline: Duration },
    #[error("{server} is not ready: {reply}")]
    NotReady { server: String, reply: String },
    #[error("no node of the cluster is known to keep the slot")]
    NobodyKeepsIt,
    #[error("the nodes of the cluster sent us in a circle")]
    Circle,
    #[error("{server}: {error}")]
    Connection { server: String, error: RedisError },
    #[error("only {reached} of {wanted} replicas have the write")]
    NotReplicated { reached: u32, wanted: u32 },
    #[error("{server} answered what no version of idem's scripts does: {what}")]
    Strange { server: String, what: String },
}

pub(crate) fn not_applied(trouble: Trouble) -> StoreError {
    StoreError::Unreachable(Box::new(trouble))
}

pub(crate) fn maybe_applied(trouble: Trouble) -> StoreError {
    StoreError::Interrupted(Box::new(trouble))
}

pub(crate) fn corrupt(slot: Slot, error: LayoutError) -> StoreError {
    StoreError::Corrupt {
        slot,
        cause: Box::new(error),
    }
}

/// What a call that failed means for the verb. Redirections and `NOSCRIPT` are
/// dealt with before.
pub(crate) fn failed(server: &str, error: CallError) -> StoreError {
    let server = server.to_owned();
    match error {
        CallError::NotConnected(error) if is_refusal(&error) => StoreError::Refused {
            reason: format!("{server} does not let us in: {error}; check user and password"),
        },
        CallError::NotConnected(error) => not_applied(Trouble::Connection { server, error }),
        CallError::Broken(error) => maybe_applied(Trouble::Connection { server, error }),
        CallError::Server(error) => refused(server, &error),
    }
}

fn is_refusal(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
}

/// A server that says no has done nothing: each script ends with its one write.
fn refused(server: String, error: &ServerError) -> StoreError {
    let reply = printable(&format!(
        "{} {}",
        error.code(),
        error.details().unwrap_or_default()
    ));
    let ready_later = [
        "LOADING",
        "BUSY",
        "READONLY",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "TRYAGAIN",
        "NOREPLICAS",
    ];
    if ready_later.iter().any(|word| says(error, word)) {
        return not_applied(Trouble::NotReady { server, reply });
    }
    let denied = ["user executing the script", "ACL failure in script"];
    let reason = if says(error, "OOM") {
        format!("{server} is out of memory ({reply}): raise maxmemory, or shorten ttl and grace")
    } else if says(error, "NOPERM") || denied.iter().any(|denied| reply.contains(denied)) {
        format!("{server} denies it ({reply}): widen the ACL of the user")
    } else if says(error, "MISCONF") {
        format!(
            "{server} takes no writes because it cannot persist them ({reply}): look at its disk and its log"
        )
    } else if says(error, "MOVED") || says(error, "ASK") {
        format!("{server} is a node of a cluster ({reply}): write redis-cluster://…")
    } else {
        format!("{server} answered {reply}")
    };
    StoreError::Refused { reason }
}

/// What a server says goes into logs: nothing in it moves their cursor, and it has an end.
pub(crate) fn printable(reply: &str) -> String {
    let letters = reply.chars().take(300);
    letters
        .map(|letter| {
            if letter.is_control() {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect()
}

/// Whether an error is of this kind. Before Redis 7 an error inside a script is
/// an `ERR` with the reply's own word somewhere in its text.
fn says(error: &ServerError, word: &str) -> bool {
    let mut words = error
        .details()
        .unwrap_or_default()
        .split(|letter: char| !letter.is_ascii_uppercase());
    error.code() == word || words.any(|said| said == word)
}

/// Whether a key holds something that is no string.
pub(crate) fn is_wrong_type(error: &ServerError) -> bool {
    says(error, "WRONGTYPE")
}

/// Whether the server takes no writes because it is none's master, or not any more.
pub(crate) fn is_not_master(error: &ServerError) -> bool {
    says(error, "READONLY")
}

/// Whether the server does not know the script by its hash.
pub(crate) fn is_no_script(error: &ServerError) -> bool {
    error.kind() == Some(ServerErrorKind::NoScript)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use redis::Value;

    use super::*;

    fn server(line: &str) -> ServerError {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap() {
            Value::ServerError(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_word_is_found_as_the_code_and_within_what_older_servers_say_of_a_script() {
        for line in [
            "READONLY You can't write against a read only replica.",
            "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write.",
        ] {
            assert!(is_not_master(&server(line)), "{line}");
            assert!(!is_wrong_type(&server(line)), "{line}");
        }
        for line in [
            "ERR readonly",
            "ERR NOTREADONLY",
            "WRONGTYPE Operation",
            "ERR",
        ] {
            assert!(!is_not_master(&server(line)), "{line}");
        }
        assert!(is_wrong_type(&server("WRONGTYPE Operation against a key")));
    }

    #[test]
    fn a_node_of_a_cluster_says_how_to_write_that_it_is_one() {
        for line in ["MOVED 3999 127.0.0.1:6381", "ASK 3999 127.0.0.1:6381"] {
            let told = failed("redis:6379", CallError::Server(server(line)));
            assert!(
                told.to_string().contains("write redis-cluster://"),
                "{told}"
            );
            assert!(!told.is_transient(), "{told}");
        }
    }

    #[test]
    fn who_is_not_let_in_is_not_asked_to_try_again() {
        let refused = [
            RedisError::from((redis::ErrorKind::AuthenticationFailed, "no")),
            RedisError::from(server("NOAUTH Authentication required.")),
            RedisError::from(server("WRONGPASS invalid username-password pair")),
            RedisError::from(server("NOPERM this user has no permissions")),
        ];
        for error in refused {
            let told = failed("redis:6379", CallError::NotConnected(error));
            assert!(!told.is_transient(), "{told}");
            assert!(
                told.to_string().contains("check user and password"),
                "{told}"
            );
        }
        let unreachable = RedisError::from((redis::ErrorKind::Io, "connection refused"));
        let told = failed("redis:6379", CallError::NotConnected(unreachable));
        assert!(told.is_transient() && !told.is_ambiguous(), "{told}");
    }
}
