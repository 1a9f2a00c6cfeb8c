//! Starts the lab (or another example) as a process of its own and talks to it over real HTTP.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by tests, each of which uses its part"
)]

use std::{
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// How long anything may take that is only waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running lab, or another example. It is killed, by its pid, when this is dropped.
pub struct Lab {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    pub address: String,
    effects: PathBuf,
    directory: Arc<TempDir>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Lab {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(environment: &[(&str, &str)]) -> Self {
        Self::start_example("lab", environment).await
    }

    pub async fn start_example(name: &str, environment: &[(&str, &str)]) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        Self::start_in(name, directory, environment).await
    }

    /// Another node of the same service: it writes into the same effects file.
    pub async fn peer(&self, environment: &[(&str, &str)]) -> Self {
        Self::start_in("lab", Arc::clone(&self.directory), environment).await
    }

    /// Another process in the place of this one, with the same effects file.
    pub async fn successor(&self, name: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_in(name, Arc::clone(&self.directory), environment).await
    }

    /// Reads what it prints until it has printed the line so many times.
    pub async fn until_printed(&mut self, line: &str, times: usize) {
        let printed = async {
            let mut seen = 0;
            while seen < times {
                let next = self.stdout.next_line().await.unwrap();
                seen += usize::from(next.expect("it runs") == line);
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, printed).await;
        in_time.unwrap_or_else(|_| panic!("it has not printed {line:?} {times} times"));
    }

    async fn start_in(name: &str, directory: Arc<TempDir>, environment: &[(&str, &str)]) -> Self {
        let effects = directory.path().join("effects");
        let mut child = Command::new(example(name))
            .env("PORT", "0")
            .env("IDEM_EFFECTS", &effects)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the example starts");
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, stdout.next_line())
            .await
            .expect("it prints its address in time")
            .unwrap()
            .expect("it prints its address");
        let address = line
            .strip_prefix("listening on http://")
            .expect("the first line says where it listens")
            .to_owned();
        Self {
            child,
            stdout,
            address,
            effects,
            directory,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// A request of the user `ana` with an empty order.
    pub fn post(&self, route: &str, name: &str) -> Call<'_> {
        self.call(Method::POST, &format!("/{route}/{name}"))
    }

    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            lab: self,
            method,
            path: path.to_owned(),
            user: Some("ana".to_owned()),
            headers: Vec::new(),
            body: Bytes::from("{}"),
        }
    }

    /// How often a handler has run for `name`, from the effects file.
    pub fn effects(&self, name: &str) -> usize {
        self.lines()
            .iter()
            .filter(|line| line.split(' ').nth(1) == Some(name))
            .count()
    }

    /// The effects file's lines: `ROUTE NAME USER KEY`.
    pub fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.effects)
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Waits until `name` has had `count` effects.
    pub async fn until_effects(&self, name: &str, count: usize) {
        until(|| self.effects(name) >= count).await;
    }

    /// Its process id, as long as it runs.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends SIGKILL and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends SIGTERM and waits for the end; the answer is what it printed since.
    pub async fn terminate(&mut self) -> Vec<String> {
        let pid = self.child.id().expect("it runs").to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(killed.unwrap().success());
        let mut printed = Vec::new();
        let rest = async {
            while let Some(line) = self.stdout.next_line().await.unwrap() {
                printed.push(line);
            }
            self.child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(PATIENCE, rest).await.unwrap();
        assert!(status.success(), "{status}");
        printed
    }
}

/// Waits for a condition, with a deadline.
pub async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Where the program of an example is.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo build --all-features --examples` first",
        path.display()
    );
    path
}

/// A request on its way to the lab.
#[derive(Clone)]
pub struct Call<'a> {
    lab: &'a Lab,
    method: Method,
    path: String,
    user: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Call<'_> {
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    pub fn nobody(mut self) -> Self {
        self.user = None;
        self
    }

    pub fn query(mut self, query: &str) -> Self {
        self.path = format!("{}?{query}", self.path);
        self
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key.as_bytes())
    }

    pub fn header(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((
            HeaderName::try_from(name).unwrap(),
            HeaderValue::from_bytes(value).unwrap(),
        ));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("http://{}{}", self.lab.address, self.path))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(user) = &self.user {
            request = request.header(header::AUTHORIZATION, format!("Bearer {user}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone())).unwrap()
    }

    /// [`try_send`](Self::try_send) that borrows nothing.
    pub fn sent(self) -> impl Future<Output = Option<Answer>> + Send + 'static {
        let (client, request) = (self.lab.client.clone(), self.request());
        async move { answer(client.request(request).await).await }
    }

    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    /// `None`: there was no answer, or only a part of one.
    pub async fn try_send(self) -> Option<Answer> {
        answer(self.lab.client.request(self.request()).await).await
    }

    /// Sends it again, as a client does, until the answer is the handler's.
    pub async fn insist(self) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.clone().send().await;
            let passes = match answer.status {
                StatusCode::SERVICE_UNAVAILABLE => answer.problem() == "store-unavailable",
                StatusCode::CONFLICT => answer.problem() == "in-progress",
                _ => false,
            };
            if !passes {
                return answer;
            }
            assert!(Instant::now() < deadline, "no answer but {answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn answer(
    response: Result<Response<Incoming>, hyper_util::client::legacy::Error>,
) -> Option<Answer> {
    let (parts, body) = response.ok()?.into_parts();
    Some(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.ok()?.to_bytes(),
    })
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn is_replay(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// The problem's slug. Checks what every problem document has.
    pub fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let document = self.json();
        assert_eq!(document["status"], self.status.as_u16());
        assert!(document["title"].as_str().is_some_and(|t| !t.is_empty()));
        assert!(document["detail"].as_str().is_some_and(|d| !d.is_empty()));
        assert!(document["retryable"].is_boolean());
        assert_eq!(
            document["retry_after_ms"].is_u64(),
            self.header("retry-after").is_some()
        );
        let kind = document["type"].as_str().unwrap();
        kind.strip_prefix("urn:idem:problem:").unwrap().to_owned()
    }
}
