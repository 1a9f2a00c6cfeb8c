use std::time::Duration;

use allocation_counter::AllocationInfo;
use axum::{Router, http::StatusCode};
use idem_axum::{Idempotency, MemoryStore, ReplayCache};

use crate::requests::{app, request, send};

/// What the feature `metrics` adds: the labels of each number.
struct OfMetrics {
    fresh: u64,
    replay: u64,
}

const METRICS: OfMetrics = if cfg!(feature = "metrics") {
    OfMetrics {
        fresh: 4,
        replay: 3,
    }
} else {
    OfMetrics {
        fresh: 0,
        replay: 0,
    }
};

/// More than the bare handler's, for a key that is new: the key, the work and the execution
/// around it in a box each and what says whether it goes on, two verbs of the store, the
/// record and its second owner, and the answer's body again.
const FRESH: u64 = 9 + METRICS.fresh;

/// More than the bare handler's, for an answer that is replayed.
const REPLAY: u64 = 4 + METRICS.replay;

/// What the execution of a fresh key takes at once, in bytes, its record and answer included.
const FRESH_BYTES: u64 = 8 << 10;

/// The least of some requests with keys that begin so: a table of the store may grow with any.
fn measure(app: &Router, keys: &str, path: &str, expected: StatusCode) -> AllocationInfo {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let exchange = |key: &str| {
        let request = request(path, key, 1250);
        let mut status = None;
        let info = allocation_counter::measure(|| {
            status = Some(runtime.block_on(send(app, request)).status());
        });
        assert_eq!(status, Some(expected));
        info
    };
    // What is made once (the route's name, the heartbeat's task and queue, a thread's buffers
    // and the memory store's tables) is made here.
    for number in 0..3_000 {
        exchange(&format!("warm-{number}"));
    }
    let measured = (0..16).map(|number| exchange(&format!("{keys}-{number}")));
    measured.min_by_key(|info| info.count_total).unwrap()
}

fn over_bare(app: &Router, keys: &str) -> (u64, u64) {
    let bare = measure(app, "k", "/bare", StatusCode::CREATED);
    let protected = measure(app, keys, "/protected", StatusCode::CREATED);
    (
        protected.count_total - bare.count_total,
        protected.bytes_total - bare.bytes_total,
    )
}

#[test]
fn a_fresh_key_allocates_little() {
    let app = app(Idempotency::builder(MemoryStore::new()));
    let (count, bytes) = over_bare(&app, "k");
    assert!(count <= FRESH, "{count} allocations");
    assert!(bytes <= FRESH_BYTES, "{bytes} bytes");
}

#[test]
fn a_replay_allocates_hardly_anything_with_or_without_a_cache() {
    let (max_bytes, max_age) = (1 << 20, Duration::from_secs(60));
    for cache in [None, Some(ReplayCache { max_bytes, max_age })] {
        let mut builder = Idempotency::builder(MemoryStore::new());
        if let Some(cache) = cache {
            builder = builder.replay_cache(cache);
        }
        let app = app(builder);
        let (count, _) = over_bare(&app, "warm");
        assert!(count <= REPLAY, "{count} allocations, {cache:?}");
    }
}
