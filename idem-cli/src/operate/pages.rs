//! All pages of a list.

use std::{ops::ControlFlow, time::Duration};

use idem_core::{ListQuery, SlotView, StateKind};
use indicatif::{ProgressBar, ProgressStyle};

use super::{OperateError, store::Opened};

impl Opened {
    /// Shows `each` the slots, page by page, until it has seen enough.
    ///
    /// # Errors
    /// The store did not answer.
    pub(crate) async fn each(
        &self,
        state: Option<StateKind>,
        mut each: impl FnMut(SlotView) -> ControlFlow<()>,
    ) -> Result<(), OperateError> {
        let spinner = spinner();
        let mut after = None;
        loop {
            let query = ListQuery {
                state,
                after,
                limit: self.page,
            };
            let page = self.lists.list(query).await;
            let page = page.map_err(|cause| self.failed(cause))?;
            for slot in page.slots {
                spinner.inc(1);
                if each(slot).is_break() {
                    return Ok(());
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// On a terminal's stderr; it goes when it is dropped.
fn spinner() -> Spinner {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} slots, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    Spinner(bar)
}

struct Spinner(ProgressBar);

impl Spinner {
    fn inc(&self, slots: u64) {
        self.0.inc(slots);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
