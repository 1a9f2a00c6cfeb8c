//! Heads that are too large, and keys that are none.

use super::server::{ROUTES, Server, head, status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_keys_and_a_key_of_a_megabyte_are_refused_before_anything_runs() {
    let server = Server::start().await;
    let end = "connection: close\r\ncontent-length: 0\r\n\r\n";
    for route in ROUTES {
        let with = |keys: String| format!("POST /{route}/big HTTP/1.1\r\nhost: a\r\n{keys}{end}");
        let key = |text: &str| format!("idempotency-key: {text}\r\n");
        let many = |count: usize| (0..count).map(|n| key(&n.to_string())).collect::<String>();
        for keys in [
            many(1000),
            many(90),
            key("k").repeat(1000),
            key(&"k".repeat(1 << 20)),
            key(&"k".repeat(10_000)),
            key("k") + &format!("x: {}\r\n", "x".repeat(1 << 20)),
            key("k\0"),
            key("k\r\n \tk"),
        ] {
            let answer = server.say(with(keys.clone())).await;
            assert!(
                matches!(status(&answer), 0 | 400..=499),
                "{keys:.40}: {answer:.200}"
            );
        }
        // As many as a head may have, all of them the same: one key.
        let answer = server
            .say(with(key("k").repeat(50) + &key("\"k\"").repeat(40)))
            .await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    assert_eq!(server.runs("big"), 2);
    assert_eq!(server.slots().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_document_repeats_nothing_that_a_client_sent() {
    let server = Server::start().await;
    for route in ROUTES {
        for key in ["\"<script>\"x", "\u{e9}<script>", "<script>\u{1}"] {
            let request =
                head(route, "<script>", key) + "connection: close\r\ncontent-length: 0\r\n\r\n";
            let answer = server.say(request).await;
            assert!(matches!(status(&answer), 400), "{answer}");
            assert!(!answer.contains("<script>"), "{answer}");
        }
    }
}
