//! The clients: connections that send one request after the other.

use std::{net::SocketAddr, time::Duration};

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use crate::{
    contestants::{Contestant, Replays},
    error::Error,
    workload::{Key, Payloads, Workload, is_first, is_replay},
};

/// How much of a wrong answer is shown.
const SHOWN: usize = 300;

/// A connection to a contestant that is kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    contestant: Contestant,
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// By the contestant's own mark.
    pub(crate) is_replay: bool,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn wrong(&self, contestant: Contestant, what: &'static str) -> Error {
        let text = String::from_utf8_lossy(&self.body);
        let mark = if self.is_replay { "(a replay) " } else { "" };
        Error::Wrong {
            contestant,
            what,
            status: self.status,
            text: mark.chars().chain(text.chars()).take(SHOWN).collect(),
        }
    }
}

impl Connection {
    pub(crate) async fn open(contestant: Contestant, address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Connect { contestant, source };
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, connection) =
            handshake(TokioIo::new(stream))
                .await
                .map_err(|source| Error::Unanswered {
                    contestant,
                    what: "a handshake",
                    source,
                })?;
        Ok(Self {
            contestant,
            sender,
            driver: tokio::spawn(connection).abort_handle(),
        })
    }

    pub(crate) fn contestant(&self) -> Contestant {
        self.contestant
    }

    pub(crate) async fn post(
        &mut self,
        path: &'static str,
        key: &Key,
        body: Bytes,
    ) -> Result<Answer, Error> {
        let request = Request::post(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::COOKIE, &key.cookie)
            .header("idempotency-key", &key.key)
            .body(Full::new(body))?;
        self.send(path, request).await
    }

    pub(crate) async fn get(&mut self, path: &'static str) -> Result<Answer, Error> {
        let request = Request::get(path)
            .header(header::HOST, "localhost")
            .body(Full::default())?;
        self.send(path, request).await
    }

    async fn send(
        &mut self,
        what: &'static str,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Error> {
        let unanswered = |source| Error::Unanswered {
            contestant: self.contestant,
            what,
            source,
        };
        // The connection's task may be just about to take the next one.
        self.sender.ready().await.map_err(unanswered)?;
        let response = self
            .sender
            .send_request(request)
            .await
            .map_err(unanswered)?;
        let mark = match self.contestant.replays() {
            Replays::Marked(name) => response.headers().get(name),
            Replays::Never | Replays::Silently => None,
        };
        Ok(Answer {
            status: response.status(),
            is_replay: mark.is_some_and(|mark| mark == "true"),
            body: response
                .into_body()
                .collect()
                .await
                .map_err(unanswered)?
                .to_bytes(),
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// When clients stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Passed(Duration),
    /// So many requests of each.
    Sent(usize),
}

/// What clients have seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) elapsed: Duration,
    /// How long each request took.
    pub(crate) times: Vec<Duration>,
}

struct Client {
    connection: Connection,
    /// What it replays.
    key: Key,
}

/// Clients of one contestant, each with a connection.
pub(crate) struct Clients {
    clients: Vec<Client>,
    payloads: Payloads,
}

impl Clients {
    pub(crate) async fn open(
        contestant: Contestant,
        address: SocketAddr,
        count: usize,
    ) -> Result<Self, Error> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(Client {
                connection: Connection::open(contestant, address).await?,
                key: Key::fresh(),
            });
        }
        Ok(Self {
            clients,
            payloads: Payloads::new()?,
        })
    }

    /// Has each key executed that is replayed then.
    pub(crate) async fn prepare(&mut self, workload: Workload) -> Result<(), Error> {
        if workload == Workload::Replay {
            let first = self.payloads.order.clone();
            self.each(move |client| {
                let body = first.clone();
                async move { client.first(body).await }
            })
            .await?;
        }
        Ok(())
    }

    pub(crate) async fn run(&mut self, workload: Workload, until: Until) -> Result<Seen, Error> {
        let started = Instant::now();
        let body = self.payloads.order.clone();
        let times = self
            .each(move |client| client.work(workload, until, started, body.clone()))
            .await?;
        Ok(Seen {
            elapsed: started.elapsed(),
            times: times.into_iter().flatten().collect(),
        })
    }

    /// All at the same time, each in a task of its own.
    async fn each<T, F>(&mut self, work: impl Fn(Client) -> F) -> Result<Vec<T>, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<(Client, T), Error>> + Send + 'static,
    {
        let mut tasks: JoinSet<_> = self.clients.drain(..).map(work).collect();
        let mut all = Vec::with_capacity(tasks.len());
        while let Some(done) = tasks.join_next().await {
            let (client, one) = done??;
            self.clients.push(client);
            all.push(one);
        }
        Ok(all)
    }
}

impl Client {
    async fn first(mut self, body: Bytes) -> Result<(Self, ()), Error> {
        let answer = self
            .connection
            .post("/orders", &self.key, body.clone())
            .await?;
        if is_first(&answer, &body) {
            Ok((self, ()))
        } else {
            Err(answer.wrong(self.connection.contestant(), "the first request of a key"))
        }
    }

    async fn work(
        mut self,
        workload: Workload,
        until: Until,
        started: Instant,
        body: Bytes,
    ) -> Result<(Self, Vec<Duration>), Error> {
        let contestant = self.connection.contestant();
        let mut times = Vec::new();
        // One at least, however long the machine has let this wait.
        let goes_on = |sent: usize| match until {
            Until::Passed(time) => sent == 0 || started.elapsed() < time,
            Until::Sent(count) => sent < count,
        };
        while goes_on(times.len()) {
            if workload == Workload::Fresh {
                self.key = Key::fresh();
            }
            let sent = Instant::now();
            let answer = self
                .connection
                .post("/orders", &self.key, body.clone())
                .await?;
            times.push(sent.elapsed());
            let is_right = match workload {
                Workload::Fresh => is_first(&answer, &body),
                Workload::Replay => is_replay(contestant, &answer, &body),
            };
            if !is_right {
                return Err(answer.wrong(contestant, workload.title()));
            }
        }
        Ok((self, times))
    }
}
