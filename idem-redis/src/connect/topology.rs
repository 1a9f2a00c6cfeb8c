//! Which master keeps a slot.

use std::{fmt, sync::Arc};

use futures_util::FutureExt;
use redis::{ConnectionAddr, RedisError};

use super::{
    address::Address,
    cluster::Cluster,
    dial::Dialer,
    link::Dial,
    pool::{Pool, Settings},
    sentinel,
};

/// A server that takes writes, or did when it was last heard of.
pub(crate) struct Master {
    /// For messages.
    pub(crate) name: String,
    pub(crate) pool: Pool,
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Master").field(&self.name).finish()
    }
}

/// Where the slots are.
#[derive(Debug)]
pub(crate) enum Topology {
    /// All on one server: the one that was named, or the one that the sentinels name.
    One(Arc<Master>),
    /// Spread over several.
    Cluster(Arc<Cluster>),
}

impl Topology {
    /// Nothing is connected yet.
    pub(crate) fn new(address: Address, dialer: Dialer, settings: Settings) -> Self {
        let (name, dial): (String, Dial) = match address {
            Address::Cluster(seeds) => {
                return Self::Cluster(Arc::new(Cluster::new(seeds, dialer, settings)));
            }
            Address::Single(info) => (
                info.addr().to_string(),
                Arc::new(move || {
                    let (dialer, info) = (dialer.clone(), info.clone());
                    async move { dialer.dial(&info).await }.boxed()
                }),
            ),
            Address::Sentinel {
                sentinels,
                name,
                master,
            } => {
                let shared = Arc::new((dialer, sentinels, name.clone(), master));
                let dial = move || {
                    let shared = Arc::clone(&shared);
                    async move {
                        let (dialer, sentinels, name, master) = &*shared;
                        sentinel::dial_master(dialer, sentinels, name, master).await
                    }
                    .boxed()
                };
                (format!("the sentinels' master `{name}`"), Arc::new(dial))
            }
        };
        Self::One(Arc::new(Master {
            name,
            pool: Pool::new(&dial, settings),
        }))
    }

    /// Finds out who the masters are.
    pub(crate) async fn look(&self) -> Result<(), RedisError> {
        match self {
            Self::One(_) => Ok(()),
            Self::Cluster(cluster) => cluster.look().await,
        }
    }

    /// The master that keeps a key; none while that is not known.
    pub(crate) async fn master_of(&self, key: &str) -> Option<Arc<Master>> {
        match self {
            Self::One(master) => Some(Arc::clone(master)),
            Self::Cluster(cluster) => cluster.master_of(key).await,
        }
    }

    /// Every master.
    pub(crate) async fn masters(&self) -> Vec<Arc<Master>> {
        match self {
            Self::One(master) => vec![Arc::clone(master)],
            Self::Cluster(cluster) => cluster.masters().await,
        }
    }

    /// A key like `prefix` that a master keeps.
    pub(crate) async fn key_on(&self, master: &Arc<Master>, prefix: &str) -> Option<String> {
        match self {
            Self::One(_) => Some(prefix.to_owned()),
            Self::Cluster(cluster) => cluster.key_on(master, prefix).await,
        }
    }

    /// The master that a server sent us on to; none if there is no cluster.
    pub(crate) fn redirected(&self, from: &Master, to: &str, moved: bool) -> Option<Arc<Master>> {
        match self {
            Self::One(_) => None,
            Self::Cluster(cluster) => {
                if moved {
                    Arc::clone(cluster).look_again();
                }
                cluster.at(from, to)
            }
        }
    }

    /// A master does not answer, is none any more, or has no replicas, as one
    /// that was cut off from them and has a successor: finds out who is now.
    pub(crate) fn doubt(&self, master: &Master) {
        master.pool.leave();
        if let Self::Cluster(cluster) = self {
            Arc::clone(cluster).look_again();
        }
    }
}

/// `HOST:PORT` as a server writes it; an empty host is the server's own.
pub(crate) fn host_and_port(address: &str, own: &ConnectionAddr) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let own = match own {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.as_str(),
        _ => "",
    };
    let host = if matches!(host, "" | "?") { own } else { host };
    Some((host.to_owned(), port.parse().ok()?))
}
