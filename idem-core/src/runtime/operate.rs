//! What operators do: look at slots, and end those whose owner is gone.

use super::Runtime;
use crate::{Fence, ListQuery, OwnerId, Page, Resolution, Resolved, Slot, SlotView, StoreError};

impl Runtime {
    /// Shows a slot without changing it; `None` when it is absent. The slot of a key
    /// is [`slot`](Self::slot)'s.
    ///
    /// # Errors
    /// [`StoreError`]: the store did not answer in time.
    pub async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        let view = self.inner.commands.inspect(slot).await;
        view.map_err(|failed| failed.error)
    }

    /// Lists slots page by page, such as those whose outcome is unknown, see
    /// [`Store::list`](crate::Store::list).
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
    /// when it was decided: if the slot has moved on since, nothing changes.
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
        let resolved = self
            .inner
            .commands
            .resolve(slot, fence, who, &resolution)
            .await;
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
}
