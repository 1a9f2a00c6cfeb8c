//! Waiting for a condition.

use std::time::{Duration, Instant};

/// How long anything may take before the test is given up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(5);

// The conditions are not `AsyncFnMut`: a future that calls one is not `Send` enough to be spawned.
// An `async ||` that changes nothing outside is a plain function too.

/// Polls `condition` until it holds. Panics after 30 seconds.
pub async fn until<F>(what: &str, condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    until_or(what, String::new, condition).await;
}

/// As [`until`], with more to say when the deadline passes.
pub(crate) async fn until_or<F>(
    what: &str,
    detail: impl FnOnce() -> String,
    mut condition: impl FnMut() -> F,
) where
    F: Future<Output = bool>,
{
    until_some(what, detail, || {
        let holds = condition();
        async { holds.await.then_some(()) }
    })
    .await;
}

/// Polls `value` until there is one.
pub(crate) async fn until_some<T, F>(
    what: &str,
    detail: impl FnOnce() -> String,
    mut value: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Option<T>>,
{
    // The system's clock: tokio's may be paused.
    let start = Instant::now();
    while let Some(left) = DEADLINE.checked_sub(start.elapsed()) {
        match tokio::time::timeout(left, value()).await {
            Ok(Some(value)) => return value,
            Ok(None) => tokio::time::sleep(POLL).await,
            Err(_) => break,
        }
    }
    panic!(
        "waited for {} s until {what}\n{}",
        DEADLINE.as_secs(),
        detail()
    );
}
