//! Requests whose bodies are not whole: no slot is touched, and nothing is left of them.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    raw_h2::Connection,
    server::{PATIENCE, ROUTES, Server, head, until},
};

/// The head of a request with a body of 100 bytes, and 10 of them.
async fn half(server: &Server, route: &str, name: &str) -> TcpStream {
    let mut socket = server.connect().await;
    let request = head(route, name, name) + "content-length: 100\r\n\r\n0123456789";
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_not_taken_before_the_body_is_there() {
    let server = Server::start().await;
    let mut sockets = Vec::new();
    for number in 0..100 {
        for route in ROUTES {
            sockets.push((
                route,
                number,
                half(&server, route, &number.to_string()).await,
            ));
        }
    }
    server.until_heads(200).await;
    // One that drips goes on dripping meanwhile.
    for _ in 0..5 {
        for (_, _, socket) in sockets.iter_mut().take(20) {
            socket.write_all(b"x").await.unwrap();
        }
        tokio::task::yield_now().await;
        assert_eq!(server.slots().await, []);
    }
    assert_eq!(server.all_runs(), 0);

    // Half of them leave, and one of those that stay sends the rest.
    sockets.retain(|(_, number, _)| number % 2 == 0);
    let (_, _, socket) = &mut sockets[8];
    socket.write_all(&[b'x'; 85]).await.unwrap();
    let mut start = [0; 15];
    let reading = socket.read_exact(&mut start);
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    assert_eq!((server.all_runs(), server.slots().await.len()), (1, 1));
    // Who comes back with a whole request under a key that was left half-open is served.
    assert_eq!(
        server.ask("attribute", "1", "1").await,
        (200, "1 1".to_owned())
    );
    drop(sockets);
    server.until_quiet().await;
    assert_eq!((server.all_runs(), server.slots().await.len()), (2, 2));
}

/// All on one thread, whose memory is counted.
#[test]
fn ten_thousand_half_open_requests_leave_nothing_behind() {
    const STREAMS: usize = 100;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(Server::start());
    let mut heads = 0;
    let mut flood = |connections: usize| {
        heads += connections * STREAMS;
        let heads = heads;
        runtime.block_on(async {
            let mut open = Vec::new();
            for connection in 0..connections {
                let mut client = Connection::open(server.address, None).await;
                for stream in 0..STREAMS {
                    let route = ROUTES[stream % 2];
                    let key = format!("{heads}-{connection}-{stream}");
                    let stream = client.post(&format!("/{route}/x"), &key, false);
                    client.data(stream, b"0123456789", false);
                }
                client.send().await;
                open.push(client);
            }
            server.until_heads(heads).await;
            assert_eq!(server.slots().await, []);
            drop(open);
            // And whatever else there is to do when they have gone is done.
            until(async || server.open() == 0).await;
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
        });
    };
    // What is kept for later is made by the first.
    flood(5);
    let info = allocation_counter::measure(|| flood(100));
    assert!(
        info.bytes_current < 1 << 20,
        "{} bytes are left",
        info.bytes_current
    );
    assert_eq!(server.all_runs(), 0);
}
