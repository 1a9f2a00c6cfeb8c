//! The client hangs up half-way: the body still ends, and the retry gets its record.

mod common;

use std::time::Instant;

use axum::http::StatusCode;
use bytes::Bytes;
use common::{Call, Lab, PATIENCE};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// Retries, as a client would, until there is something else than "in progress".
async fn retry_until_answered(call: Call<'_>) -> common::Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = call.clone().send().await;
        if answer.status != StatusCode::CONFLICT {
            return answer;
        }
        assert_eq!(answer.problem(), "in-progress");
        assert!(Instant::now() < deadline, "it never ended");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_over_http1_loses_nothing() {
    let lab = Lab::start().await;
    for route in ["lab", "lab-layer"] {
        let name = format!("h1-{route}");
        let call = lab
            .post(route, &name)
            .key("k")
            .json(&json!({"sleep_ms": 400}));
        let body = call
            .request()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        let head = format!(
            "POST /{route}/{name} HTTP/1.1\r\nhost: lab\r\nauthorization: Bearer ana\r\n\
             idempotency-key: k\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut socket = TcpStream::connect(&lab.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&body).await.unwrap();
        lab.until_effects(&name, 1).await;
        drop(socket);

        let retry = retry_until_answered(call).await;
        assert!(retry.is_replay());
        assert_eq!(retry.json()["effect"], 1);
        assert_eq!(lab.effects(&name), 1);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_over_http2_loses_nothing() {
    let lab = Lab::start().await;
    for (name, whole_connection) in [("stream", false), ("connection", true)] {
        let call = lab
            .post("lab", name)
            .key(name)
            .json(&json!({"sleep_ms": 400}));
        let socket = TcpStream::connect(&lab.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(
            TokioExecutor::new(),
            TokioIo::new(socket),
        )
        .await
        .unwrap();
        let connection = tokio::spawn(connection);
        let response = tokio::spawn(sender.send_request(call.request()));
        lab.until_effects(name, 1).await;
        if whole_connection {
            connection.abort();
        }
        // Dropping the response's future resets the stream.
        response.abort();

        let retry = retry_until_answered(call).await;
        assert!(retry.is_replay());
        assert_eq!(lab.effects(name), 1);
        connection.abort();
    }
}

#[tokio::test]
async fn a_server_that_shuts_down_finishes_what_its_clients_have_left() {
    let mut lab = Lab::start().await;
    let call = lab
        .post("lab", "a")
        .key("k")
        .json(&json!({"sleep_ms": 700}));
    let request = call.request();
    let socket = TcpStream::connect(&lab.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(socket))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let response = tokio::spawn(async move { sender.send_request(request).await });
    lab.until_effects("a", 1).await;
    response.abort();
    connection.abort();
    assert_eq!(lab.terminate().await, ["drained"]);
}
