//! A server in this process, so that its store can be looked into, behind a real socket.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Request, State},
    middleware::{self, Next},
    routing::post,
};
use idem_axum::{
    Drained, Idempotency, IdempotencyLayer, ListQuery, MemoryStore, SlotState, idempotent,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// How long anything may take that is only waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One protected by the attribute, one by the layer.
pub(crate) const ROUTES: [&str; 2] = ["attribute", "layer"];

#[derive(Clone)]
struct App {
    idempotency: Idempotency,
    runs: Runs,
}

impl axum::extract::FromRef<App> for Idempotency {
    fn from_ref(app: &App) -> Self {
        app.idempotency.clone()
    }
}

#[derive(Clone, Default)]
struct Runs(Arc<Mutex<HashMap<String, usize>>>);

impl Runs {
    /// `large` answers with half a megabyte, everything else with how often it has run.
    fn run(&self, name: &str) -> String {
        let mut runs = self.0.lock().unwrap();
        let runs = runs.entry(name.to_owned()).or_default();
        *runs += 1;
        let size = if name.starts_with("large") {
            512 << 10
        } else {
            0
        };
        format!("{name} {runs}{}", "x".repeat(size))
    }
}

/// How many requests are being served.
#[derive(Clone, Default)]
struct Open(Arc<AtomicUsize>);

impl Open {
    fn enter(&self) -> Entered {
        self.0.fetch_add(1, SeqCst);
        Entered(self.clone())
    }
}

struct Entered(Open);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

#[idempotent(ttl = "1h", scope = "global", state = App)]
async fn pay(State(app): State<App>, Path(name): Path<String>, _body: Bytes) -> String {
    app.runs.run(&name)
}

async fn unannotated(State(app): State<App>, Path(name): Path<String>, _body: Bytes) -> String {
    app.runs.run(&name)
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) idempotency: Idempotency,
    runs: Runs,
    heads: watch::Receiver<usize>,
    open: Open,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let idempotency = Idempotency::builder(MemoryStore::new()).build().unwrap();
        let layer = IdempotencyLayer::builder(&idempotency, Duration::from_secs(3600))
            .global_scope()
            .build()
            .unwrap();
        let runs = Runs::default();
        let (seen, heads) = watch::channel(0);
        let seen = Arc::new(seen);
        let open = Open::default();
        let each = open.clone();
        let app = Router::new()
            .route("/attribute/{name}", post(pay))
            .route("/layer/{name}", post(unannotated).layer(layer))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                seen.send_modify(|seen| *seen += 1);
                let open = each.enter();
                async move {
                    let _open = open;
                    next.run(request).await
                }
            }))
            .with_state(App {
                idempotency: idempotency.clone(),
                runs: runs.clone(),
            });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            idempotency,
            runs,
            heads,
            open,
            serving,
        }
    }

    /// How many requests it is at.
    pub(crate) fn open(&self) -> usize {
        self.open.0.load(SeqCst)
    }

    pub(crate) fn runs(&self, name: &str) -> usize {
        self.runs.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    pub(crate) fn all_runs(&self) -> usize {
        self.runs.0.lock().unwrap().values().sum()
    }

    pub(crate) async fn slots(&self) -> Vec<SlotState> {
        let query = ListQuery {
            state: None,
            after: None,
            limit: 100_000,
        };
        let page = self.idempotency.runtime().list(query).await.unwrap();
        page.slots.into_iter().map(|slot| slot.state).collect()
    }

    /// Waits until so many heads of requests have come.
    pub(crate) async fn until_heads(&self, count: usize) {
        let mut heads = self.heads.clone();
        let come = tokio::time::timeout(PATIENCE, heads.wait_for(|heads| *heads >= count)).await;
        come.expect("the heads come").unwrap();
    }

    /// Waits until so many records are stored.
    pub(crate) async fn until_records(&self, count: usize) {
        until(async || {
            let slots = self.slots().await;
            let recorded = |slot: &&SlotState| matches!(slot, SlotState::Completed { .. });
            slots.iter().filter(recorded).count() >= count
        })
        .await;
    }

    /// Waits until nothing is in flight.
    pub(crate) async fn until_quiet(&self) {
        assert_eq!(self.idempotency.drain(PATIENCE).await, Drained::Clean);
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends requests of which the last says that the connection is to be closed, over one of their
    /// own, and reads what comes until it is.
    pub(crate) async fn say(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut socket = self.connect().await;
        // It may be closed on us in the middle.
        let _ = socket.write_all(bytes.as_ref()).await;
        read_to_end(&mut socket).await
    }

    /// The same for what is not whole: there will be no more of it.
    pub(crate) async fn say_and_end(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut socket = self.connect().await;
        let _ = socket.write_all(bytes.as_ref()).await;
        let _ = socket.shutdown().await;
        read_to_end(&mut socket).await
    }

    /// A well-formed request, and its status and body.
    pub(crate) async fn ask(&self, route: &str, name: &str, key: &str) -> (u16, String) {
        let request = format!(
            "{}connection: close\r\ncontent-length: 0\r\n\r\n",
            head(route, name, key)
        );
        let answer = self.say(request).await;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status(&answer), body.to_owned())
    }
}

/// The head of a request, but for how long its body is.
pub(crate) fn head(route: &str, name: &str, key: &str) -> String {
    format!("POST /{route}/{name} HTTP/1.1\r\nhost: a\r\nidempotency-key: {key}\r\n")
}

pub(crate) fn status(answer: &str) -> u16 {
    let word = answer.split(' ').nth(1).unwrap_or_default();
    word.parse().unwrap_or(0)
}

pub(crate) async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = socket.read_to_end(&mut answer);
    // A connection that is reset has ended too.
    let _ = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("it ends");
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("it comes to pass");
}
