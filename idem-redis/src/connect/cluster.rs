//! Who keeps which part of a cluster.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::FutureExt;
use rand::seq::SliceRandom;
use redis::{Cmd, ConnectionInfo, RedisError, Value};

use super::{
    dial::Dialer,
    hash_slot::{HASH_SLOTS, hash_slot},
    pool::{Pool, Settings},
    sentinel::at,
    topology::{Master, host_and_port},
};

/// The least time between two looks at the cluster's map.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The specification's own limit is 1,000 nodes. Who describes more, or names ever new ones, is no
/// cluster, and must not fill the memory.
const MOST_NODES: usize = 1024;

/// A cluster as its nodes describe it. A wrong map costs a redirection, never
/// more: a node that does not keep a key refuses it.
pub(crate) struct Cluster {
    seeds: Vec<ConnectionInfo>,
    dialer: Dialer,
    settings: Settings,
    map: RwLock<Arc<Map>>,
    /// By address, so that connections outlive the maps.
    known: Mutex<HashMap<(String, u16), Arc<Master>>>,
    first_look: tokio::sync::Mutex<()>,
    looking: AtomicBool,
}

#[derive(Default)]
struct Map {
    masters: Vec<Arc<Master>>,
    /// An index of `masters` for each hash slot; `NOBODY` where none is known.
    keepers: Vec<u16>,
}

const NOBODY: u16 = u16::MAX;

impl Map {
    fn master_of(&self, key: &str) -> Option<Arc<Master>> {
        let keeper = self.keepers.get(usize::from(hash_slot(key.as_bytes())))?;
        self.masters.get(usize::from(*keeper)).cloned()
    }
}

impl Cluster {
    pub(crate) fn new(seeds: Vec<ConnectionInfo>, dialer: Dialer, settings: Settings) -> Self {
        Self {
            seeds,
            dialer,
            settings,
            map: RwLock::default(),
            known: Mutex::default(),
            first_look: tokio::sync::Mutex::default(),
            looking: AtomicBool::new(false),
        }
    }

    pub(crate) async fn master_of(self: &Arc<Self>, key: &str) -> Option<Arc<Master>> {
        let master = self.map().await.master_of(key);
        if master.is_none() {
            Arc::clone(self).look_again();
        }
        master
    }

    pub(crate) async fn masters(&self) -> Vec<Arc<Master>> {
        self.map().await.masters.clone()
    }

    /// A key like `prefix` that this master keeps, for a probe of it.
    pub(crate) async fn key_on(&self, master: &Arc<Master>, prefix: &str) -> Option<String> {
        let map = self.map().await;
        (0..4 * u32::from(HASH_SLOTS))
            .map(|number| format!("{prefix}:{number}"))
            .find(|key| {
                map.master_of(key)
                    .is_some_and(|keeper| Arc::ptr_eq(&keeper, master))
            })
    }

    /// The node at an address that another node gave.
    pub(crate) fn at(&self, from: &Master, address: &str) -> Option<Arc<Master>> {
        let like = self.seeds.first()?;
        let own = host_and_port(&from.name, like.addr())?.0;
        let own = at(like.addr(), (own, 0));
        host_and_port(address, &own).map(|address| self.node(address))
    }

    /// Reads the map anew, soon and in the background.
    pub(crate) fn look_again(self: Arc<Self>) {
        if self.looking.swap(true, SeqCst) {
            return;
        }
        let looking = Looking(self);
        tokio::spawn(async move {
            if let Err(error) = looking.0.look().await {
                tracing::warn!(%error, "no node of the Redis cluster says who keeps what");
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            drop(looking);
        });
    }

    /// The map; read from the cluster if there is none yet.
    async fn map(&self) -> Arc<Map> {
        let map = self.current();
        if !map.masters.is_empty() {
            return map;
        }
        let _one_at_a_time = self.first_look.lock().await;
        if self.current().masters.is_empty()
            && let Err(error) = self.look().await
        {
            tracing::debug!(%error, "the map of the Redis cluster could not be read");
        }
        self.current()
    }

    fn current(&self) -> Arc<Map> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks one node after the other, the known masters first, until one answers.
    pub(crate) async fn look(&self) -> Result<(), RedisError> {
        let mut nodes: Vec<ConnectionInfo> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known
                .keys()
                .map(|address| self.info(address.clone()))
                .collect()
        };
        nodes.shuffle(&mut rand::rng());
        nodes.extend(self.seeds.iter().cloned());
        let mut why = RedisError::from((redis::ErrorKind::Client, "the cluster has no nodes"));
        for node in nodes {
            match self.ask(&node).await {
                Ok(map) => {
                    self.learn(map);
                    return Ok(());
                }
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// A connection of its own: those for the slots' commands may be busy or broken.
    async fn ask(&self, node: &ConnectionInfo) -> Result<Map, RedisError> {
        let question = async {
            let mut connection = self.dialer.dial(node).await?;
            let mut question = Cmd::new();
            question.arg("CLUSTER").arg("SLOTS");
            let answer = connection.send_packed_command(&question).await?;
            answer.extract_error()
        };
        let Ok(answer) = tokio::time::timeout(2 * self.dialer.timeout, question).await else {
            return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        };
        self.read(&answer?, node).ok_or_else(|| {
            let what = format!("{} does not describe a cluster", node.addr());
            RedisError::from((redis::ErrorKind::Client, "no map", what))
        })
    }

    /// Reads `[[first, last, [host, port, …], replicas…], …]`.
    fn read(&self, answer: &Value, from: &ConnectionInfo) -> Option<Map> {
        let Value::Array(ranges) = answer else {
            return None;
        };
        let mut map = Map {
            masters: Vec::new(),
            keepers: vec![NOBODY; usize::from(HASH_SLOTS)],
        };
        for range in ranges {
            let Value::Array(range) = range else {
                return None;
            };
            let [
                Value::Int(first),
                Value::Int(last),
                Value::Array(master),
                ..,
            ] = &range[..]
            else {
                return None;
            };
            let [host, Value::Int(port), ..] = &master[..] else {
                return None;
            };
            let host = match host {
                Value::BulkString(host) => String::from_utf8_lossy(host).into_owned(),
                Value::SimpleString(host) => host.clone(),
                // The node does not know its own name.
                _ => String::new(),
            };
            let master = self.node(host_and_port(&format!("{host}:{port}"), from.addr())?);
            let index = map
                .masters
                .iter()
                .position(|known| Arc::ptr_eq(known, &master));
            let index = index.unwrap_or_else(|| {
                map.masters.push(master);
                map.masters.len() - 1
            });
            if index >= MOST_NODES {
                return None;
            }
            let range = usize::try_from(*first).ok()?..=usize::try_from(*last).ok()?;
            map.keepers
                .get_mut(range)?
                .fill(u16::try_from(index).ok().filter(|index| *index != NOBODY)?);
        }
        (!map.masters.is_empty()).then_some(map)
    }

    fn learn(&self, map: Map) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, node| map.masters.iter().any(|master| Arc::ptr_eq(master, node)));
        drop(known);
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(map);
    }

    fn node(&self, address: (String, u16)) -> Arc<Master> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= 2 * MOST_NODES {
            // Redirections may name any address; the map's are at most the half.
            let map = self.current();
            known.retain(|_, node| map.masters.iter().any(|master| Arc::ptr_eq(master, node)));
        }
        let node = known.entry(address.clone()).or_insert_with(|| {
            let (dialer, info) = (self.dialer.clone(), self.info(address));
            let name = info.addr().to_string();
            let dial = move || {
                let (dialer, info) = (dialer.clone(), info.clone());
                async move { dialer.dial(&info).await }.boxed()
            };
            Arc::new(Master {
                name,
                pool: Pool::new(&(Arc::new(dial) as _), self.settings),
            })
        });
        Arc::clone(node)
    }

    /// How to talk to a node: like to the first seed, elsewhere.
    fn info(&self, address: (String, u16)) -> ConnectionInfo {
        // An address without a host is refused when it is read.
        let like = &self.seeds[0];
        like.clone().set_addr(at(like.addr(), address))
    }
}

/// The task that looks at the map. However it ends, another may begin.
struct Looking(Arc<Cluster>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.looking.store(false, SeqCst);
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("masters", &self.current().masters)
            .finish_non_exhaustive()
    }
}

/// Nothing connects to it: a cluster to read answers with.
#[cfg(any(test, fuzzing))]
fn unconnected() -> Option<Cluster> {
    use redis::IntoConnectionInfo;

    let seed = "redis://127.0.0.1:1".into_connection_info().ok()?;
    let second = Duration::from_secs(1);
    let dialer = Dialer {
        timeout: second,
        #[cfg(feature = "tls")]
        certificates: None,
    };
    let settings = Settings {
        connections: 1,
        reconnect: super::Reconnect {
            first: second,
            longest: second,
        },
        replicas: None,
    };
    Some(Cluster::new(vec![seed], dialer, settings))
}

/// Whether a node's answer is a map, for the properties.
#[cfg(any(test, fuzzing))]
pub(crate) fn describes_a_cluster(answer: &Value) -> bool {
    let map = unconnected().and_then(|cluster| cluster.read(answer, &cluster.seeds[0]));
    map.is_some_and(|map| map.masters.len() <= MOST_NODES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_us_to_ever_new_addresses_does_not_fill_the_memory() {
        let cluster = unconnected().unwrap();
        let from = cluster.node(("127.0.0.1".to_owned(), 7000));
        for host in 0..20 {
            for port in 1..=1000 {
                let to = cluster.at(&from, &format!("10.0.0.{host}:{port}")).unwrap();
                assert_eq!(to.name, format!("10.0.0.{host}:{port}"));
                assert!(cluster.known.lock().unwrap().len() <= 2 * MOST_NODES);
            }
        }
    }

    #[test]
    fn a_map_of_more_nodes_than_a_cluster_has_is_none() {
        let range = |port| {
            let master = vec![Value::BulkString(b"127.0.0.1".to_vec()), Value::Int(port)];
            Value::Array(vec![Value::Int(0), Value::Int(0), Value::Array(master)])
        };
        let ranges = |count| Value::Array((1..=count).map(range).collect());
        assert!(describes_a_cluster(&ranges(1024)));
        assert!(!describes_a_cluster(&ranges(1025)));
    }
}
