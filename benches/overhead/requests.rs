//! One POST through axum's router: bare, protected with a fresh key, replayed.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::FromRef,
    http::{Request, header},
    routing::post,
};
use idem_axum::{Idempotency, IdempotencyBuilder, MemoryStore, ReplayCache, idempotent};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::turns::{Contestant, Effort, Shown, race};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

/// About 1 KiB of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) customer: String,
    pub(crate) currency: String,
    pub(crate) note: Option<String>,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) price: u64,
}

pub(crate) fn order(lines: usize) -> Order {
    Order {
        id: 4711,
        customer: "c_8f14e45fceea167a".to_owned(),
        currency: "EUR".to_owned(),
        note: None,
        lines: (0..lines)
            .map(|line| Line {
                sku: format!("sku-{line:08}"),
                quantity: 1 + line as u32,
                price: 1999 * line as u64,
            })
            .collect(),
    }
}

async fn bare(Json(order): Json<Order>) -> Json<u64> {
    Json(order.id)
}

#[idempotent(ttl = "1h", grace = "0s", scope = "global")]
async fn protected(Json(order): Json<Order>) -> Json<u64> {
    Json(order.id)
}

pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    pub(crate) app: Router,
    body: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(Self::builder())
    }

    pub(crate) fn with_cache() -> Self {
        Self::of(Self::builder().replay_cache(ReplayCache {
            max_bytes: 1 << 20,
            max_age: Duration::from_secs(60 * 60),
        }))
    }

    fn builder() -> IdempotencyBuilder {
        Idempotency::builder(MemoryStore::with_limits(usize::MAX, usize::MAX))
    }

    fn of(builder: IdempotencyBuilder) -> Self {
        let idempotency = builder.build().unwrap();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            app: Router::new()
                .route("/bare", post(bare))
                .route("/protected", post(protected))
                .with_state(App { idempotency }),
            body: serde_json::to_string(&order(18)).unwrap(),
        }
    }

    pub(crate) fn request(&self, path: &str, key: &str) -> Request<Body> {
        Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .body(Body::from(self.body.clone()))
            .unwrap()
    }

    pub(crate) fn send(&self, request: Request<Body>) {
        let response = self
            .runtime
            .block_on(self.app.clone().oneshot(request))
            .unwrap();
        assert!(response.status().is_success());
        black_box(response);
    }

    /// Timed without the making of the request.
    fn contestant<'a>(
        &'a self,
        name: &'static str,
        mut request: impl FnMut() -> Request<Body> + 'a,
    ) -> Contestant<'a> {
        let once = Box::new(move || {
            let request = request();
            let started = Instant::now();
            self.send(request);
            started.elapsed()
        });
        Contestant { name, once }
    }
}

pub(crate) fn measure(effort: Effort) -> Vec<Shown> {
    let plain = Bench::new();
    let cached = Bench::with_cache();
    for bench in [&plain, &cached] {
        bench.send(bench.request("/protected", "replayed"));
    }
    let mut sent = 0;
    let contestants = vec![
        plain.contestant("request/bare", || plain.request("/bare", "k")),
        plain.contestant("request/fresh", || {
            sent += 1;
            plain.request("/protected", &format!("fresh-{sent}"))
        }),
        plain.contestant("request/replay", || plain.request("/protected", "replayed")),
        cached.contestant("request/cached", || {
            cached.request("/protected", "replayed")
        }),
    ];
    race(contestants, effort)
}
