//! The store's real servers, and what is done to them.

use std::time::Duration;

use futures_util::future::join_all;
use idem_servers::{
    Cluster, ClusterOptions, Postgres, Proxy, Redis, SentinelOptions, Sentinels, until,
};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::{
    Store,
    schedule::{Fault, Trouble},
};

/// A store, running.
#[derive(Debug)]
pub(super) enum Stage {
    /// One Redis, which writes all to its file, and each process's way to it.
    Redis { server: Redis, links: Vec<Proxy> },
    /// A master that everybody knows by its proxy, a replica, three sentinels.
    Sentinel(Sentinels),
    /// Three masters, each behind a proxy, and three replicas.
    Cluster(Cluster),
    /// One PostgreSQL, and each process's way to it.
    Postgres { server: Postgres, links: Vec<Proxy> },
    /// A file.
    Sqlite(TempDir),
}

/// Whom a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concerned {
    /// One process.
    Node(usize),
    /// All of them.
    All,
}

impl Stage {
    /// Starts what the store needs.
    pub(super) async fn start(store: Store, nodes: usize) -> Self {
        match store {
            Store::Redis => {
                let file = [("appendonly", "yes"), ("appendfsync", "always")];
                let server = Redis::start_with(&file).await;
                let links = links(server.port(), nodes).await;
                Self::Redis { server, links }
            }
            Store::Sentinel => {
                let options = SentinelOptions {
                    via_proxy: true,
                    failover_timeout_ms: 1_500,
                    ..SentinelOptions::default()
                };
                Self::Sentinel(Sentinels::start_with(&options).await)
            }
            Store::Cluster => {
                let options = ClusterOptions {
                    via_proxy: true,
                    node_timeout_ms: 1_000,
                    ..ClusterOptions::default()
                };
                Self::Cluster(Cluster::start_with(options).await)
            }
            Store::Postgres => {
                // Transfers back and forth meet in deadlocks: a second each, by default.
                let server = Postgres::start_with(&[("deadlock_timeout", "10ms")]).await;
                let links = links(server.port(), nodes).await;
                Self::Postgres { server, links }
            }
            Store::Sqlite => Self::Sqlite(tempfile::tempdir().expect("a directory")),
        }
    }

    /// `IDEM_STORE` of this process.
    pub(super) fn url(&self, node: usize) -> String {
        match self {
            Self::Redis { links, .. } => links[node].url(),
            Self::Sentinel(sentinels) => sentinels.url(),
            Self::Cluster(cluster) => cluster.url(),
            Self::Postgres { server, links } => server.url_through(&links[node]),
            Self::Sqlite(directory) => {
                format!("sqlite:{}", directory.path().join("idem.db").display())
            }
        }
    }

    /// Whom this fault keeps from the store.
    pub(super) fn concerns(&self, fault: &Fault) -> Concerned {
        match (self, fault) {
            // A process that is stopped within a transaction holds the file.
            (Self::Sqlite(_), Fault::Stop { .. } | Fault::Overtake { .. }) => Concerned::All,
            (_, Fault::Kill { node, .. } | Fault::Stop { node, .. }) => Concerned::Node(*node),
            (_, Fault::Overtake { first, .. }) => Concerned::Node(*first),
            (Self::Redis { .. } | Self::Postgres { .. }, Fault::Network { link, .. }) => {
                Concerned::Node(*link)
            }
            _ => Concerned::All,
        }
    }

    /// Does it, and mends it.
    pub(super) async fn apply(&self, fault: Fault) {
        match (self, fault) {
            (
                _,
                Fault::Network {
                    link,
                    trouble,
                    time,
                },
            ) => {
                let proxy = self.link(link);
                if let Some(proxy) = proxy {
                    disturb(proxy, trouble, time).await;
                }
            }
            (Self::Redis { server, .. }, Fault::ServerKilled { down }) => {
                server.kill();
                sleep(down).await;
                server.restart().await;
            }
            (Self::Redis { server, .. }, Fault::ServerStopped { time }) => {
                server.stop();
                sleep(time).await;
                server.resume();
            }
            (Self::Redis { server, .. }, Fault::ServerPaused { time }) => {
                let time_ms = time.as_millis().to_string();
                server
                    .command(&["CLIENT", "PAUSE", &time_ms, "WRITE"])
                    .await;
                sleep(time).await;
            }
            (Self::Postgres { server, .. }, Fault::ServerKilled { down }) => {
                server.kill();
                sleep(down).await;
                server.restart().await;
            }
            (Self::Postgres { server, .. }, Fault::ServerStopped { time }) => {
                server.stop();
                sleep(time).await;
                server.resume();
            }
            (Self::Postgres { server, .. }, Fault::BackendKilled) => kill_backend(server).await,
            (Self::Sentinel(sentinels), Fault::MasterKilled { .. }) => {
                fail_over(sentinels, true).await;
            }
            (Self::Sentinel(sentinels), Fault::MasterStopped { .. }) => {
                fail_over(sentinels, false).await;
            }
            (Self::Cluster(cluster), Fault::MasterKilled { shard }) => {
                fail_over_shard(cluster, shard, true).await;
            }
            (Self::Cluster(cluster), Fault::MasterStopped { shard }) => {
                fail_over_shard(cluster, shard, false).await;
            }
            (Self::Sqlite(_), Fault::Locked { time }) => self.lock_file(time).await,
            (_, fault) => unreachable!("{fault:?} is no fault of this store"),
        }
    }

    /// Whether the store takes writes just now, as the rig itself finds, with nothing in between but
    /// the servers. A server may fail for reasons of its own: sentinels take a busy one for dead.
    pub(super) async fn is_well(&self) -> bool {
        let probe = async {
            match self {
                Self::Redis { server, .. } => server.acknowledges(PROBE, 0).await,
                Self::Sentinel(sentinels) => {
                    let servers = &sentinels.servers;
                    any_takes([&servers.master, &servers.replicas[0]], PROBE).await
                }
                Self::Cluster(cluster) => {
                    let shards = (0..3).map(|shard| {
                        let keys = (0..).map(|number| format!("{PROBE}:{number}"));
                        let in_shard = |key: &String| {
                            usize::from(idem_servers::slot_of(key)) * 3 / 16_384 == shard
                        };
                        let key = keys.into_iter().find(in_shard).unwrap_or_default();
                        let pair = [shard, shard + 3].map(|node| &cluster.node(node).redis);
                        async move { any_takes(pair, &key).await }
                    });
                    join_all(shards).await.into_iter().all(|well| well)
                }
                Self::Postgres { .. } | Self::Sqlite(_) => true,
            }
        };
        timeout(Duration::from_millis(400), probe).await == Ok(true)
    }

    fn link(&self, link: usize) -> Option<&Proxy> {
        match self {
            Self::Redis { links, .. } | Self::Postgres { links, .. } => links.get(link),
            Self::Sentinel(sentinels) => Some(sentinels.proxy()),
            Self::Cluster(cluster) => cluster.node(link).proxy.as_ref(),
            Self::Sqlite(_) => None,
        }
    }

    async fn lock_file(&self, time: Duration) {
        let url = self.url(0);
        let mut holder = SqliteConnection::connect(&url).await.expect("the file");
        // Whoever writes is done soon; sqlx waits for that for 5 s.
        let locked = sqlx::query("BEGIN IMMEDIATE").execute(&mut holder).await;
        if locked.is_ok() {
            sleep(time).await;
            let _ = sqlx::query("ROLLBACK").execute(&mut holder).await;
        }
        let _ = holder.close().await;
    }
}

/// A key that no slot of idem's has.
const PROBE: &str = "idem-nemesis:probe";

/// Whether one of a master and its replica takes a write that the other then has.
async fn any_takes(pair: [&Redis; 2], key: &str) -> bool {
    let asked = pair.map(|server| server.acknowledges(key, 1));
    join_all(asked).await.contains(&true)
}

async fn links(port: u16, nodes: usize) -> Vec<Proxy> {
    let mut links = Vec::new();
    for _ in 0..nodes {
        links.push(Proxy::start(port).await);
    }
    links
}

async fn disturb(proxy: &Proxy, trouble: Trouble, time: Duration) {
    match trouble {
        Trouble::Cut => proxy.cut(),
        Trouble::Refuse => proxy.refuse(),
        Trouble::Blackhole => proxy.blackhole(),
        Trouble::DropReplies => proxy.drop_replies(),
        Trouble::Reset(replies) => proxy.reset_after_request(replies),
        Trouble::Delay(delay) => proxy.delay(delay),
    }
    sleep(time).await;
    proxy.heal();
}

async fn kill_backend(server: &Postgres) {
    let backends = server.backends("idem").await;
    let Some(&pid) = backends.first() else {
        return;
    };
    // Its process of the service may be killed at this very moment, and the backend be gone.
    let still = server.backends("idem").await.contains(&pid);
    if still {
        server.kill_backend(pid);
        server.until_ready().await;
    }
}

async fn fail_over(sentinels: &Sentinels, kill: bool) {
    let old = sentinels.master_port().await;
    let server = sentinels.server(old);
    if kill {
        if old == sentinels.servers.port() {
            // With what was on its way to the replica.
            sentinels.proxy().die();
        }
        server.kill();
    } else {
        server.stop();
    }
    sentinels.until_failover(old).await;
    if kill {
        sentinels.proxy().heal();
        server.restart().await;
    } else {
        server.resume();
    }
    until("the old master follows the new one", async || {
        let new = sentinels.master_port().await;
        if sentinels.server(new).pid() == server.pid() {
            return true;
        }
        let info = server.info("replication").await;
        let is = |field: &str, value: &str| info.get(field).is_some_and(|is| is == value);
        let new = new.to_string();
        if kill && !is("master_port", &new) {
            server.command(&["REPLICAOF", "127.0.0.1", &new]).await;
        }
        is("master_port", &new) && is("master_link_status", "up")
    })
    .await;
}

async fn fail_over_shard(cluster: &Cluster, shard: usize, kill: bool) {
    let slot = u16::try_from(shard * 16_384 / 3 + 100).expect("a slot");
    let old = cluster.master_of(slot).await;
    let node = cluster.node(old);
    if kill {
        if let Some(proxy) = &node.proxy {
            // With what was on its way to the replica.
            proxy.die();
        }
        node.redis.kill();
    } else {
        node.redis.stop();
    }
    cluster.until_failover(old).await;
    if kill {
        if let Some(proxy) = &node.proxy {
            proxy.heal();
        }
        node.redis.restart().await;
    } else {
        node.redis.resume();
    }
    until("the old master follows the new one", async || {
        let info = node.redis.info("replication").await;
        let is = |field: &str, value: &str| info.get(field).is_some_and(|is| is == value);
        is("role", "slave") && is("master_link_status", "up")
    })
    .await;
}
