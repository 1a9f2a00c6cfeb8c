//! What a server says of itself, and whether that will do.

use std::collections::HashMap;

use super::Hazard;
use crate::{SetupError, connect::Address};

/// The oldest version that has what the scripts use (`SET … KEEPTTL`; 6.0 is out of support).
const OLDEST: (u64, u64) = (6, 2);

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

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Single => "a single server",
            Self::Sentinel => "sentinels",
            Self::Cluster => "a cluster",
        }
    }
}

pub(super) struct Info {
    fields: HashMap<String, String>,
    /// What `CONFIG` says; empty when it says nothing.
    config: HashMap<String, String>,
}

impl Info {
    pub(super) fn read(text: &str, config: HashMap<String, String>) -> Self {
        let fields = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(field, value)| (field.to_owned(), value.trim_end().to_owned()))
            .collect();
        Self { fields, config }
    }

    fn config(&self, name: &str) -> Option<&str> {
        self.config.get(name).map(String::as_str)
    }

    fn text(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    fn number(&self, field: &str) -> u64 {
        self.text(field).parse().unwrap_or(0)
    }
}

pub(super) fn check_kind(server: &str, info: &Info, expected: Expected) -> Result<(), SetupError> {
    let server = server.to_owned();
    let mode = |is, instead| {
        Err(SetupError::Mode {
            server: server.clone(),
            is,
            expected: expected.name(),
            instead,
        })
    };
    // Valkey has it under a name of its own.
    let is = [info.text("redis_mode"), info.text("server_mode")].concat();
    match (is.as_str(), expected) {
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

pub(super) fn check_keeping(
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
    let persists = match (info.number("aof_enabled") == 1, needs.replicas) {
        (false, _) if info.config("save") == Some("") => {
            let server = server.clone();
            Some(Hazard::NothingPersisted { server })
        }
        // Its replicas know what it forgets.
        (_, 1..) => None,
        (false, 0) => Some(Hazard::OnlySnapshots {
            server: server.clone(),
        }),
        (true, 0) => match info.config("appendfsync") {
            Some("always") | None => None,
            Some(_) => Some(Hazard::LastSecond {
                server: server.clone(),
            }),
        },
    };
    hazards.extend(persists);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(info: &str, expected: Expected) -> Result<(), String> {
        check_kind("it", &Info::read(info, HashMap::new()), expected)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn old_servers_are_refused_and_valkey_is_never_old() {
        let redis = |version: &str| {
            let info =
                format!("redis_version:{version}\r\nredis_mode:standalone\r\nrole:master\r\n");
            kind(&info, Expected::Single)
        };
        for old in ["2.8.4", "5.0.14", "6.0.20"] {
            let refusal = redis(old).unwrap_err();
            assert!(
                refusal.contains(old) && refusal.contains("upgrade"),
                "{refusal}"
            );
        }
        for new in [
            "6.2.14",
            "7.0.15",
            "8.4.0",
            "10.0.0",
            "255.255.255",
            "unstable",
        ] {
            assert_eq!(redis(new), Ok(()));
        }
        // As Valkey 8.0.1 says it.
        let valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n";
        assert_eq!(
            kind(&format!("{valkey}server_mode:standalone"), Expected::Single),
            Ok(())
        );
        let cluster = kind(&format!("{valkey}server_mode:cluster"), Expected::Single);
        assert!(cluster.unwrap_err().contains("redis-cluster://"));
    }

    #[test]
    fn a_server_is_what_the_url_says() {
        let mode = |mode: &str, expected| kind(&format!("redis_mode:{mode}\r\n"), expected);
        for (is, expected, instead) in [
            ("cluster", Expected::Single, "write redis-cluster://"),
            ("cluster", Expected::Sentinel, "write redis-cluster://"),
            ("standalone", Expected::Cluster, "write redis://"),
            ("sentinel", Expected::Single, "write redis-sentinel://"),
        ] {
            let refusal = mode(is, expected).unwrap_err();
            assert!(refusal.contains(instead), "{refusal}");
        }
        assert_eq!(mode("standalone", Expected::Sentinel), Ok(()));
        assert_eq!(mode("cluster", Expected::Cluster), Ok(()));
        // What does not say is believed.
        assert_eq!(kind("", Expected::Single), Ok(()));
    }
}
