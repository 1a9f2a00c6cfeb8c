//! Three masters, each with its slots, and their replicas.

mod migration;
mod nodes;

use std::ops::RangeInclusive;

use crate::config::Plan;
use crate::ports;
use crate::proxy::Proxy;
use crate::redis::Redis;
use crate::replicated::until_acknowledged;
use crate::sentinel::random_id;
use crate::slots::slot_of;
use crate::waiting::{until_or, until_some};
use nodes::{Member, View};

/// How many masters a cluster has.
const MASTERS: usize = 3;

/// What a [`Cluster`] is started with.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// How many replicas each of the three masters has.
    pub replicas_per_master: usize,
    /// Whether each master announces the port of a proxy in front of it.
    pub via_proxy: bool,
    /// After how long a silence a node is taken for failing.
    pub node_timeout_ms: u64,
    /// Directives for all nodes.
    pub config: Vec<(String, String)>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            replicas_per_master: 1,
            via_proxy: false,
            node_timeout_ms: 1_500,
            config: Vec::new(),
        }
    }
}

/// One server of a cluster.
#[derive(Debug)]
pub struct Node {
    /// The server.
    pub redis: Redis,
    /// What stands in front of it. The bus between the nodes does not go through it.
    pub proxy: Option<Proxy>,
    id: String,
}

impl Node {
    /// The port under which the others and the clients know it: the proxy's, if any.
    #[must_use]
    pub fn port(&self) -> u16 {
        let proxy = self.proxy.as_ref();
        proxy.map_or(self.redis.port(), Proxy::port)
    }

    /// The id under which the others know it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Nodes 0 to 2 start as masters; node `3 + i` starts as a replica of node `i % 3`.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    options: ClusterOptions,
}

impl Cluster {
    /// Starts three masters and three replicas.
    pub async fn start() -> Self {
        Self::start_with(ClusterOptions::default()).await
    }

    /// As [`Self::start`], with options.
    pub async fn start_with(options: ClusterOptions) -> Self {
        let count = MASTERS * (1 + options.replicas_per_master);
        // The bus would be on the port + 10000 by default: in the range of outgoing connections.
        let ports: Vec<_> = (0..count).map(|_| (ports::free(), ports::free())).collect();
        let proxies: Vec<_> = (0..count)
            .map(|i| (options.via_proxy && i < MASTERS).then(|| Proxy::launch(ports[i].0)))
            .collect();
        let members: Vec<_> = (0..count)
            .map(|i| Member {
                id: random_id(),
                port: proxies[i].as_ref().map_or(ports[i].0, Proxy::port),
                bus: ports[i].1,
                master: i % MASTERS,
            })
            .collect();
        let nodes = proxies.into_iter().enumerate().map(|(i, proxy)| Node {
            redis: Redis::launch(&plan(&options, &members, i, ports[i].0)),
            proxy,
            id: members[i].id.clone(),
        });
        let nodes = nodes.collect();
        let cluster = Self { nodes, options };
        cluster.ready().await;
        cluster
    }

    async fn ready(&self) {
        for node in &self.nodes {
            node.redis.ready().await;
        }
        for node in &self.nodes {
            let what = format!("the cluster is ok for node {}", node.redis.port());
            until_or(
                &what,
                || node.redis.log_tail(),
                async || is_ok(&node.redis).await,
            )
            .await;
        }
        for (i, node) in self.nodes.iter().enumerate().take(MASTERS) {
            let key = key_in(&nodes::slots(i));
            until_acknowledged(&node.redis, &key, self.options.replicas_per_master).await;
        }
    }

    /// `redis-cluster://127.0.0.1:P1,127.0.0.1:P2,...`, of all nodes' announced ports.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    /// All nodes, in the order in which they were started.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    #[must_use]
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// Which node has this slot, as the first node says that runs.
    pub async fn master_of(&self, slot: u16) -> usize {
        let (_, node) = self.awake().next().expect("a node that runs");
        let views = View::ask(&node.redis).await.expect("the cluster's nodes");
        let owner = views.iter().find(|view| view.has(slot));
        self.index_of(&owner.expect("every slot has a master").id)
    }

    /// Which node has the slot of this key.
    pub async fn master_of_key(&self, key: &str) -> usize {
        self.master_of(slot_of(key)).await
    }

    /// The slots of a node, as it says itself. None if it is a replica.
    pub async fn slots_of(&self, index: usize) -> Vec<RangeInclusive<u16>> {
        let node = &self.nodes[index];
        let views = View::ask(&node.redis).await.expect("the cluster's nodes");
        let own = views.into_iter().find(|view| view.id == node.id);
        own.expect("a node knows itself").slots
    }

    /// The replicas that a node has, as it says itself.
    pub async fn replicas_of(&self, index: usize) -> Vec<usize> {
        let node = &self.nodes[index];
        let views = View::ask(&node.redis).await.expect("the cluster's nodes");
        let own = views
            .iter()
            .filter(|view| view.master.as_ref() == Some(&node.id));
        own.map(|view| self.index_of(&view.id)).collect()
    }

    /// Waits until a replica has taken the place of node `old`, and all nodes that run know.
    ///
    /// Returns the new master, which takes writes.
    pub async fn until_failover(&self, old: usize) -> usize {
        let what = format!("a replica takes the place of node {old}");
        let log = |node: &Node| node.redis.log_tail() + "\n";
        let detail = || self.nodes.iter().map(log).collect();
        let new = until_some(&what, detail, || self.successor(old)).await;
        let key = key_in(&self.slots_of(new).await);
        let redis = &self.nodes[new].redis;
        until_or(
            "the new master takes writes",
            || redis.log_tail(),
            async || redis.query::<()>(&["DEL", &key]).await.is_ok(),
        )
        .await;
        new
    }

    /// The node that all take for the master in the place of `old`.
    async fn successor(&self, old: usize) -> Option<usize> {
        let mut agreed = None;
        for (index, node) in self.awake() {
            if index == old {
                continue;
            }
            let views = View::ask(&node.redis).await?;
            let in_place = |view: &&View| {
                let index = self.index_of(&view.id);
                index != old && index % MASTERS == old % MASTERS && view.is_master()
            };
            let new = self.index_of(&views.iter().find(in_place)?.id);
            if !is_ok(&node.redis).await || agreed.is_some_and(|agreed| agreed != new) {
                return None;
            }
            agreed = Some(new);
        }
        agreed
    }

    fn awake(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.redis.is_awake())
    }

    fn index_of(&self, id: &str) -> usize {
        let known = self.nodes.iter().position(|node| node.id == id);
        known.expect("a node of this cluster")
    }
}

async fn is_ok(redis: &Redis) -> bool {
    let info = redis.query::<String>(&["CLUSTER", "INFO"]).await;
    info.is_ok_and(|info| info.contains("cluster_state:ok"))
}

/// A key in one of these slots.
fn key_in(slots: &[RangeInclusive<u16>]) -> String {
    (0..1_000_000)
        .map(|i| format!("idem-servers:{i}"))
        .find(|key| slots.iter().any(|range| range.contains(&slot_of(key))))
        .expect("one of many keys")
}

fn plan(options: &ClusterOptions, members: &[Member], index: usize, port: u16) -> Plan {
    let member = &members[index];
    let timeout = options.node_timeout_ms.to_string();
    let bus = member.bus.to_string();
    let announced = member.port.to_string();
    let mut plan = Plan::server(port).with(&[
        ("cluster-enabled", "yes"),
        ("cluster-config-file", nodes::FILE),
        ("cluster-node-timeout", &timeout),
        ("cluster-port", &bus),
        ("cluster-announce-ip", "127.0.0.1"),
        ("cluster-announce-port", &announced),
        ("cluster-announce-bus-port", &bus),
        // Replicas stay where they were put.
        ("cluster-allow-replica-migration", "no"),
    ]);
    for (name, value) in &options.config {
        plan = plan.with(&[(name, value)]);
    }
    plan.files.push((nodes::FILE, nodes::file(members, index)));
    plan
}
