//! HTTP/1.1 over connections of its own.
//!
//! No client library with a pool: a race needs its connections open before it starts, a client that
//! goes away has to close its connection and not give it back, and only checked addresses may be
//! connected to. No redirect is followed, and no proxy is read from the environment.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes};
use futures_util::{future::join_all, stream};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Frame, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::Barrier,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    answer::{Answer, Reply},
    budget::{Budget, Stop},
    error::HammerError,
    target::Target,
};

/// The most of an answer that is read.
const MAX_BODY: usize = 4 << 20;

/// Into how many pieces a slow client's body is cut.
const DRIBBLES: usize = 8;

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Lost {
    #[error("no connection ({0})")]
    Connect(String),
    #[error("no TLS ({0})")]
    Tls(String),
    #[error("the connection broke ({0})")]
    Broken(String),
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// Not the service's fault.
    #[error("{0}")]
    Stopped(Stop),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Sends to one target, within the bounds.
pub(crate) struct Client {
    target: Target,
    tls: Option<TlsConnector>,
    timeout: Duration,
    budget: Arc<Budget>,
}

/// One open connection. Dropping it closes it.
struct Line {
    sender: http1::SendRequest<Body>,
    driver: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    pub(crate) fn new(
        target: Target,
        timeout: Duration,
        budget: Arc<Budget>,
    ) -> Result<Self, HammerError> {
        let tls = target.is_tls.then(tls).transpose();
        Ok(Self {
            tls: tls.map_err(HammerError::Certificates)?,
            target,
            timeout,
            budget,
        })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// One request over a connection of its own.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Reply, Stop> {
        self.budget.take(1)?;
        Ok(self.within(self.exchange(request.map(whole))).await)
    }

    /// The same request `count` times, over connections that are open before the first one leaves.
    pub(crate) async fn volley(
        &self,
        request: &Request<Bytes>,
        count: u16,
    ) -> Result<Vec<Reply>, Stop> {
        self.budget.take(count.into())?;
        let opened = join_all((0..count).map(|_| self.within(self.open()))).await;
        let (lines, failed): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        let mut replies: Vec<Reply> = failed
            .into_iter()
            .filter_map(Result::err)
            .map(Err)
            .collect();
        let lines: Vec<Line> = lines.into_iter().flatten().collect();
        let start = Arc::new(Barrier::new(lines.len()));
        let mut under_way = JoinSet::new();
        let (limit, stop) = self.limit();
        for line in lines {
            let (start, stop) = (Arc::clone(&start), stop.clone());
            let request = request.clone().map(whole);
            under_way.spawn(async move {
                start.wait().await;
                let reply = timeout(limit, line.exchange(request)).await;
                reply.unwrap_or(Err(stop))
            });
        }
        while let Some(joined) = under_way.join_next().await {
            replies.push(joined.unwrap_or_else(|error| Err(Lost::Broken(error.to_string()))));
        }
        Ok(replies)
    }

    /// Sends the whole request, waits for `delay`, and goes away without reading an answer.
    pub(crate) async fn abandon(
        &self,
        request: &Request<Bytes>,
        delay: Duration,
    ) -> Result<Result<(), Lost>, Stop> {
        self.budget.take(1)?;
        let bytes = on_the_wire(request);
        let sent = async {
            let mut stream = self.connect().await?;
            let written = async {
                stream.write_all(&bytes).await?;
                stream.flush().await
            };
            written
                .await
                .map_err(|error| Lost::Broken(error.to_string()))?;
            if !delay.is_zero() {
                sleep(delay).await;
            }
            Ok(())
        };
        Ok(self.within(sent).await)
    }

    /// A slow client and a fast one: `request` in pieces with a `pause` between two, and when the first has left,
    /// the same at once. The slow one's reply comes first.
    pub(crate) async fn overtake(
        &self,
        request: &Request<Bytes>,
        pause: Duration,
    ) -> Result<(Reply, Reply), Stop> {
        self.budget.take(2)?;
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let slow = self.within(self.exchange(dribbling(request, pause, begun)));
        let fast = async {
            // An error says that the slow one has failed before its body was asked for.
            let _ = has_begun.await;
            self.within(self.exchange(request.clone().map(whole))).await
        };
        Ok(tokio::join!(slow, fast))
    }

    async fn exchange(&self, request: Request<Body>) -> Reply {
        self.open().await?.exchange(request).await
    }

    async fn open(&self) -> Result<Line, Lost> {
        let stream = TokioIo::new(self.connect().await?);
        let (mut sender, connection) = http1::handshake(stream).await.map_err(broken)?;
        let driver = tokio::spawn(async move {
            // What goes wrong, the request is told.
            let _ = connection.await;
        });
        let ready = sender.ready().await.map_err(broken);
        let line = Line { sender, driver };
        ready.map(|()| line)
    }

    /// To the addresses that have passed the guard, and to no other.
    async fn connect(&self) -> Result<Box<dyn Stream>, Lost> {
        let tcp = TcpStream::connect(self.target.addresses.as_slice()).await;
        let tcp = tcp.map_err(|error| Lost::Connect(error.to_string()))?;
        tcp.set_nodelay(true)
            .map_err(|error| Lost::Connect(error.to_string()))?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(tcp));
        };
        let name = ServerName::try_from(self.target.host.clone());
        let name = name.map_err(|error| Lost::Tls(error.to_string()))?;
        let stream = tls.connect(name, tcp).await;
        Ok(Box::new(
            stream.map_err(|error| Lost::Tls(error.to_string()))?,
        ))
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Lost>>) -> Result<T, Lost> {
        let (limit, stop) = self.limit();
        timeout(limit, work).await.unwrap_or(Err(stop))
    }

    /// How long a request may take now, and what it is if it takes longer.
    fn limit(&self) -> (Duration, Lost) {
        let left = self.budget.left();
        if left <= self.timeout {
            (left, Lost::Stopped(self.budget.out_of_time()))
        } else {
            (self.timeout, Lost::Timeout(self.timeout))
        }
    }
}

impl Line {
    async fn exchange(mut self, request: Request<Body>) -> Reply {
        let sent = Instant::now();
        let response = self.sender.send_request(request).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|error| Lost::Broken(error.to_string()))?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
            took: sent.elapsed(),
        })
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn broken(error: hyper::Error) -> Lost {
    let cause = std::error::Error::source(&error);
    Lost::Broken(cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")))
}

fn tls() -> Result<TlsConnector, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    // Named, because another crate of the program may bring a second one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn whole(body: Bytes) -> Body {
    Full::new(body).boxed_unsync()
}

/// Piece by piece; `begun` is told when the first has been taken and the second is asked for.
fn dribbling(
    request: &Request<Bytes>,
    pause: Duration,
    begun: tokio::sync::oneshot::Sender<()>,
) -> Request<Body> {
    let body = request.body().clone();
    let length = body.len().div_ceil(DRIBBLES).max(1);
    let size = body.len();
    let pieces = stream::unfold(
        (body, Some(begun), true),
        move |(mut rest, mut begun, is_first)| async move {
            if rest.is_empty() {
                return None;
            }
            if !is_first {
                if let Some(begun) = begun.take() {
                    // Nobody listens when the fast one has been given up.
                    let _ = begun.send(());
                }
                sleep(pause).await;
            }
            let piece = rest.split_to(length.min(rest.len()));
            Some((Ok(Frame::data(piece)), (rest, begun, false)))
        },
    );
    let mut request = request
        .clone()
        .map(|_| StreamBody::new(pieces).boxed_unsync());
    request
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    request
}

/// The request as bytes. For a client that goes away: who writes them himself knows when they are sent.
fn on_the_wire(request: &Request<Bytes>) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        bytes.put_slice(name.as_str().as_bytes());
        bytes.put_slice(b": ");
        bytes.put_slice(value.as_bytes());
        bytes.put_slice(b"\r\n");
    }
    let length = request.body().len();
    bytes.put_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
    bytes.put_slice(request.body());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_http_says() {
        let mut request = Request::new(Bytes::from_static(b"{}"));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = http::Uri::from_static("/pay?a=b");
        request
            .headers_mut()
            .insert("host", HeaderValue::from_static("h"));
        let expected = "POST /pay?a=b HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(on_the_wire(&request), expected.as_bytes());
    }
}
