//! One POST of 1 KiB over HTTP: unprotected, protected by hand, protected by idem; server and
//! clients share this process and its cores.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{FromRef, State},
    http::{HeaderMap, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use idem_axum::{Idempotency, RedisStore, idempotent};
use idem_servers::Redis;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, sync::Mutex};

use crate::{
    measure::{Contestant, Effort, Operation, print, race},
    naive,
};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    connection: MultiplexedConnection,
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

async fn by_hand(
    State(mut redis): State<MultiplexedConnection>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap();
    let key = format!("naive:{key}");
    if naive::claim(&mut redis, &key).await {
        let answer = serde_json::to_vec(&order).unwrap();
        naive::complete(&mut redis, &key, &answer).await;
        return json(answer);
    }
    match naive::answer(&mut redis, &key).await {
        running if running == b"running" => StatusCode::CONFLICT.into_response(),
        answer => json(answer),
    }
}

fn json(answer: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

pub(crate) async fn compare(effort: Effort) {
    let redis = Redis::start().await;
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let app = App {
        idempotency: Idempotency::builder(store).build().unwrap(),
        connection: redis.connection().await,
    };
    let router = Router::new()
        .route("/bare", post(bare))
        .route("/by-hand", post(by_hand))
        .route("/protected", post(protected))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    for connections in [1, 16, 64] {
        let contestants = [
            client("unprotected", &address, "/bare", None, connections).await,
            client(
                "by hand, fresh key",
                &address,
                "/by-hand",
                None,
                connections,
            )
            .await,
            client("idem, fresh key", &address, "/protected", None, connections).await,
            client(
                "by hand, replay",
                &address,
                "/by-hand",
                Some("r"),
                connections,
            )
            .await,
            client(
                "idem, replay",
                &address,
                "/protected",
                Some("r"),
                connections,
            )
            .await,
        ];
        let shown = race(&contestants, connections, effort).await;
        print(
            &format!("POST, {connections} connections"),
            &contestants,
            &shown,
        );
        redis.command(&["FLUSHALL"]).await;
    }
    server.abort();
}

/// Each worker has a connection of its own.
async fn client(
    name: &'static str,
    address: &str,
    path: &'static str,
    key: Option<&'static str>,
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
        note: "x".repeat(950),
    };
    let body = Bytes::from(serde_json::to_vec(&order).unwrap());
    let operation: Operation = Arc::new(move |worker| {
        let (sender, body) = (Arc::clone(&senders[worker]), body.clone());
        let key = key.map_or_else(|| format!("{:032x}", rand::random::<u128>()), str::to_owned);
        async move { send(&mut *sender.lock().await, path, &key, body).await }.boxed()
    });
    let contestant = Contestant { name, operation };
    // The first of a key that is replayed runs alone.
    (contestant.operation)(0).await;
    contestant
}

async fn send(sender: &mut SendRequest<Full<Bytes>>, path: &str, key: &str, body: Bytes) {
    let request = Request::post(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", key)
        .body(Full::new(body))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.unwrap();
}
