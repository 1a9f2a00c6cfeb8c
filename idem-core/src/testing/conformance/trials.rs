//! Several behaviours at once, and what became of each.

use std::any::Any;

use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

/// As many as keep a small machine busy and not behind its clock.
const AT_ONCE: usize = 8;

#[derive(Default)]
pub(super) struct Trials {
    running: JoinSet<(&'static str, Result<(), String>)>,
    failed: Vec<String>,
}

impl Trials {
    pub(super) async fn begin(&mut self, name: &'static str, behaviour: BoxFuture<'static, ()>) {
        while self.running.len() >= AT_ONCE {
            self.join_one().await;
        }
        self.running.spawn(async move {
            // In a task of its own, so that a panic is told and not handed on.
            let ended = tokio::spawn(behaviour).await;
            (
                name,
                ended.map_err(|error| said(error.into_panic().as_ref())),
            )
        });
    }

    pub(super) async fn end(mut self) {
        while !self.running.is_empty() {
            self.join_one().await;
        }
        let failed = self.failed.join("\n");
        assert!(failed.is_empty(), "these behaviours do not hold:\n{failed}");
    }

    async fn join_one(&mut self) {
        if let Some(Ok((name, Err(said)))) = self.running.join_next().await {
            self.failed.push(format!("{name}: {said}"));
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it panicked without a word".to_owned())
}
