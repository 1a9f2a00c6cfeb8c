//! Answers that nobody reads, or reads a part of.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    raw_h2::Connection,
    server::{ROUTES, Server, head},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_its_answer_does_not_keep_it_from_being_recorded() {
    let server = Server::start().await;
    for (index, route) in ROUTES.into_iter().enumerate() {
        let name = format!("large-{route}");
        // A window of nothing: not a byte of the answer may be sent.
        let mut client = Connection::open(server.address, Some(0)).await;
        client.post(&format!("/{route}/{name}"), &name, true);
        client.send().await;
        server.until_records(index + 1).await;
        server.until_quiet().await;
        let (status, body) = server.ask(route, &name, &name).await;
        assert_eq!((status, body.len()), (200, name.len() + 2 + (512 << 10)));
        assert_eq!(server.runs(&name), 1);
        assert!(client.is_open());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_dropped_in_the_middle_of_an_answer_gets_the_same_one_again() {
    let server = Server::start().await;
    for route in ROUTES {
        let name = format!("large-{route}");
        let mut socket = server.connect().await;
        let request = head(route, &name, &name) + "content-length: 0\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut part = vec![0; 1000];
        socket.read_exact(&mut part).await.unwrap();
        drop(socket);
        let part = String::from_utf8(part).unwrap();
        let (_, body) = part.split_once("\r\n\r\n").unwrap();
        for _ in 0..2 {
            let (status, again) = server.ask(route, &name, &name).await;
            assert_eq!((status, again.len()), (200, name.len() + 2 + (512 << 10)));
            assert!(again.starts_with(body));
        }
        assert_eq!(server.runs(&name), 1);
    }
}
