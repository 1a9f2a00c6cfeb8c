//! A master, its replicas and the sentinels that watch over them.

use std::collections::HashMap;

use redis::Value;

use crate::config::Plan;
use crate::ports;
use crate::proxy::Proxy;
use crate::redis::Redis;
use crate::replicated::Replicated;
use crate::waiting::{until, until_or, until_some};

/// The name under which the sentinels know the master.
const NAME: &str = "mymaster";

/// What [`Sentinels`] are started with.
#[derive(Debug, Clone)]
pub struct SentinelOptions {
    /// How many replicas the master has.
    pub replicas: usize,
    /// Whether everybody, replicas and sentinels too, knows the master by a proxy's address.
    pub via_proxy: bool,
    /// After how long a silence a sentinel takes the master for down.
    pub down_after_ms: u64,
    /// After twice this time a failover that did not work is tried again.
    pub failover_timeout_ms: u64,
    /// Directives for the master and its replicas.
    pub config: Vec<(String, String)>,
}

impl Default for SentinelOptions {
    fn default() -> Self {
        Self {
            replicas: 1,
            via_proxy: false,
            down_after_ms: 500,
            failover_timeout_ms: 3_000,
            config: Vec::new(),
        }
    }
}

/// Three sentinels, a quorum of two, and the servers they watch over.
#[derive(Debug)]
pub struct Sentinels {
    /// The sentinels.
    pub sentinels: Vec<Redis>,
    /// The servers. Which of them is the master changes with each failover.
    pub servers: Replicated,
}

impl Sentinels {
    /// Starts a master and a replica under three sentinels.
    pub async fn start(via_proxy: bool) -> Self {
        let options = SentinelOptions {
            via_proxy,
            ..SentinelOptions::default()
        };
        Self::start_with(&options).await
    }

    /// As [`Self::start`], with options.
    pub async fn start_with(options: &SentinelOptions) -> Self {
        let config: Vec<_> = options
            .config
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let servers = Replicated::start_with(options.replicas, options.via_proxy, &config).await;
        let sentinels = plans(&servers, options).iter().map(Redis::launch).collect();
        let this = Self { sentinels, servers };
        this.ready().await;
        this
    }

    async fn ready(&self) {
        for sentinel in &self.sentinels {
            sentinel.ready().await;
            // By default they look every few seconds.
            periods(sentinel, &["INFO-PERIOD", "300", "PUBLISH-PERIOD", "300"]).await;
            periods(sentinel, &["PING-PERIOD", "100", "ASK-PERIOD", "200"]).await;
        }
        for sentinel in &self.sentinels {
            let what = format!("the sentinel on port {} knows all others", sentinel.port());
            let ready = async || self.knows_all(sentinel).await;
            until_or(&what, || sentinel.log_tail(), ready).await;
            // What a replica said counts for five of it, and once its master is down it is asked
            // every second: with a short one no replica would be good enough.
            periods(sentinel, &["PING-PERIOD", "1000"]).await;
        }
    }

    async fn knows_all(&self, sentinel: &Redis) -> bool {
        let quorum = sentinel
            .query::<Value>(&["SENTINEL", "CKQUORUM", NAME])
            .await;
        let Ok(master) = sentinel
            .query::<Fields>(&["SENTINEL", "MASTER", NAME])
            .await
        else {
            return false;
        };
        let Ok(replicas) = sentinel
            .query::<Vec<Fields>>(&["SENTINEL", "REPLICAS", NAME])
            .await
        else {
            return false;
        };
        let Ok(others) = sentinel
            .query::<Vec<Fields>>(&["SENTINEL", "SENTINELS", NAME])
            .await
        else {
            return false;
        };
        let is = |fields: &Fields, name: &str, value: &str| fields[name] == value;
        quorum.is_ok()
            && is(&master, "flags", "master")
            && replicas.len() == self.servers.replicas.len()
            && replicas.iter().all(|replica| {
                is(replica, "flags", "slave") && is(replica, "master-link-status", "ok")
            })
            && others.len() == self.sentinels.len() - 1
            && others.iter().all(|other| is(other, "flags", "sentinel"))
    }

    /// `redis-sentinel://127.0.0.1:P1,127.0.0.1:P2,127.0.0.1:P3/mymaster`
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port()))
            .collect();
        format!("redis-sentinel://{}/{NAME}", hosts.join(","))
    }

    /// The name of the master: `mymaster`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAME
    }

    /// The proxy in front of the first master.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        self.servers.proxy.as_ref().expect("started with via_proxy")
    }

    /// The master's port, as the first sentinel that runs says. With a proxy it is the proxy's,
    /// until a failover.
    pub async fn master_port(&self) -> u16 {
        let sentinel = self.awake().next().expect("a sentinel that runs");
        port_of_master(sentinel)
            .await
            .expect("a sentinel knows the master")
    }

    /// The server that listens on this port, or has the proxy of this port in front.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn server(&self, port: u16) -> &Redis {
        if port == self.servers.port() {
            return &self.servers.master;
        }
        let mut all = self.servers.replicas.iter().chain([&self.servers.master]);
        all.find(|server| server.port() == port)
            .expect("a server on this port")
    }

    /// Waits until all sentinels that run name another master than `old`, and it agrees.
    ///
    /// Returns the new master's port.
    pub async fn until_failover(&self, old: u16) -> u16 {
        let detail = || self.sentinels.iter().map(Redis::log_tail).collect();
        let successor = || self.successor(old);
        until_some("the sentinels have failed over", detail, successor).await
    }

    /// The master that all name, if it is another than `old`, and agrees.
    async fn successor(&self, old: u16) -> Option<u16> {
        let mut new = None;
        for sentinel in self.awake() {
            let named = port_of_master(sentinel).await?;
            if named == old || new.is_some_and(|new| new != named) {
                return None;
            }
            new = Some(named);
        }
        let ask = self.server(new?).query::<String>(&["INFO", "replication"]);
        let info = ask.await.ok()?;
        new.filter(|_| info.contains("role:master"))
    }

    /// Brings the first master back as a replica of the one there is now. The
    /// sentinels would do it too, mostly within seconds; this is for those who
    /// test something else.
    pub async fn bring_back(&self) {
        let old = &self.servers.master;
        if let Some(proxy) = &self.servers.proxy {
            proxy.heal();
        }
        old.restart().await;
        until("the old master follows the new one", async || {
            let new = self.master_port().await;
            let info = old.info("replication").await;
            let is = |field: &str, value: &str| info.get(field).is_some_and(|is| is == value);
            if new == self.servers.port() {
                // Its turn again.
                return is("role", "master");
            }
            let new = new.to_string();
            if !is("master_port", &new) {
                old.command(&["REPLICAOF", "127.0.0.1", &new]).await;
            }
            is("master_port", &new) && is("master_link_status", "up")
        })
        .await;
    }

    fn awake(&self) -> impl Iterator<Item = &Redis> {
        self.sentinels.iter().filter(|sentinel| sentinel.is_awake())
    }
}

/// Sets how often a sentinel does something.
async fn periods(sentinel: &Redis, periods: &[&str]) {
    let words: Vec<_> = ["SENTINEL", "DEBUG"]
        .iter()
        .chain(periods)
        .copied()
        .collect();
    sentinel.command(&words).await;
}

type Fields = HashMap<String, String>;

async fn port_of_master(sentinel: &Redis) -> Option<u16> {
    let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
    let (_host, port) = sentinel.query::<(String, u16)>(&ask).await.ok()?;
    Some(port)
}

/// Three sentinels that know everything from the start: to find each other takes seconds.
fn plans(servers: &Replicated, options: &SentinelOptions) -> Vec<Plan> {
    let ports: Vec<_> = (0..3).map(|_| ports::free()).collect();
    let ids: Vec<_> = ports.iter().map(|_| random_id()).collect();
    let known: Vec<_> = ports.iter().zip(&ids).collect();
    known
        .iter()
        .map(|(port, id)| {
            let others = known.iter().filter(|(other, _)| other != port);
            let mut lines = vec![
                format!("myid {id}"),
                format!("monitor {NAME} 127.0.0.1 {} 2", servers.port()),
                format!("down-after-milliseconds {NAME} {}", options.down_after_ms),
                format!("failover-timeout {NAME} {}", options.failover_timeout_ms),
                format!("parallel-syncs {NAME} 5"),
            ];
            for replica in &servers.replicas {
                lines.push(format!("known-replica {NAME} 127.0.0.1 {}", replica.port()));
            }
            lines.extend(
                others.map(|(port, id)| format!("known-sentinel {NAME} 127.0.0.1 {port} {id}")),
            );
            let lines: Vec<_> = lines
                .iter()
                .map(|line| ("sentinel", line.as_str()))
                .collect();
            Plan::sentinel(**port).with(&lines)
        })
        .collect()
}

/// 40 hex digits, as Redis names its nodes.
pub(crate) fn random_id() -> String {
    let bytes: [u8; 20] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
