//! The lab, an example service over HTTP, which is killed in the middle of what it does.

use std::{path::PathBuf, process::Stdio};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use idem_servers::until;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::tool::PATIENCE;

pub(crate) struct Lab {
    url: String,
    child: Child,
    client: Client<HttpConnector, Full<Bytes>>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Lab {
    /// Over the store at `url`, with its effects in `directory`.
    pub(crate) async fn start(store: &str, directory: &std::path::Path) -> Self {
        let mut child = Command::new(program())
            .env("PORT", "0")
            .env("IDEM_STORE", store)
            .env("IDEM_LEASE", "1s")
            .env("IDEM_EFFECTS", directory.join("effects"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = timeout(PATIENCE, lines.next_line()).await;
        let first = first.expect("it starts in time").unwrap().unwrap();
        Self {
            url: first.strip_prefix("listening on ").unwrap().to_owned(),
            child,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// A payment of ana's under the key.
    pub(crate) async fn pay(&self, key: &str, order: &str) -> Answer {
        let pay = request(&self.url, Method::POST, "/lab-refuse/pay", key, order);
        self.send(pay).await
    }

    /// Sends a payment that takes for ever, and waits until its effect has happened.
    pub(crate) async fn begin_to_pay(&self, key: &str, order: &str) {
        let before = self.effects().await;
        let pay = request(&self.url, Method::POST, "/lab-refuse/pay", key, order);
        let _unanswered = tokio::spawn(self.client.request(pay));
        until("the effect has happened", async || {
            self.effects().await > before
        })
        .await;
    }

    pub(crate) async fn effects(&self) -> u64 {
        let get = request(&self.url, Method::GET, "/effects/pay", "-", "");
        self.send(get).await.body["count"].as_u64().unwrap()
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let answer = timeout(PATIENCE, self.client.request(request)).await;
        let (parts, body) = answer.expect("it answers").unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }
}

fn request(url: &str, method: Method, path: &str, key: &str, body: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("{url}{path}"))
        .header("authorization", "Bearer ana")
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .body(body.to_owned().into())
        .unwrap()
}

fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = profile.join("examples").join("lab");
    assert!(
        path.exists(),
        "{} is not built: run `cargo build --all-features --examples` first",
        path.display()
    );
    path
}
