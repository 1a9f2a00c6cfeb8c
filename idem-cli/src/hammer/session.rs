//! One run: what every rule sends by, and what it counts with.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use tokio::time::{Instant, sleep};

use super::{
    answer::{Comparison, Kind, Reply},
    budget::{Budget, Stop},
    client::Client,
    effects::{self, Effects},
    progress::Progress,
    template::{Template, Who},
};

/// How long an effect may take to show in the count.
const SETTLE: Duration = Duration::from_secs(1);

/// How long a retry waits at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) template: Template,
    pub(crate) comparison: Comparison,
    pub(crate) budget: Arc<Budget>,
    pub(crate) progress: Progress,
    pub(crate) duplicates: u16,
    pub(crate) rounds: u16,
    /// How long a retry is sent again before it is given up.
    pub(crate) patience: Duration,
    pub(crate) effects: Option<Counter>,
    /// Makes this run's keys no other run's.
    pub(crate) run: u64,
    pub(crate) keys: u32,
    /// What the probe was answered, and how fast.
    pub(crate) probe: Option<super::answer::Answer>,
}

/// Where the effects are counted, and the count at which the last look ended.
pub(crate) struct Counter {
    pub(crate) client: Client,
    pub(crate) pointer: String,
    pub(crate) mark: Option<u64>,
}

impl Session {
    /// A key that has never been used.
    pub(crate) fn fresh_key(&mut self) -> String {
        self.keys += 1;
        format!("hammer-{:016x}-{}", self.run, self.keys)
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Reply, Stop> {
        self.client.send(request).await
    }

    /// Sends it until the answer is no conflict that may pass, as a client does. `409` once the
    /// patience is over is the answer then.
    pub(crate) async fn insist(&self, request: &Request<Bytes>) -> Result<Reply, Stop> {
        let deadline = Instant::now() + self.patience;
        let mut pause = BACKOFF.0;
        loop {
            let reply = self.send(request.clone()).await?;
            let may_pass = match &reply {
                Ok(answer) => answer.kind() == Kind::Conflict && !answer.is_final_conflict(),
                Err(_) => false,
            };
            if !may_pass || Instant::now() + pause > deadline {
                return Ok(reply);
            }
            sleep(pause.min(self.budget.left())).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// The effects that there are.
    pub(crate) async fn count(&self, who: Who) -> Result<Option<Result<u64, String>>, Stop> {
        let Some(counter) = &self.effects else {
            return Ok(None);
        };
        let request = self.template.effects_request(who, counter.client.target());
        let reply = counter.client.send(request).await?;
        Ok(Some(effects::read(&reply, &counter.pointer)))
    }

    /// The first user's effects since the last call. If fewer than `expected`, some time is given to
    /// those that are still on their way to the count.
    pub(crate) async fn new_effects(&mut self, expected: i64) -> Result<Effects, Stop> {
        let mark = self.effects.as_ref().and_then(|counter| counter.mark);
        let (effects, now) = self.effects_since(Who::First, mark, expected).await?;
        if let Some(counter) = &mut self.effects {
            counter.mark = now;
        }
        Ok(effects)
    }

    /// What `who` has had since the count was `before`, and the count now.
    pub(crate) async fn effects_since(
        &self,
        who: Who,
        before: Option<u64>,
        expected: i64,
    ) -> Result<(Effects, Option<u64>), Stop> {
        let deadline = Instant::now() + SETTLE;
        let mut pause = BACKOFF.0;
        loop {
            let now = match self.count(who).await? {
                None => return Ok((Effects::Unasked, None)),
                Some(Err(reason)) => return Ok((Effects::Unreadable(reason), None)),
                Some(Ok(now)) => now,
            };
            let Some(before) = before else {
                let reason = "it could not be read before".to_owned();
                return Ok((Effects::Unreadable(reason), Some(now)));
            };
            // A count beyond `i64` would be no count of requests.
            let since = i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(0);
            if since >= expected || Instant::now() + pause > deadline {
                return Ok((Effects::Counted(since), Some(now)));
            }
            sleep(pause.min(self.budget.left())).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }
}
