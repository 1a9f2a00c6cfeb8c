//! One contestant under load for a while.

use std::time::Duration;

use crate::{
    child::Child,
    effort::Effort,
    error::Error,
    load::{Clients, Until},
    process,
    servers::Servers,
    workload::Workload,
};

/// What one window has shown.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) elapsed: Duration,
    /// How long each request took.
    pub(crate) times: Vec<Duration>,
    /// Seconds of a core that the contestant's process has had.
    pub(crate) service: Option<f64>,
    /// And the server of its store.
    pub(crate) store: Option<f64>,
}

/// Loads a contestant once.
pub(crate) async fn window(
    child: &mut Child,
    servers: &Servers,
    workload: Workload,
    connections: usize,
    effort: &Effort,
) -> Result<Window, Error> {
    let contestant = child.contestant();
    let mut clients = Clients::open(contestant, child.address(), connections).await?;
    clients.prepare(workload).await?;
    clients
        .run(workload, Until::Passed(effort.warm_up()))
        .await?;
    let executed = child.stats().await?.executions;
    let had = cpu(child, servers);
    let seen = clients
        .run(workload, Until::Passed(effort.seconds_per_round))
        .await?;
    let has = cpu(child, servers);
    let executed = child.stats().await?.executions - executed;
    let expected = match workload {
        Workload::Fresh => seen.times.len() as u64,
        Workload::Replay => 0,
    };
    if executed != expected {
        return Err(Error::Executed {
            contestant,
            what: workload.title(),
            executed,
            expected,
        });
    }
    Ok(Window {
        elapsed: seen.elapsed,
        times: seen.times,
        service: had.0.zip(has.0).map(|(had, has)| has - had),
        store: had.1.zip(has.1).map(|(had, has)| has - had),
    })
}

/// Of the contestant's process, and of its store's server.
fn cpu(child: &Child, servers: &Servers) -> (Option<f64>, Option<f64>) {
    let place = child.contestant().place();
    (process::seconds(child.pid()), servers.seconds(place))
}
