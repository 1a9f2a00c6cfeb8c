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
use criterion::{Bencher, Criterion};
use idem_axum::{Idempotency, MemoryStore, idempotent};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tower::ServiceExt;

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
        let idempotency = Idempotency::builder(MemoryStore::with_limits(usize::MAX, usize::MAX))
            .build()
            .unwrap();
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

    /// Times requests one by one. In a batch, their buffers would lie between
    /// the records that stay, and the allocator's search for room would be
    /// what is measured.
    fn time(&self, bencher: &mut Bencher<'_>, request: impl Fn(u64) -> Request<Body>) {
        let mut sent = 0;
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                sent += 1;
                let request = request(sent);
                let started = Instant::now();
                self.send(request);
                total += started.elapsed();
            }
            total
        });
    }
}

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    group.bench_function("bare", |b| {
        let bench = Bench::new();
        bench.time(b, |_| bench.request("/bare", "k"));
    });
    group.bench_function("fresh", |b| {
        let bench = Bench::new();
        bench.time(b, |n| bench.request("/protected", &format!("fresh-{n}")));
    });
    group.bench_function("replay", |b| {
        let bench = Bench::new();
        bench.send(bench.request("/protected", "replayed"));
        bench.time(b, |_| bench.request("/protected", "replayed"));
    });
    group.finish();
}
