//! The verbs.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, OwnerId, Page, Renewal, Resolution,
    Resolved, Retention, ScopeTag, Slot, SlotView, Spent, StateKind, Store, StoreError, Under,
    Written,
};

use crate::{
    RedisStoreBuilder, SetupError,
    checks::{self, Hazard},
    commands::{Call, Commands, Done},
    connect::Topology,
    layout::{self, lifetime, millis, owner},
    list, reply,
    scripts::{self, Script},
};

/// Beyond it Lua's numbers, and those of their sums, are not whole.
const MOST_SPENT: u64 = 1 << 50;

/// A store over Redis or Valkey: one server, Sentinel, or Cluster.
///
/// ```no_run
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use idem_redis::RedisStore;
///
/// let store = RedisStore::connect("redis://127.0.0.1:6379").await?;
/// // Or, so that a failover finds what was answered:
/// let store = RedisStore::builder("redis-sentinel://s1,s2,s3/mymaster")
///     .min_replicas(1, Duration::from_millis(100))
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
///
/// See the [crate's page](crate) for what it promises and what it needs.
#[derive(Debug)]
pub struct RedisStore {
    pub(crate) commands: Arc<Commands>,
    pub(crate) hazards: Vec<Hazard>,
}

impl RedisStore {
    /// Connects with the defaults, and checks the server.
    ///
    /// # Errors
    /// [`SetupError`], which says what to do.
    pub async fn connect(url: &str) -> Result<Self, SetupError> {
        Self::builder(url).connect().await
    }

    /// Starts with a URL; everything else has a default.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url.into())
    }

    /// What the checks at the start have found that is no error and still may
    /// lose records. They were logged, too.
    #[must_use]
    pub fn hazards(&self) -> &[Hazard] {
        &self.hazards
    }

    async fn write(
        &self,
        grant: Grant,
        script: &'static Script,
        arguments: &[&[u8]],
    ) -> Result<Written, StoreError> {
        write(&self.commands, Done::Replicated, grant, (script, arguments)).await
    }

    /// Takes a claim back that too few replicas have, without waiting for them. Its
    /// caller does not wait for it either, and never claims again: a release that is
    /// late, or seems lost, would end whatever the same owner has won meanwhile. One
    /// that fails leaves a lease that lapses.
    fn withdraw(&self, grant: Grant, ttl: Duration) {
        let commands = Arc::clone(&self.commands);
        tokio::spawn(async move {
            let ttl = millis(ttl).to_string();
            let release = (&scripts::RELEASE, &[ttl.as_bytes()][..]);
            if let Err(error) = write(&commands, Done::Here, grant, release).await {
                let slot = grant.slot.short();
                tracing::warn!(%slot, %error, "a claim without replicas is not withdrawn");
            }
        });
    }
}

async fn write(
    commands: &Commands,
    done: Done,
    grant: Grant,
    (script, arguments): (&'static Script, &[&[u8]]),
) -> Result<Written, StoreError> {
    let owner = owner(&grant.owner);
    let fence = grant.fence.to_string();
    let mut all: Vec<&[u8]> = vec![owner.as_bytes(), fence.as_bytes()];
    all.extend(arguments);
    let call = Call {
        script,
        done,
        another: None,
        arguments: &all,
    };
    let reply = commands.call(&grant.slot, call).await?;
    reply::written(grant.slot, reply)
}

impl Store for RedisStore {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        let (value, lifetime) = layout::first(&request);
        let lifetime = lifetime.to_string();
        let aliased;
        let call = match request.alias {
            None => Call {
                script: &scripts::CLAIM,
                done: Done::Replicated,
                another: None,
                arguments: &[value.as_bytes(), lifetime.as_bytes()],
            },
            Some(alias) => {
                if let Some(reason) = self.refuses_alias() {
                    let reason = reason.to_owned();
                    return Err(StoreError::Refused { reason });
                }
                (aliased, _) = layout::first(&request.under(Under::Alias));
                Call {
                    script: &scripts::CLAIM_EITHER,
                    done: Done::Replicated,
                    another: Some(alias.slot),
                    arguments: &[value.as_bytes(), lifetime.as_bytes(), aliased.as_bytes()],
                }
            }
        };
        let reply = self.commands.call(&request.slot, call).await?;
        let acknowledged = reply.acknowledged;
        let claim = reply::claim(&request, reply)?;
        if acknowledged.is_enough() {
            return Ok(claim);
        }
        match claim {
            Claim::Claimed(claimed) => {
                let grant = Grant {
                    slot: request.under(claimed.under).slot,
                    owner: request.owner,
                    fence: claimed.fence,
                };
                self.withdraw(grant, request.retention.ttl);
                Err(StoreError::Underreplicated {
                    wanted: acknowledged.wanted,
                    reached: acknowledged.reached,
                })
            }
            // Its owner may have died before the replicas had it. Whoever is given it
            // now and gets another after a failover has had two answers.
            Claim::Completed(_) => Err(reply::unreplicated(acknowledged)),
            claim => Ok(claim),
        }
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        let lease = millis(lease).to_string();
        self.write(grant, &scripts::RENEW, &[lease.as_bytes()])
            .await
    }

    /// A connection sends them as one flight. Those of a server that is silent do
    /// not keep the answers of the others.
    async fn renew_many(&self, renewals: &[Renewal]) -> Result<Vec<Option<Written>>, StoreError> {
        let limit = self.commands.deadline * 4 / 5;
        let asked = renewals
            .iter()
            .map(|renewal| tokio::time::timeout(limit, self.renew(renewal.grant, renewal.lease)));
        let each = futures_util::future::join_all(asked).await.into_iter();
        Renewal::answers(each.map(|answer| answer.unwrap_or(Err(StoreError::TimedOut(limit)))))
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        let arguments = [step.name.as_bytes(), &step.value[..]];
        self.write(grant, &scripts::CHECKPOINT, &arguments).await
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        let grace = millis(retention.grace);
        let lifetime = lifetime(millis(retention.ttl) + grace).to_string();
        let grace = grace.to_string();
        let arguments = [&record[..], grace.as_bytes(), lifetime.as_bytes()];
        self.write(grant, &scripts::COMPLETE, &arguments).await
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        let ttl = millis(ttl).to_string();
        self.write(grant, &scripts::RELEASE, &[ttl.as_bytes()])
            .await
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        let call = Call {
            script: &scripts::INSPECT,
            done: Done::Replicated,
            another: None,
            arguments: &[],
        };
        let reply = self.commands.call(&slot, call).await?;
        let acknowledged = reply.acknowledged;
        let view = reply::view(slot, reply)?;
        // An owner that was fenced answers with the record that it finds here.
        let is_record = matches!(&view, Some(view) if view.state.kind() == StateKind::Completed);
        if is_record && !acknowledged.is_enough() {
            return Err(reply::unreplicated(acknowledged));
        }
        Ok(view)
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        list::page(self, query).await
    }

    async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        let (decision, ttl, grace, record) = match &resolution {
            Resolution::Complete { record, retention } => {
                ("complete", retention.ttl, retention.grace, &record[..])
            }
            Resolution::Release { ttl } => ("release", *ttl, Duration::ZERO, &[][..]),
        };
        let (next, fence) = (fence.next().to_string(), fence.to_string());
        let operator = owner(&operator);
        let (ttl, grace) = (millis(ttl).to_string(), millis(grace).to_string());
        let call = Call {
            script: &scripts::RESOLVE,
            done: Done::Replicated,
            another: None,
            arguments: &[
                fence.as_bytes(),
                next.as_bytes(),
                operator.as_bytes(),
                decision.as_bytes(),
                ttl.as_bytes(),
                grace.as_bytes(),
                record,
            ],
        };
        let reply = self.commands.call(&slot, call).await?;
        reply::resolved(slot, reply)
    }

    async fn health(&self) -> Result<(), StoreError> {
        checks::health(&self.commands).await
    }

    fn refuses_alias(&self) -> Option<&'static str> {
        match self.commands.topology {
            Topology::One(_) => None,
            Topology::Cluster(_) => Some(
                "two slots of a Redis Cluster may be on two servers, and no script looks at both",
            ),
        }
    }

    fn meters(&self) -> bool {
        true
    }

    /// It waits for no replicas: a failover may lose what was counted last.
    async fn spend(
        &self,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
    ) -> Result<Spent, StoreError> {
        let (bytes, window) = (
            bytes.min(MOST_SPENT).to_string(),
            millis(window).to_string(),
        );
        let call = Call {
            script: &scripts::SPEND,
            done: Done::Here,
            another: None,
            arguments: &[bytes.as_bytes(), window.as_bytes()],
        };
        reply::spent(self.commands.call_meter(&tag, call).await?)
    }
}
