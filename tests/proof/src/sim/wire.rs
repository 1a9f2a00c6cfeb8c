//! The [`Store`] that a node sees: every command travels to the machine and back.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, OwnerId, Page, Renewal, Resolution,
    Resolved, Retention, Slot, SlotView, Store, StoreError, Written,
};

use super::machine::{Reply, Request};

/// How a command gets to the machine, and its answer back.
pub(super) trait Wire: Send + Sync + 'static {
    fn ask(&self, request: Request) -> impl Future<Output = Result<Reply, StoreError>> + Send;

    /// Whether one of many renewals is left unanswered this time.
    fn skips(&self) -> bool {
        false
    }
}

/// A store at the far end of a wire.
#[derive(Debug, Clone)]
pub(super) struct Far<W>(pub(super) W);

fn unasked() -> StoreError {
    StoreError::Refused {
        reason: "this answers another command".to_owned(),
    }
}

impl<W: Wire> Far<W> {
    async fn write(&self, request: Request) -> Result<Written, StoreError> {
        match self.0.ask(request).await? {
            Reply::Written(written) => Ok(written),
            _ => Err(unasked()),
        }
    }
}

impl<W: Wire> Store for Far<W> {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        match self.0.ask(Request::Claim(request)).await? {
            Reply::Claim(claim) => Ok(claim),
            _ => Err(unasked()),
        }
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        let one = self.renew_many(&[Renewal { grant, lease }]).await?;
        match one.first() {
            Some(Some(written)) => Ok(*written),
            _ => Err(StoreError::Interrupted("no answer this time".into())),
        }
    }

    async fn renew_many(&self, renewals: &[Renewal]) -> Result<Vec<Option<Written>>, StoreError> {
        match self.0.ask(Request::Renew(renewals.to_vec())).await? {
            Reply::Renewed(each) => {
                let each = each.into_iter();
                Ok(each.map(|it| (!self.0.skips()).then_some(it)).collect())
            }
            _ => Err(unasked()),
        }
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        self.write(Request::Checkpoint(grant, step)).await
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        self.write(Request::Complete(grant, record, retention))
            .await
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        self.write(Request::Release(grant, ttl)).await
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        match self.0.ask(Request::Inspect(slot)).await? {
            Reply::View(view) => Ok(view),
            _ => Err(unasked()),
        }
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        match self.0.ask(Request::List(query)).await? {
            Reply::Page(page) => Ok(page),
            _ => Err(unasked()),
        }
    }

    async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        let request = Request::Resolve(slot, fence, operator, resolution);
        match self.0.ask(request).await? {
            Reply::Resolved(resolved) => Ok(resolved),
            _ => Err(unasked()),
        }
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.0.ask(Request::Health).await.map(|_| ())
    }
}
