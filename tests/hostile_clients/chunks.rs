//! Bodies that lie about their length.

use super::server::{ROUTES, Server, head, status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_whole_or_not_a_body_runs_nothing() {
    let server = Server::start().await;
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    let lies = [
        format!("{chunked}zz\r\nabc\r\n0\r\n\r\n"),
        format!("{chunked}-1\r\nabc\r\n0\r\n\r\n"),
        format!("{chunked}ffffffffffffffffff\r\nabc"),
        format!("{chunked}7fffffffffffffff\r\nabc"),
        format!("{chunked}3;{}\r\nabc\r\n", "x".repeat(100_000)),
        format!("{chunked}2\r\nabc\r\n0\r\n\r\n"),
        format!("{chunked}9\r\nabc\r\n0\r\n\r\n"),
        // No terminator, or half of it.
        format!("{chunked}3\r\nabc\r\n"),
        format!("{chunked}3\r\nabc\r\n0\r\n"),
        format!("{chunked}3\r\nabc"),
        "content-length: 10\r\n\r\nabc".to_owned(),
        "content-length: -1\r\n\r\n".to_owned(),
        "content-length: 99999999999999999999\r\n\r\nabc".to_owned(),
        "content-length: 3\r\ncontent-length: 4\r\n\r\nabc".to_owned(),
        "transfer-encoding: gzip\r\n\r\nabc".to_owned(),
        "transfer-encoding: chunked, gzip\r\n\r\nabc".to_owned(),
    ];
    for route in ROUTES {
        for lie in &lies {
            let answer = server.say_and_end(head(route, "lie", "k") + lie).await;
            assert!(
                matches!(status(&answer), 0 | 400..=499),
                "{lie:.60}: {answer}"
            );
        }
    }
    server.until_quiet().await;
    assert_eq!(server.all_runs(), 0);
    assert_eq!(server.slots().await, []);
}

/// Two lengths, or something behind the end: what the server takes for the request runs once, and
/// what is behind it is a request of its own or none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hidden_behind_a_body_does_not_run_a_second_time() {
    let server = Server::start().await;
    for route in ROUTES {
        let again =
            |name: &str| head(route, name, name) + "connection: close\r\ncontent-length: 0\r\n\r\n";
        let both = "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        let turned = "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n";
        let rubbish = "transfer-encoding: chunked\r\n\r\n0\r\n\r\n\0\0rubbish\r\n\r\n";
        for (index, lie) in [both, turned, rubbish].iter().enumerate() {
            let name = format!("{route}-{index}");
            let lie = format!("{}{lie}{}", head(route, &name, &name), again(&name));
            for _ in 0..3 {
                server.say(&lie).await;
            }
            assert!(server.runs(&name) <= 1, "{lie}");
            server.ask(route, &name, &name).await;
            assert_eq!(server.runs(&name), 1, "{lie}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_a_pipeline_with_one_key_run_once_and_get_one_answer() {
    let server = Server::start().await;
    for route in ROUTES {
        let one = head(route, route, route) + "content-length: 2\r\n\r\n{}";
        let other = head(route, route, route) + "content-length: 2\r\n\r\n[]";
        let last = one.replace("host: a", "host: a\r\nconnection: close");
        let answers = server.say(one.repeat(20) + &other + &last).await;
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 21, "{answers}");
        assert_eq!(answers.matches("idempotent-replayed: true").count(), 20);
        assert_eq!(answers.matches(&format!("{route} 1")).count(), 21);
        assert_eq!(answers.matches("key-reused").count(), 1);
        assert_eq!(server.runs(route), 1);
    }
}
