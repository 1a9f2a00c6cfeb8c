//! From a slot to the server that keeps it, over connections that come back by themselves.
//!
//! `dial` opens one connection, `link` keeps one open, `pool` has several to one
//! server, `single`, `sentinel` and `cluster` say which server, `replicas` waits
//! for what stands behind it. Nothing here sends a command twice: only the
//! runtime knows under which owner that is safe.

mod address;
mod cluster;
mod dial;
mod hash_slot;
mod link;
mod pool;
mod replicas;
mod sentinel;
mod topology;

#[cfg(any(test, fuzzing))]
pub(crate) use self::cluster::describes_a_cluster;
#[cfg(feature = "tls")]
pub(crate) use self::dial::Certificates;
pub(crate) use self::{
    address::{Address, without_password},
    dial::Dialer,
    link::{CallError, Reconnect},
    pool::Settings,
    replicas::{Acknowledged, Replicas},
    topology::{Master, Topology},
};
