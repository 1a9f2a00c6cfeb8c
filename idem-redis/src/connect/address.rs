//! Which Redis is meant: the URL's forms.

#[cfg(feature = "tls")]
use redis::ConnectionAddr;
use redis::{ConnectionInfo, IntoConnectionInfo};

use crate::SetupError;

const FORMS: &str = "write redis://HOST:PORT, rediss://HOST:PORT, redis+unix:///PATH, \
    redis-cluster://HOST:PORT,HOST:PORT or redis-sentinel://HOST:PORT,HOST:PORT/MASTER-NAME";

/// Where the records are.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    /// One server.
    Single(ConnectionInfo),
    /// The master of that name, which these sentinels know.
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        name: String,
        /// How to talk to the master; its host and port are the sentinels' to say.
        master: ConnectionInfo,
    },
    /// A cluster that some of these nodes belong to.
    Cluster(Vec<ConnectionInfo>),
}

impl Address {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, SetupError> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(refused(url, format!("it has no scheme; {FORMS}")));
        };
        match scheme {
            "redis" | "rediss" | "valkey" | "valkeys" | "redis+unix" | "valkey+unix" | "unix" => {
                info(url, url).map(Self::Single)
            }
            "redis-cluster" | "valkey-cluster" => Self::cluster(url, "redis", rest),
            "rediss-cluster" | "valkeys-cluster" => Self::cluster(url, "rediss", rest),
            "redis-sentinel" | "valkey-sentinel" => Self::sentinel(url, "redis", rest),
            "rediss-sentinel" | "valkeys-sentinel" => Self::sentinel(url, "rediss", rest),
            other => Err(refused(
                url,
                format!("`{other}` is no scheme of it; {FORMS}"),
            )),
        }
    }

    fn cluster(url: &str, scheme: &str, rest: &str) -> Result<Self, SetupError> {
        let parts = Parts::of(url, rest)?;
        if !matches!(parts.path, "" | "0") {
            return Err(refused(
                url,
                format!(
                    "a cluster has no databases (`/{}`); separate services by their namespace",
                    parts.path
                ),
            ));
        }
        let nodes = parts.hosts.iter().map(|host| {
            let credentials = parts.credentials;
            info(url, &format!("{scheme}://{credentials}{host}"))
        });
        Ok(Self::Cluster(nodes.collect::<Result<_, _>>()?))
    }

    fn sentinel(url: &str, scheme: &str, rest: &str) -> Result<Self, SetupError> {
        let parts = Parts::of(url, rest)?;
        let (name, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
        if name.is_empty() {
            let reason = "it does not say which master the sentinels are to be asked for; write \
                redis-sentinel://HOST:PORT,HOST:PORT/MASTER-NAME";
            return Err(refused(url, reason.to_owned()));
        }
        // Credentials are the master's; sentinels have their own, if any.
        let sentinels = parts.hosts.iter().map(|host| {
            let has_port = host
                .rsplit_once(':')
                .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
            let port = if has_port { "" } else { ":26379" };
            info(url, &format!("{scheme}://{host}{port}"))
        });
        let credentials = parts.credentials;
        Ok(Self::Sentinel {
            sentinels: sentinels.collect::<Result<_, _>>()?,
            name: name.to_owned(),
            master: info(url, &format!("{scheme}://{credentials}master/{database}"))?,
        })
    }

    /// Sets the database, unless it is a cluster, which has none.
    pub(crate) fn set_database(&mut self, database: i64) -> Result<(), SetupError> {
        match self {
            Self::Single(info) | Self::Sentinel { master: info, .. } => {
                let redis = info.redis_settings().clone().set_db(database);
                *info = info.clone().set_redis_settings(redis);
                Ok(())
            }
            Self::Cluster(_) if database == 0 => Ok(()),
            Self::Cluster(_) => Err(SetupError::DatabaseOfCluster { database }),
        }
    }

    /// Sets who talks to the sentinels.
    pub(crate) fn set_sentinel_credentials(&mut self, username: Option<&str>, password: &str) {
        if let Self::Sentinel { sentinels, .. } = self {
            for info in sentinels {
                let mut redis = info.redis_settings().clone().set_password(password);
                if let Some(username) = username {
                    redis = redis.set_username(username);
                }
                *info = info.clone().set_redis_settings(redis);
            }
        }
    }

    /// Whether any of it is reached by TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn is_tls(&self) -> bool {
        let tls = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        match self {
            Self::Single(info) => tls(info),
            Self::Sentinel { master, .. } => tls(master),
            Self::Cluster(nodes) => nodes.iter().any(tls),
        }
    }
}

/// `credentials@host,host/path`.
struct Parts<'a> {
    /// With its `@`, or empty.
    credentials: &'a str,
    hosts: Vec<&'a str>,
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &str, rest: &'a str) -> Result<Self, SetupError> {
        let at = rest.rfind('@').map_or(0, |at| at + 1);
        let (credentials, rest) = rest.split_at(at);
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
        if hosts.iter().any(|host| host.is_empty()) {
            return Err(refused(url, format!("a host is missing; {FORMS}")));
        }
        Ok(Self {
            credentials,
            hosts,
            path,
        })
    }
}

fn info(whole: &str, url: &str) -> Result<ConnectionInfo, SetupError> {
    let info = url
        .into_connection_info()
        .map_err(|error| refused(whole, format!("{error}; {FORMS}")))?;
    if info.addr().is_supported() {
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let redis = info.redis_settings().clone();
        let redis = redis.set_lib_name("idem", env!("CARGO_PKG_VERSION"));
        Ok(info.set_tcp_settings(tcp).set_redis_settings(redis))
    } else {
        Err(SetupError::NoTls {
            url: without_password(whole),
        })
    }
}

fn refused(url: &str, reason: String) -> SetupError {
    SetupError::Url {
        url: without_password(url),
        reason,
    }
}

/// A URL as it may stand in a log.
pub(crate) fn without_password(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    match url[start..].rfind('@') {
        Some(at) => format!("{}…{}", &url[..start], &url[start + at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        Address::parse(url).unwrap_err().to_string()
    }

    #[test]
    fn every_form_is_read() {
        let Ok(Address::Single(info)) = Address::parse("redis://ana:secret@cache:7000/3") else {
            panic!("a single server");
        };
        assert_eq!(info.addr().to_string(), "cache:7000");
        assert_eq!(info.redis_settings().db(), 3);
        assert!(info.tcp_settings().nodelay());

        let Ok(Address::Single(info)) = Address::parse("redis+unix:///run/redis.sock") else {
            panic!("a socket");
        };
        assert_eq!(info.addr().to_string(), "/run/redis.sock");

        let Ok(Address::Cluster(nodes)) = Address::parse("redis-cluster://:p@a:1,b:2,[::1]:3")
        else {
            panic!("a cluster");
        };
        let addresses: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
        assert_eq!(addresses, ["a:1", "b:2", "::1:3"]);
        assert!(
            nodes
                .iter()
                .all(|node| node.redis_settings().password() == Some("p"))
        );

        let Ok(Address::Sentinel {
            sentinels,
            name,
            master,
        }) = Address::parse("redis-sentinel://ana:p%40ss@s1,s2:5000/shop/2")
        else {
            panic!("sentinels");
        };
        let addresses: Vec<_> = sentinels
            .iter()
            .map(|node| node.addr().to_string())
            .collect();
        assert_eq!(addresses, ["s1:26379", "s2:5000"]);
        assert_eq!(name, "shop");
        assert_eq!(master.redis_settings().db(), 2);
        assert_eq!(master.redis_settings().password(), Some("p@ss"));
        assert_eq!(sentinels[0].redis_settings().password(), None);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        assert!(refusal("localhost:6379").contains("no scheme"));
        assert!(refusal("http://localhost").contains("`http` is no scheme"));
        assert!(refusal("redis-cluster://a:1,,b:2").contains("a host is missing"));
        assert!(refusal("redis-cluster://a:1/2").contains("no databases"));
        assert!(refusal("redis-sentinel://a:1").contains("which master"));
        let refusal = refusal("redis://ana:secret@host:notaport");
        assert!(
            !refusal.contains("secret") && refusal.contains("@host:notaport"),
            "{refusal}"
        );
    }
}
