//! Constant traffic: fresh keys, retries, other payloads, clients that leave.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::nemesis::{
    calls::{post, problem},
    fleet::Node,
};

/// The clients.
pub(super) struct Traffic {
    clients: JoinSet<()>,
    shared: Arc<Shared>,
}

struct Shared {
    node: Arc<Node>,
    client: Client<HttpConnector, Full<Bytes>>,
    keys: AtomicU64,
    requests: AtomicU64,
    surprises: Mutex<Vec<String>>,
}

impl Traffic {
    pub(super) fn start(node: Arc<Node>, time: Duration, clients: u64) -> Self {
        let shared = Arc::new(Shared {
            node,
            client: Client::builder(TokioExecutor::new()).build_http(),
            keys: AtomicU64::default(),
            requests: AtomicU64::default(),
            surprises: Mutex::default(),
        });
        let until = Instant::now() + time;
        let mut all = JoinSet::new();
        for number in 0..clients {
            let shared = Arc::clone(&shared);
            all.spawn(async move {
                let mut random = StdRng::seed_from_u64(number);
                while Instant::now() < until {
                    shared.key(&mut random).await;
                    sleep(Duration::from_millis(random.random_range(0..40))).await;
                }
            });
        }
        Self {
            clients: all,
            shared,
        }
    }

    /// Waits for the clients. How many requests there were, and what was not to be expected.
    pub(super) async fn end(self) -> (u64, Vec<String>) {
        self.clients.join_all().await;
        let surprises = self.shared.surprises.lock();
        let surprises = surprises.unwrap_or_else(PoisonError::into_inner).clone();
        (self.shared.requests.load(Ordering::SeqCst), surprises)
    }
}

impl Shared {
    /// The life of one key.
    async fn key(&self, random: &mut StdRng) {
        let number = self.keys.fetch_add(1, Ordering::SeqCst);
        let key = format!("k{number}");
        let time = if random.random_bool(0.02) {
            // Longer than its lease.
            random.random_range(1_100..1_600)
        } else {
            random.random_range(0..20)
        };
        let padding = random.random_range(0..2_000);
        if random.random_bool(0.1) {
            let leaves = Duration::from_millis(random.random_range(0..10));
            self.send(&key, "p", time, padding, Some(leaves)).await;
        }
        self.send(&key, "p", time, padding, None).await;
        for _ in 0..random.random_range(0..3) {
            self.send(&key, "p", time, padding, None).await;
        }
        if random.random_bool(0.1) {
            self.send(&key, "q", time, padding, None).await;
        }
    }

    async fn send(
        &self,
        key: &str,
        payload: &str,
        time: u32,
        padding: u16,
        leaves: Option<Duration>,
    ) {
        let body = json!({
            "payload": payload, "before_ms": time, "after_ms": 0, "padding": padding,
        });
        let request = post(&self.node.address, "/work-brief", "ana", key)
            .body(Full::new(body.to_string().into()))
            .expect("a request");
        self.requests.fetch_add(1, Ordering::SeqCst);
        let exchange = async {
            let (parts, body) = self.client.request(request).await.ok()?.into_parts();
            let body = body.collect().await.ok()?.to_bytes();
            Some((parts, String::from_utf8_lossy(&body).into_owned()))
        };
        let patience = Duration::from_secs(30);
        let surprise = match timeout(leaves.unwrap_or(patience), exchange).await {
            Err(_) if leaves.is_some() => return,
            Err(_) => "no answer".to_owned(),
            Ok(None) => "the connection broke".to_owned(),
            Ok(Some((parts, body))) => match problem(&parts.headers, &body).as_deref() {
                None if parts.status.is_success() => return,
                // On a machine that stood still for a while all of these may happen.
                Some("in-progress" | "key-reused" | "store-unavailable") => return,
                _ => format!("{} {body}", parts.status),
            },
        };
        let mut surprises = self
            .surprises
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if surprises.len() < 20 {
            surprises.push(format!("{key}: {surprise}"));
        }
    }
}
