//! What is counted and not timed: allocations, the memory of a record, what becomes of another payload
//! under the same key, and of duplicates in flight.

use std::ops::RangeInclusive;

use futures_util::future::try_join_all;
use hyper::StatusCode;

use crate::{
    child::Child,
    contestants::{Contestant, Place},
    effort::Effort,
    error::Error,
    load::{Clients, Connection, Until},
    process,
    servers::Servers,
    workload::{Key, Payloads, Workload, is_first, is_replay},
};

/// Over how many connections records are made.
const CONNECTIONS: usize = 16;
/// How many duplicates are sent at once.
pub(crate) const DUPLICATES: usize = 8;
/// How many keys have another payload, at the most.
const OTHER_PAYLOADS: usize = 100;

#[derive(Debug)]
pub(crate) struct Inspection {
    pub(crate) contestant: Contestant,
    /// Of one request with a fresh key, in the contestant's process.
    pub(crate) fresh: f64,
    pub(crate) replay: Option<f64>,
    /// The bytes that a record takes, where they are kept.
    pub(crate) record: Option<f64>,
    pub(crate) other_payload: Option<OtherPayload>,
    pub(crate) in_flight: InFlight,
}

/// What a key with another payload is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OtherPayload {
    pub(crate) sent: usize,
    pub(crate) refused: usize,
}

/// Groups of requests with the same key and payload, sent at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) groups: usize,
    /// How often one key was executed, at the least and at the most.
    pub(crate) executions: RangeInclusive<u64>,
    /// 409: another one is at work.
    pub(crate) refused: usize,
}

pub(crate) async fn inspect(
    contestant: Contestant,
    servers: &Servers,
    effort: &Effort,
) -> Result<Inspection, Error> {
    let mut child = Child::start(contestant, servers.home(contestant).await?).await?;
    let counted = effort.counted();
    // What is made once is made here.
    allocations(&mut child, Workload::Fresh, counted).await?;
    let fresh = allocations(&mut child, Workload::Fresh, counted).await?;
    let replay = match contestant.keeps_answers() {
        true => Some(allocations(&mut child, Workload::Replay, counted).await?),
        false => None,
    };
    let inspection = Inspection {
        contestant,
        fresh,
        replay,
        record: record(&mut child, servers, effort.records()).await?,
        other_payload: match contestant.keeps_answers() {
            true => Some(other_payload(&child, counted.min(OTHER_PAYLOADS)).await?),
            false => None,
        },
        in_flight: in_flight(&mut child, effort.groups.into()).await?,
    };
    child.stop().await;
    servers.empty(contestant.place()).await;
    Ok(inspection)
}

/// How many one request takes.
async fn allocations(child: &mut Child, workload: Workload, requests: usize) -> Result<f64, Error> {
    let mut clients = Clients::open(child.contestant(), child.address(), 1).await?;
    clients.prepare(workload).await?;
    // To ask has its own.
    let first = child.stats().await?.allocations;
    let before = child.stats().await?.allocations;
    let asking = before - first;
    clients.run(workload, Until::Sent(requests)).await?;
    let after = child.stats().await?.allocations;
    let taken = (after - before).saturating_sub(asking);
    Ok(taken as f64 / requests as f64)
}

async fn record(
    child: &mut Child,
    servers: &Servers,
    records: usize,
) -> Result<Option<f64>, Error> {
    let mut clients = Clients::open(child.contestant(), child.address(), CONNECTIONS).await?;
    let each = |records: usize| Until::Sent(records.div_ceil(CONNECTIONS));
    // Buffers and pools grow here.
    clients.run(Workload::Fresh, each(records / 5 + 1)).await?;
    let before = stored(child, servers).await?;
    let seen = clients.run(Workload::Fresh, each(records)).await?;
    let after = stored(child, servers).await?;
    let grown = before.zip(after).map(|(before, after)| after - before);
    Ok(grown.map(|bytes| bytes as f64 / seen.times.len() as f64))
}

async fn stored(child: &mut Child, servers: &Servers) -> Result<Option<i64>, Error> {
    match child.contestant().place() {
        Place::Nowhere => Ok(None),
        Place::Memory => Ok(process::resident(child.pid()).and_then(|size| size.try_into().ok())),
        Place::Redis => Ok(servers.redis_memory().await),
        Place::File | Place::Postgres => child.stored().await,
    }
}

async fn other_payload(child: &Child, keys: usize) -> Result<OtherPayload, Error> {
    let what = "another payload under the same key";
    let contestant = child.contestant();
    let mut connection = Connection::open(contestant, child.address()).await?;
    let payloads = Payloads::new()?;
    let mut refused = 0;
    for _ in 0..keys {
        let key = Key::fresh();
        let body = payloads.order.clone();
        let first = connection.post("/orders", &key, body.clone()).await?;
        if !is_first(&first, &body) {
            return Err(first.wrong(contestant, "the first request of a key"));
        }
        let other = connection
            .post("/orders", &key, payloads.other.clone())
            .await?;
        if other.status == StatusCode::CONFLICT {
            refused += 1;
        } else if contestant.is_idem() || !is_replay(contestant, &other, &body) {
            return Err(other.wrong(contestant, what));
        }
    }
    Ok(OtherPayload {
        sent: keys,
        refused,
    })
}

async fn in_flight(child: &mut Child, groups: usize) -> Result<InFlight, Error> {
    let what = "duplicates in flight";
    let contestant = child.contestant();
    let body = Payloads::new()?.order;
    let mut connections = Vec::new();
    for _ in 0..DUPLICATES {
        connections.push(Connection::open(contestant, child.address()).await?);
    }
    let (mut least, mut most, mut refused) = (u64::MAX, 0, 0);
    for _ in 0..groups {
        let key = Key::fresh();
        let before = child.stats().await?.executions;
        let sent = connections
            .iter_mut()
            .map(|connection| connection.post("/slow", &key, body.clone()));
        for answer in try_join_all(sent).await? {
            if answer.status == StatusCode::CONFLICT {
                refused += 1;
            } else if !is_first(&answer, &body) && !is_replay(contestant, &answer, &body) {
                return Err(answer.wrong(contestant, what));
            }
        }
        let executed = child.stats().await?.executions - before;
        if contestant.is_idem() && executed != 1 {
            return Err(Error::Executed {
                contestant,
                what,
                executed,
                expected: 1,
            });
        }
        (least, most) = (least.min(executed), most.max(executed));
        if contestant.keeps_answers() {
            let again = connections[0].post("/slow", &key, body.clone()).await?;
            if !is_replay(contestant, &again, &body) {
                return Err(again.wrong(contestant, "a duplicate afterwards"));
            }
        }
    }
    Ok(InFlight {
        groups,
        executions: least..=most,
        refused,
    })
}
