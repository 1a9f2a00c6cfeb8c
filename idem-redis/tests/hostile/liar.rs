//! A peer that speaks RESP and answers commands as it is told to.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use idem_redis::{RedisStore, RedisStoreBuilder};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// What comes instead of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Lie {
    /// These bytes.
    Bytes(Bytes),
    /// These bytes, one every twentieth of a second.
    Drip(Bytes),
    /// The first, and then the second without end.
    Endless(Bytes, Bytes),
    /// Nothing.
    Silence,
    /// These bytes, and the connection is closed.
    HangUp(Bytes),
}

impl Lie {
    pub(crate) fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// It tells the truth about itself, so that a store connects, and lies about slots.
pub(crate) struct Liar {
    address: SocketAddr,
    shared: Arc<Shared>,
    // Its connections end with it.
    _serving: JoinSet<()>,
}

struct Shared {
    lie: Mutex<Lie>,
    probed_too: AtomicBool,
    asked: AtomicUsize,
    sent: AtomicUsize,
    /// How many connections it has seen end in the middle of a lie.
    ended: watch::Sender<usize>,
}

impl Liar {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            lie: Mutex::new(Lie::Silence),
            probed_too: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            ended: watch::Sender::new(0),
        });
        let mut serving = JoinSet::new();
        let accepting = Arc::clone(&shared);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                connections.spawn(serve(socket, address, Arc::clone(&accepting)));
            }
        });
        Self {
            address,
            shared,
            _serving: serving,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn says(&self, lie: Lie) {
        *self.shared.lie.lock().unwrap() = lie;
    }

    /// From now on it lies about its health as well.
    pub(crate) fn says_so_of_itself(&self) {
        self.shared.probed_too.store(true, SeqCst);
    }

    /// How many commands about slots it was sent.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(SeqCst)
    }

    /// How many bytes of lies it could send.
    pub(crate) fn sent(&self) -> usize {
        self.shared.sent.load(SeqCst)
    }

    /// Waits until a connection has been closed on it in the middle of a lie.
    pub(crate) async fn until_hung_up(&self) {
        let mut ended = self.shared.ended.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(30), ended.wait_for(|n| *n > 0));
        waited.await.expect("nobody reads it for ever").unwrap();
    }

    fn builder(&self, scheme: &str) -> RedisStoreBuilder {
        RedisStore::builder(format!("{scheme}://{}", self.address))
            .command_timeout(Duration::from_millis(300))
            .connect_timeout(Duration::from_secs(10))
            .reconnect(Duration::from_millis(1), Duration::from_millis(10))
    }

    pub(crate) async fn store(&self) -> RedisStore {
        self.builder("redis").connect().await.expect("it connects")
    }

    /// A store that waits no longer than this for an answer.
    pub(crate) async fn store_within(&self, deadline: Duration) -> RedisStore {
        let builder = self.builder("redis").command_timeout(deadline);
        builder.connect().await.expect("it connects")
    }

    pub(crate) async fn cluster(&self) -> RedisStore {
        let builder = self.builder("redis-cluster");
        builder.connect().await.expect("it connects")
    }
}

async fn serve(socket: TcpStream, address: SocketAddr, shared: Arc<Shared>) {
    let (reading, mut writing) = socket.into_split();
    let mut reading = BufReader::new(reading);
    while let Some(command) = next_command(&mut reading).await {
        let is_probe = command.get(3).is_some_and(|key| key.contains("probe"));
        let lies = is_probe && shared.probed_too.load(SeqCst);
        if let Some(truth) = truth(&command, address).filter(|_| !lies) {
            if writing.write_all(truth.as_bytes()).await.is_err() {
                return;
            }
            continue;
        }
        shared.asked.fetch_add(1, SeqCst);
        let lie = shared.lie.lock().unwrap().clone();
        if tell(&mut writing, lie, &shared).await.is_none() {
            shared.ended.send_modify(|ended| *ended += 1);
            return;
        }
    }
}

async fn tell(to: &mut (impl AsyncWriteExt + Unpin), lie: Lie, shared: &Shared) -> Option<()> {
    let mut send = async |bytes: &[u8]| {
        to.write_all(bytes).await.ok()?;
        shared.sent.fetch_add(bytes.len(), SeqCst);
        Some(())
    };
    match lie {
        Lie::Bytes(bytes) => send(&bytes).await,
        Lie::Drip(bytes) => {
            for byte in bytes {
                send(&[byte]).await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Some(())
        }
        Lie::Endless(first, more) => {
            send(&first).await?;
            loop {
                send(&more).await?;
                tokio::task::yield_now().await;
            }
        }
        Lie::Silence => Some(()),
        Lie::HangUp(bytes) => {
            send(&bytes).await?;
            None
        }
    }
}

/// `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`; `None` at the end.
async fn next_command(from: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Vec<String>> {
    let mut command = Vec::new();
    for _ in 0..number(from).await? {
        let mut word = vec![0; number(from).await? + 2];
        from.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        command.push(String::from_utf8_lossy(&word).into_owned());
    }
    Some(command)
}

async fn number(from: &mut (impl AsyncBufReadExt + Unpin)) -> Option<usize> {
    let mut line = String::new();
    from.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim_end().parse().ok()
}

/// What is asked of it at the start.
fn truth(command: &[String], address: SocketAddr) -> Option<String> {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    match &words[..] {
        ["INFO", ..] if words.len() == 1 => {
            let mode = "redis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n";
            Some(bulk(mode))
        }
        ["CONFIG", ..] => Some("*0\r\n".to_owned()),
        ["CLIENT", ..] => Some("+OK\r\n".to_owned()),
        ["CLUSTER", "SLOTS"] => {
            let (host, port) = (bulk(&address.ip().to_string()), address.port());
            Some(format!(
                "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n{host}:{port}\r\n"
            ))
        }
        ["ASKING"] => Some("+OK\r\n".to_owned()),
        ["EVALSHA", _, _, key, ..] if key.contains("probe") => Some("*0\r\n".to_owned()),
        _ => None,
    }
}
