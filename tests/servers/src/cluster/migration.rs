//! A slot moves from one master to another.

use super::Cluster;
use super::nodes::View;
use crate::waiting::until_or;

impl Cluster {
    /// Moves a slot with its keys, all steps at once.
    pub async fn migrate_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_migration(slot, from, to).await;
        self.migrate_keys(slot, from, to).await;
        self.finish_migration(slot, from, to).await;
    }

    /// From now on `from` answers `ASK` for keys of the slot that it does not have.
    pub async fn begin_migration(&self, slot: u16, from: usize, to: usize) {
        let (source, target) = (self.node(from), self.node(to));
        let slot = slot.to_string();
        // In this order: nobody is sent to a node that does not expect it.
        let importing = ["CLUSTER", "SETSLOT", &slot, "IMPORTING", source.id()];
        target.redis.command(&importing).await;
        let migrating = ["CLUSTER", "SETSLOT", &slot, "MIGRATING", target.id()];
        source.redis.command(&migrating).await;
    }

    /// Moves the keys that `from` has in the slot. Returns how many.
    pub async fn migrate_keys(&self, slot: u16, from: usize, to: usize) -> usize {
        let (source, target) = (&self.node(from).redis, &self.node(to).redis);
        let (slot, port) = (slot.to_string(), target.port().to_string());
        let mut moved = 0;
        loop {
            let ask = ["CLUSTER", "GETKEYSINSLOT", &slot, "100"];
            let keys: Vec<String> = source.query(&ask).await.expect("the slot's keys");
            if keys.is_empty() {
                return moved;
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys.iter().map(String::as_str));
            source.command(&migrate).await;
            moved += keys.len();
        }
    }

    /// Gives the slot to `to`, and waits until every node that runs knows.
    ///
    /// The keys must have been moved.
    pub async fn finish_migration(&self, slot: u16, from: usize, to: usize) {
        let new = self.node(to).id();
        let name = slot.to_string();
        let set = ["CLUSTER", "SETSLOT", &name, "NODE", new];
        // The new master first: nobody is sent away from where the slot still is.
        self.node(to).redis.command(&set).await;
        self.node(from).redis.command(&set).await;
        for (_, node) in self.awake() {
            let what = format!("node {} knows where slot {slot} is", node.redis.port());
            until_or(
                &what,
                || node.redis.log_tail(),
                async || {
                    let views = View::ask(&node.redis).await.unwrap_or_default();
                    views.iter().any(|view| view.id == new && view.has(slot))
                },
            )
            .await;
        }
    }
}
