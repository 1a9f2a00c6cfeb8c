//! A few connections to one server.

use std::sync::atomic::AtomicBool;

use redis::{Cmd, Pipeline, Value};

use super::{
    link::{CallError, Dial, Link, Reconnect},
    replicas::{Acknowledged, Replicas},
};

/// How to hold connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) connections: usize,
    pub(crate) reconnect: Reconnect,
    pub(crate) replicas: Option<Replicas>,
}

/// Connections to one server. What concerns one slot always takes the same one,
/// so that an owner's commands arrive in the order they were sent.
#[derive(Debug)]
pub(crate) struct Pool(Vec<Link>);

impl Pool {
    pub(crate) fn new(dial: &Dial, settings: Settings) -> Self {
        let link = || Link::new(dial.clone(), settings.reconnect, settings.replicas);
        Self((0..settings.connections.max(1)).map(|_| link()).collect())
    }

    fn link(&self, hint: usize) -> &Link {
        &self.0[hint % self.0.len()]
    }

    pub(crate) async fn call(
        &self,
        hint: usize,
        command: &Cmd,
        asking: bool,
        sent: &AtomicBool,
    ) -> Result<Value, CallError> {
        self.link(hint).call(command, asking, sent).await
    }

    pub(crate) async fn call_all(&self, pipeline: &Pipeline) -> Result<Vec<Value>, CallError> {
        self.link(0).call_all(pipeline).await
    }

    pub(crate) async fn write(
        &self,
        hint: usize,
        command: Cmd,
        asking: bool,
        sent: &AtomicBool,
    ) -> Result<(Value, Acknowledged), CallError> {
        self.link(hint).write(command, asking, sent).await
    }

    /// Connects anew, because this server does not take writes any more.
    pub(crate) fn leave(&self) {
        for link in &self.0 {
            link.leave();
        }
    }
}
