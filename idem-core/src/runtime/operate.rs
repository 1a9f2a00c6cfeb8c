//! What operators do: look at slots, and end those whose owner is gone.

use super::{Runtime, commands::Failed};
use crate::{
    Fence, ListQuery, OwnerId, Page, Resolution, Resolved, Slot, SlotState, SlotView, StoreError,
    record::{KeyId, OpenError, Place},
};

/// A slot that was looked at, and how its record is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The slot. A record that opens is open, and expanded if it was compressed; one that
    /// does not is as it is stored.
    pub view: SlotView,
    /// Whether its record is sealed.
    pub seal: Seal,
}

/// How a slot's record is kept, see `idem_core::encryption`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    /// It is not sealed, or there is none.
    None,
    /// It was sealed under this key, and is open.
    Opened(KeyId),
    /// It does not open, and calls are not answered from it.
    Unopened(OpenError),
}

impl Runtime {
    /// Shows a slot without changing it; `None` when it is absent. The slot of a key
    /// is [`slot`](Self::slot)'s. Its record is open, if it opens: see
    /// [`inspect_sealed`](Self::inspect_sealed).
    ///
    /// # Errors
    /// [`StoreError`]: the store did not answer in time.
    pub async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        let inspected = self.inspect_sealed(slot).await?;
        Ok(inspected.map(|inspected| inspected.view))
    }

    /// [`inspect`](Self::inspect) that also says whether the record is sealed, under
    /// which key, and why it does not open.
    ///
    /// # Errors
    /// [`StoreError`]: the store did not answer in time.
    pub async fn inspect_sealed(&self, slot: Slot) -> Result<Option<Inspected>, StoreError> {
        let view = self.inner.commands.inspect(slot).await;
        let view = view.map_err(|failed| failed.error)?;
        Ok(view.map(|view| self.opened(view)))
    }

    fn opened(&self, mut view: SlotView) -> Inspected {
        let SlotState::Completed { record, .. } = &mut view.state else {
            let seal = Seal::None;
            return Inspected { view, seal };
        };
        let sealer = self.inner.seals.at(Place {
            slot: view.slot,
            fingerprint: view.fingerprint,
        });
        let seal = match sealer.open(record.clone()) {
            Ok((opened, key)) => {
                *record = opened;
                key.map_or(Seal::None, Seal::Opened)
            }
            Err(error) => Seal::Unopened(error),
        };
        Inspected { view, seal }
    }

    /// Lists slots page by page, such as those whose outcome is unknown, see
    /// [`Store::list`](crate::Store::list). Records are as they are stored.
    ///
    /// # Errors
    /// [`StoreError`]: the store did not answer in time.
    ///
    /// # Examples
    /// ```
    /// use idem_core::{ListQuery, MemoryStore, Runtime, StateKind};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::builder(MemoryStore::new()).build()?;
    /// let query = ListQuery { state: Some(StateKind::Unknown), after: None, limit: 100 };
    /// assert!(runtime.list(query).await?.slots.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        let page = self.inner.commands.list(query).await;
        page.map_err(|failed| failed.error)
    }

    /// Ends a slot whose owner is gone, by the decision of `operator`, see
    /// [`Store::resolve`](crate::Store::resolve). `fence` is the one that was seen
    /// when it was decided: if the slot has moved on since, nothing changes. A runtime
    /// with a keyring seals the record; for that it asks for the slot once more. One that
    /// compresses compresses it.
    ///
    /// What was decided, by whom and what became of it is an event of the target
    /// `idem::audit`.
    ///
    /// # Errors
    /// [`StoreError`]: the store did not answer in time. The decision may have been
    /// applied if the error [is ambiguous](StoreError::is_ambiguous); to resolve it
    /// again is safe, and says [`Resolved::Moved`] then.
    pub async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: &str,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        let decision = match &resolution {
            Resolution::Complete { .. } => "complete",
            Resolution::Release { .. } => "release",
        };
        let who = OwnerId::random();
        let commands = &self.inner.commands;
        let resolved = match self.sealed_for(slot, resolution).await {
            Ok(Some(resolution)) => commands.resolve(slot, fence, who, &resolution).await,
            Ok(None) => Ok(Resolved::Moved),
            Err(failed) => Err(failed),
        };
        let outcome = match &resolved {
            Ok(Resolved::Done) => {
                self.inner.waiters.wake(&slot);
                "done"
            }
            Ok(Resolved::Moved) => "moved",
            Ok(Resolved::StillOwned { .. }) => "still owned",
            Err(failed) if failed.maybe_applied => "perhaps done",
            Err(_) => "failed",
        };
        tracing::warn!(
            target: "idem::audit",
            %slot,
            %fence,
            operator,
            decision,
            outcome,
            "an operator resolves a slot"
        );
        resolved.map_err(|failed| {
            if failed.maybe_applied && !failed.error.is_ambiguous() {
                // The last try was certainly not applied, and one before it perhaps was.
                return StoreError::Interrupted(Box::new(failed.error));
            }
            failed.error
        })
    }

    /// The decision with its record as the slot's nodes read it. `None`: there is no such
    /// slot.
    async fn sealed_for(
        &self,
        slot: Slot,
        resolution: Resolution,
    ) -> Result<Option<Resolution>, Failed> {
        let (record, retention) = match resolution {
            Resolution::Complete { record, retention } if self.inner.seals.seals() => {
                (record, retention)
            }
            Resolution::Complete { record, retention } => {
                let record = self.inner.seals.compressed(record);
                return Ok(Some(Resolution::Complete { record, retention }));
            }
            release @ Resolution::Release { .. } => return Ok(Some(release)),
        };
        let Some(view) = self.inner.commands.inspect(slot).await? else {
            return Ok(None);
        };
        let sealer = self.inner.seals.at(Place {
            slot,
            fingerprint: view.fingerprint,
        });
        match sealer.record(record) {
            Ok(record) => Ok(Some(Resolution::Complete { record, retention })),
            Err(error) => Err(Failed {
                error,
                maybe_applied: false,
            }),
        }
    }
}
