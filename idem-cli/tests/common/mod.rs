//! Starts what is hammered, and the program that hammers it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::{
    collections::HashMap,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};

/// How long anything may take that is only waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running example. It is killed, by its pid, when this is dropped.
pub(crate) struct Example {
    pub(crate) url: String,
    _child: Child,
    /// What it prints is read, so that it is not stopped by a full pipe.
    printed: JoinHandle<()>,
}

impl Example {
    pub(crate) async fn start(name: &str) -> Self {
        let mut child = Command::new(example(name))
            .env("PORT", "0")
            .env_remove("IDEM_STORE")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the example starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = timeout(PATIENCE, lines.next_line()).await;
        let first = first
            .expect("it prints its address in time")
            .unwrap()
            .unwrap();
        let url = first
            .strip_prefix("listening on ")
            .expect("its first line says where");
        Self {
            url: url.to_owned(),
            _child: child,
            printed: tokio::spawn(read_all(lines)),
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        self.printed.abort();
    }
}

async fn read_all(mut lines: Lines<BufReader<ChildStdout>>) {
    while let Ok(Some(_)) = lines.next_line().await {}
}

fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo build --all-features --examples` first",
        path.display()
    );
    path
}

/// A service in this process.
pub(crate) struct Served {
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Served {
    /// Takes any request; `answer` is told how many came before.
    pub(crate) async fn start<R: IntoResponse + 'static>(
        answer: impl Fn(usize) -> R + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::start_async(move |number, _| {
            let answer = answer(number).into_response();
            async { answer }
        })
        .await
    }

    pub(crate) async fn start_async<F>(
        answer: impl Fn(usize, HeaderMap) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response> + Send,
    {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let router = Router::new().fallback(move |headers: HeaderMap| {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            answer(number, headers)
        });
        Self::serve(router, requests).await
    }

    async fn serve(router: Router, requests: Arc<AtomicUsize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/payments", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            requests,
            task,
        }
    }

    /// How many have arrived.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What each key has been told, of a service that has idempotency right.
#[derive(Default)]
pub(crate) struct Told {
    /// How many conflicts the key that runs has been told; `None` when it has ended.
    keys: Mutex<HashMap<Vec<u8>, Option<usize>>>,
    changed: Notify,
}

impl Told {
    /// The first request of a key ends only when `others` have been told of a conflict.
    pub(crate) async fn answer(
        &self,
        number: usize,
        headers: &HeaderMap,
        others: usize,
    ) -> Response {
        let key = headers["idempotency-key"].as_bytes().to_vec();
        let before = {
            let mut keys = self.keys.lock().unwrap();
            let before = keys.get(&key).copied();
            let now = before.map_or(Some(0), |told| told.map(|told| told + 1));
            keys.insert(key.clone(), now);
            before
        };
        match before {
            Some(None) => {
                return (StatusCode::CREATED, [("idempotent-replayed", "true")]).into_response();
            }
            Some(Some(_)) => {
                self.changed.notify_waiters();
                let problem = (header::CONTENT_TYPE, "application/problem+json");
                let later = (header::RETRY_AFTER, "1");
                return (StatusCode::CONFLICT, [problem, later], "{}").into_response();
            }
            None => {}
        }
        let is_alone = number == 0;
        loop {
            let changed = self.changed.notified();
            let told = self.keys.lock().unwrap()[&key];
            if is_alone || told >= Some(others) {
                break;
            }
            changed.await;
        }
        self.keys.lock().unwrap().insert(key, None);
        StatusCode::CREATED.into_response()
    }
}

/// `idem hammer URL`, to be given more arguments.
pub(crate) fn hammer(url: &str) -> Hammer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_idem"));
    command.args(["hammer", url]).kill_on_drop(true);
    Hammer(command)
}

pub(crate) struct Hammer(Command);

impl Hammer {
    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) async fn run(mut self) -> Run {
        let output = timeout(PATIENCE, self.0.output())
            .await
            .expect("it ends")
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run {
            code: output.status.code().expect("it exits by itself"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            report: Value::Null,
        }
    }

    /// With `--json`.
    pub(crate) async fn report(self) -> Run {
        let mut run = self.args(["--json"]).run().await;
        run.report =
            serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        run
    }
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// `null` without `--json`.
    pub(crate) report: Value,
}

impl Run {
    pub(crate) fn says(&self, text: &str) {
        assert!(
            self.stdout.contains(text),
            "not said: {text}\n{}",
            self.stdout
        );
    }

    pub(crate) fn complains(&self, text: &str) {
        assert!(
            self.stderr.contains(text),
            "not said: {text}\n{}",
            self.stderr
        );
    }

    pub(crate) fn rule(&self, name: &str) -> &Value {
        let rules = self.report["rules"].as_array().unwrap();
        rules.iter().find(|rule| rule["rule"] == name).unwrap()
    }

    pub(crate) fn verdict(&self, rule: &str) -> &str {
        self.rule(rule)["verdict"].as_str().unwrap()
    }

    pub(crate) fn verdicts(&self) -> Vec<(&str, &str)> {
        let rules = self.report["rules"].as_array().unwrap().iter();
        rules
            .map(|rule| {
                (
                    rule["rule"].as_str().unwrap(),
                    rule["verdict"].as_str().unwrap(),
                )
            })
            .collect()
    }
}
