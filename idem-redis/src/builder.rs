//! How a store is set up.

use std::{sync::Arc, time::Duration};

use crate::{
    RedisStore, SetupError,
    checks::{self, Needs},
    commands::Commands,
    connect::{Address, Dialer, Reconnect, Replicas, Settings, Topology},
};

/// Sets up a [`RedisStore`].
#[derive(Debug, Clone)]
#[must_use]
pub struct RedisStoreBuilder {
    url: Url,
    namespace: String,
    command_timeout: Duration,
    connect_timeout: Duration,
    reconnect: Reconnect,
    connections: usize,
    database: Option<i64>,
    sentinel_credentials: Option<Credentials>,
    min_replicas: Option<(u32, Duration)>,
    allow_eviction: bool,
    #[cfg(feature = "tls")]
    certificates: Option<crate::connect::Certificates>,
}

/// It has a password in it.
#[derive(Clone)]
struct Url(String);

/// User, if any, and password.
#[derive(Clone)]
struct Credentials(Option<String>, String);

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::connect::without_password(&self.0))
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<hidden>")
    }
}

impl RedisStoreBuilder {
    pub(crate) const fn new(url: String) -> Self {
        Self {
            url: Url(url),
            namespace: String::new(),
            command_timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(1),
            reconnect: Reconnect {
                first: Duration::from_millis(50),
                longest: Duration::from_secs(1),
            },
            connections: 1,
            database: None,
            sentinel_credentials: None,
            min_replicas: None,
            allow_eviction: false,
            #[cfg(feature = "tls")]
            certificates: None,
        }
    }

    /// What every key begins with, before a colon: 1 to 64 letters, digits,
    /// dots, dashes, underscores and colons. `"idem"` by default.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How long one verb may take, redirections and replicas included. 500
    /// milliseconds by default. The runtime asks again within its own deadline,
    /// [`store_deadline`](idem_core::RuntimeBuilder::store_deadline).
    pub const fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// How long opening a connection may take, login included. 1 second by default.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long to pause between two attempts to connect: `first` after the
    /// first failure, doubled after each, up to `longest`, with jitter. 50
    /// milliseconds and 1 second by default. Attempts never end; meanwhile verbs
    /// fail at once.
    pub const fn reconnect(mut self, first: Duration, longest: Duration) -> Self {
        self.reconnect = Reconnect { first, longest };
        self
    }

    /// How many connections to hold to each server. 1 by default: commands
    /// share it without waiting for each other's replies, and on loopback more
    /// of them were no faster, not even beside replays of 1 MiB.
    pub const fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Which database, instead of the one that the URL says. Not for clusters.
    pub const fn database(mut self, database: i64) -> Self {
        self.database = Some(database);
        self
    }

    /// Who the sentinels are told we are; the URL's credentials are the master's.
    pub fn sentinel_credentials(
        mut self,
        username: Option<&str>,
        password: impl Into<String>,
    ) -> Self {
        let username = username.map(str::to_owned);
        self.sentinel_credentials = Some(Credentials(username, password.into()));
        self
    }

    /// Makes every write wait until `replicas` replicas have it, for `timeout`
    /// at the most (`WAIT`). A claim that they do not have by then is withdrawn
    /// and refused, so that its handler does not run.
    ///
    /// Off by default: a failover of Redis loses the writes that no replica has
    /// yet, and a lost record is an effect that happens again. What is promised
    /// with it, and what is not, is on the [crate's page](crate#failover).
    ///
    /// The timeout must be shorter than
    /// [`command_timeout`](Self::command_timeout): a verb whose time is up
    /// cannot withdraw its claim any more.
    pub const fn min_replicas(mut self, replicas: u32, timeout: Duration) -> Self {
        self.min_replicas = Some((replicas, timeout));
        self
    }

    /// Accepts a server that drops records when its memory is full. A dropped
    /// record is an effect that may happen twice.
    pub const fn allow_eviction(mut self) -> Self {
        self.allow_eviction = true;
        self
    }

    /// The certificates, in PEM, that a server's must be signed by, instead of
    /// the system's.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        let certificates = self.certificates.get_or_insert_with(no_certificates);
        certificates.root_cert = Some(pem.into());
        self
    }

    /// The certificate and key, in PEM, that we show to the server.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        let certificates = self.certificates.get_or_insert_with(no_certificates);
        certificates.client_tls = Some(redis::ClientTlsConfig {
            client_cert: certificate.into(),
            client_key: key.into(),
        });
        self
    }

    /// Connects, and checks that the servers keep what they are told.
    ///
    /// # Errors
    /// [`SetupError`], which says what to do.
    pub async fn connect(self) -> Result<RedisStore, SetupError> {
        let mut address = Address::parse(&self.url.0)?;
        if let Some(database) = self.database {
            address.set_database(database)?;
        }
        if let Some(Credentials(username, password)) = &self.sentinel_credentials {
            address.set_sentinel_credentials(username.as_deref(), password);
        }
        #[cfg(feature = "tls")]
        if address.is_tls() {
            crate::tls::choose_provider();
            self.certificates
                .as_ref()
                .map_or(Ok(()), crate::tls::check)?;
        }
        let namespace = checked_namespace(self.namespace)?;
        let min_replicas = self.min_replicas.filter(|(count, _)| *count > 0);
        if let Some((_, timeout)) = min_replicas
            && timeout >= self.command_timeout
        {
            return Err(SetupError::ReplicasTooSlow {
                timeout,
                command_timeout: self.command_timeout,
            });
        }
        let dialer = Dialer {
            timeout: self.connect_timeout,
            #[cfg(feature = "tls")]
            certificates: self.certificates,
        };
        let needs = Needs {
            namespace: namespace.clone(),
            replicas: min_replicas.map_or(0, |(count, _)| count),
            allow_eviction: self.allow_eviction,
        };
        let settings = Settings {
            connections: self.connections,
            reconnect: self.reconnect,
            replicas: min_replicas.map(|(count, timeout)| Replicas {
                count,
                timeout,
                give_up: self.command_timeout + timeout,
            }),
        };
        let expected = checks::Expected::of(&address);
        let commands = Commands {
            topology: Topology::new(address, dialer, settings),
            prefix: format!("{namespace}:"),
            deadline: self.command_timeout,
        };
        let hazards = checks::setup(&commands, self.connect_timeout, expected, &needs).await?;
        for hazard in &hazards {
            tracing::warn!("{hazard}");
        }
        Ok(RedisStore {
            commands: Arc::new(commands),
            hazards,
        })
    }
}

fn checked_namespace(namespace: String) -> Result<String, SetupError> {
    if namespace.is_empty() {
        return Ok("idem".to_owned());
    }
    // A `{` would put all slots on one node of a cluster, a `*` would list others' keys.
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if namespace.len() <= 64 && namespace.bytes().all(may_stand) {
        Ok(namespace)
    } else {
        Err(SetupError::Namespace { namespace })
    }
}

#[cfg(feature = "tls")]
const fn no_certificates() -> crate::connect::Certificates {
    crate::connect::Certificates {
        client_tls: None,
        root_cert: None,
    }
}
