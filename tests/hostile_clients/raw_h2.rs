//! HTTP/2 by hand (RFC 9113), for what no client library would send.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::server::PATIENCE;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: u32 = 8;
const INITIAL_WINDOW_SIZE: u16 = 4;

pub(crate) struct Connection {
    socket: TcpStream,
    next: u32,
    out: Vec<u8>,
}

impl Connection {
    /// `window` is how much of each answer the server may send.
    pub(crate) async fn open(address: SocketAddr, window: Option<u32>) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        let out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let mut connection = Self {
            socket,
            next: 1,
            out,
        };
        let settings = window.map_or_else(Vec::new, |window| {
            let (name, value) = (INITIAL_WINDOW_SIZE.to_be_bytes(), window.to_be_bytes());
            [&name[..], &value[..]].concat()
        });
        connection.frame(SETTINGS, 0, 0, &settings);
        connection
    }

    /// A request's head; with `end` there is no body. Says which stream it is on.
    pub(crate) fn post(&mut self, path: &str, key: &str, end: bool) -> u32 {
        let stream = self.next;
        self.next += 2;
        let block: Vec<u8> = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", path),
            ("idempotency-key", key),
        ]
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect();
        let flags = END_HEADERS | if end { END_STREAM } else { 0 };
        self.frame(HEADERS, flags, stream, &block);
        stream
    }

    pub(crate) fn data(&mut self, stream: u32, bytes: &[u8], end: bool) {
        self.frame(DATA, if end { END_STREAM } else { 0 }, stream, bytes);
    }

    pub(crate) fn reset(&mut self, stream: u32) {
        self.frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
    }

    pub(crate) fn go_away(&mut self) {
        self.frame(GOAWAY, 0, 0, &[0; 8]);
    }

    /// Reads, and forgets, what the server has to say; `false` when it has hung up.
    pub(crate) fn is_open(&self) -> bool {
        let mut sink = [0; 4096];
        loop {
            match self.socket.try_read(&mut sink) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Sends, and reads to the end of the connection.
    pub(crate) async fn until_closed(mut self) {
        self.send().await;
        let mut sink = [0; 4096];
        let reading =
            async { while self.socket.read(&mut sink).await.is_ok_and(|read| read > 0) {} };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("it is closed");
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        self.out.extend(&length[1..]);
        self.out.extend([kind, flags]);
        self.out.extend(stream.to_be_bytes());
        self.out.extend(payload);
    }

    /// Everything above only writes down what this sends.
    pub(crate) async fn send(&mut self) {
        // The server may have had enough of us.
        let _ = self.socket.write_all(&self.out).await;
        self.out.clear();
    }
}

/// A literal field without indexing, RFC 7541 §6.2.2.
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 127, "longer ones are written otherwise");
        [&[length], text.as_bytes()].concat()
    };
    [vec![0], text(name), text(value)].concat()
}
