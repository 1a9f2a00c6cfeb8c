//! One POST through axum's router: bare, protected with a fresh key, replayed.

use std::hint::black_box;

use axum::{
    Json, Router,
    body::Body,
    extract::FromRef,
    http::{Request, header},
    routing::post,
};
use criterion::{BatchSize, Criterion};
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
}

pub(crate) fn measure(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("request");
    group.bench_function("bare", |b| {
        b.iter_batched(
            || bench.request("/bare", "k"),
            |request| bench.send(request),
            BatchSize::SmallInput,
        );
    });
    let mut number = 0u64;
    group.bench_function("fresh", |b| {
        b.iter_batched(
            || {
                number += 1;
                bench.request("/protected", &format!("fresh-{number}"))
            },
            |request| bench.send(request),
            BatchSize::SmallInput,
        );
    });
    bench.send(bench.request("/protected", "replayed"));
    group.bench_function("replay", |b| {
        b.iter_batched(
            || bench.request("/protected", "replayed"),
            |request| bench.send(request),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
