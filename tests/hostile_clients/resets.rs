//! HTTP/2 streams that are reset as soon as they are opened, and connections that go away.

use super::{
    raw_h2::Connection,
    server::{ROUTES, Server},
};

/// Opens a stream and resets it, a thousand times; the server may hang up, so over as many
/// connections as it takes.
async fn rapid_resets(server: &Server, key_of: impl Fn(usize) -> String) {
    let mut client = Connection::open(server.address, None).await;
    for number in 0..1000 {
        if !client.is_open() {
            client = Connection::open(server.address, None).await;
        }
        let (route, key) = (ROUTES[number % 2], key_of(number));
        let stream = client.post(&format!("/{route}/{route}-{key}"), &key, true);
        client.reset(stream);
        client.send().await;
        if number % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    client.go_away();
    client.until_closed().await;
    server.until_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_resets_of_one_key_run_it_once() {
    let server = Server::start().await;
    rapid_resets(&server, |_| "same".to_owned()).await;
    for route in ROUTES {
        let name = format!("{route}-same");
        assert!(server.runs(&name) <= 1);
        assert_eq!(
            server.ask(route, &name, "same").await,
            (200, format!("{name} 1"))
        );
        assert_eq!(server.runs(&name), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_resets_of_as_many_keys_run_each_at_most_once_and_its_retry_is_answered() {
    let server = Server::start().await;
    rapid_resets(&server, |number| number.to_string()).await;
    for number in 0..1000 {
        let name = format!("{}-{number}", ROUTES[number % 2]);
        assert!(server.runs(&name) <= 1, "{name}");
    }
    // Nothing is in flight, so what has run is recorded.
    assert_eq!(server.slots().await.len(), server.all_runs());
    for number in (0..1000).step_by(20) {
        let route = ROUTES[number % 2];
        let name = format!("{route}-{number}");
        let answer = server.ask(route, &name, &number.to_string()).await;
        assert_eq!(answer, (200, format!("{name} 1")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_behind_its_request_finds_the_answer_when_it_is_back() {
    let server = Server::start().await;
    for route in ROUTES {
        let mut client = Connection::open(server.address, None).await;
        let path = format!("/{route}/{route}");
        let stream = client.post(&path, route, false);
        client.go_away();
        client.data(stream, b"", true);
        client.until_closed().await;
        server.until_quiet().await;
        assert_eq!(
            server.ask(route, route, route).await,
            (200, format!("{route} 1"))
        );
        assert_eq!(server.runs(route), 1);
    }
}
