//! One small POST over so many connections: a bare handler, and a protected one on the memory store
//! with a new key each time. The server has a runtime of its own; it and its clients share the cores.

use std::{fs, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::FromRef,
    http::{Request, StatusCode, header},
    routing::post,
};
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use idem_axum::{Idempotency, MemoryStore, idempotent};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::Mutex,
};

use crate::{
    effort::Effort,
    fit::slope,
    measure::{Contestant, Operation, Shown, race},
};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    customer: String,
    amount: u64,
    note: String,
}

async fn bare(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn protected(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

pub(crate) fn compare(effort: Effort) {
    let store = MemoryStore::with_limits(usize::MAX, usize::MAX);
    let app = App {
        idempotency: Idempotency::builder(store).build().unwrap(),
    };
    let router = Router::new()
        .route("/bare", post(bare))
        .route("/protected", post(protected))
        .with_state(app);
    let (clients, serving) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let listener = serving.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    serving.spawn(async move { axum::serve(listener, router).await });

    let mut steps = Vec::new();
    for &connections in effort.connections {
        // Both ends of those of two contestants, and what else is open.
        let files = 4 * connections + 100;
        if let Some(most) = open_files().filter(|most| *most < files) {
            eprintln!(
                "{connections} connections are left out: they need {files} open files, and {most} \
                 are allowed (`ulimit -n {files}`)"
            );
            continue;
        }
        let shown = clients.block_on(async {
            let contestants = [
                client("bare", &address, "/bare", connections).await,
                client("fresh key", &address, "/protected", connections).await,
            ];
            race(&contestants, connections, effort.race).await
        });
        eprintln!("{connections} connections are done");
        steps.push((connections, shown[0], shown[1]));
    }
    print(&steps);
    clients.shutdown_background();
    serving.shutdown_background();
}

/// How many files this process may have open, where `/proc` says it.
fn open_files() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn print(steps: &[(usize, Shown, Shown)]) {
    println!(
        "\n| connections | bare, a second | p50 | p99 | fresh key, a second | p50 | p99 | ÷ bare |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let of = |shown: &Shown| {
        format!(
            "{:.0} | {:.0} µs | {:.0} µs",
            shown.per_second,
            shown.p50.as_secs_f64() * 1e6,
            shown.p99.as_secs_f64() * 1e6
        )
    };
    let ratio = |bare: &Shown, fresh: &Shown| fresh.per_second / bare.per_second;
    for (connections, bare, fresh) in steps {
        println!(
            "| {connections} | {} | {} | {:.2} |",
            of(bare),
            of(fresh),
            ratio(bare, fresh)
        );
    }
    // One alone has no slope.
    if steps.len() > 1 {
        let points = steps
            .iter()
            .map(|(connections, bare, fresh)| (*connections as f64, ratio(bare, fresh)));
        println!("| grows as | | | | | | | C^{:.3} |", slope(points));
    }
}

/// Each worker has a connection of its own.
async fn client(
    name: &'static str,
    address: &str,
    path: &'static str,
    connections: usize,
) -> Contestant {
    let mut senders = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        senders.push(Arc::new(Mutex::new(sender)));
    }
    let order = Order {
        customer: "c_8f14e45fceea167a".to_owned(),
        amount: 1250,
        note: "x".repeat(200),
    };
    let body = Bytes::from(serde_json::to_vec(&order).unwrap());
    let operation: Operation = Arc::new(move |worker| {
        let (sender, body) = (Arc::clone(&senders[worker]), body.clone());
        async move { send(&mut *sender.lock().await, path, body).await }.boxed()
    });
    Contestant { name, operation }
}

async fn send(sender: &mut SendRequest<Full<Bytes>>, path: &str, body: Bytes) {
    let request = Request::post(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header(
            "idempotency-key",
            format!("{:032x}", rand::random::<u128>()),
        )
        .body(Full::new(body))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.unwrap();
}
