//! `idem hammer` as a user runs it: against the examples, and against services of the tests' own.
//!
//! The examples have to be built: `cargo build --all-features --examples`.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Redirect},
};
use common::{Example, PATIENCE, Served, Told, hammer};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

const ALICE: [&str; 2] = ["-H", "Authorization: Bearer alice"];
const BOB: [&str; 2] = ["--other-header", "Authorization: Bearer bob"];
const PAYMENT: [&str; 2] = [
    "--data",
    r#"{"amount":1250,"currency":"EUR","customer":"c_1"}"#,
];

#[tokio::test]
async fn payments_keep_every_promise() {
    let payments = Example::start("payments").await;
    let run = hammer(&payments.url)
        .args(ALICE)
        .args(BOB)
        .args(PAYMENT)
        .args(["--effects-url", &payments.url])
        .report()
        .await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.report["verdict"], "holds");
    assert_eq!(run.report["stopped_early"], json!(null));
    for (rule, verdict) in run.verdicts() {
        // Its handler is so quick that no duplicate may be early enough.
        let is_fine =
            verdict == "holds" || rule == "conflict-while-running" && verdict == "not_seen";
        assert!(is_fine, "{rule} {verdict}: {run:?}");
    }
    assert_eq!(run.verdicts().len(), 10);
}

#[tokio::test]
async fn the_naive_service_is_caught_with_evidence() {
    let naive = Example::start("naive").await;
    let run = hammer(&naive.url)
        .args(ALICE)
        .args(BOB)
        .args(PAYMENT)
        .args(["--effects-url", &naive.url])
        .report()
        .await;
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(run.report["verdict"], "violated");
    let broken = [
        "executed-once",
        "changed-payload-refused",
        "isolated-by-user",
        "key-required",
        "bad-key-refused",
        "replay-marked",
    ];
    for rule in broken {
        assert_eq!(run.verdict(rule), "violated", "{rule}: {run:?}");
    }
    let evidence = &run.rule("executed-once")["evidence"][0];
    assert!(evidence["executions"].as_i64().unwrap() > 1, "{evidence}");
    assert!(
        evidence["answers"].as_array().unwrap().len() > 1,
        "{evidence}"
    );
    let key = evidence["key"].as_str().unwrap();
    assert!(key.starts_with("hammer-"), "{key}");
}

#[tokio::test]
async fn without_an_effects_url_or_a_second_user_the_answers_speak_and_the_rest_is_said() {
    let naive = Example::start("naive").await;
    let run = hammer(&naive.url).args(ALICE).args(PAYMENT).run().await;
    assert_eq!(run.code, 1, "{run:?}");
    run.says("VIOLATED      executed-once");
    run.says("different answers of success");
    run.says("skipped       isolated-by-user");
    run.says("--other-header");
    run.says("not seen      disconnect-safe");
    run.says("--effects-url");
}

#[tokio::test]
async fn another_machine_is_refused_before_anything_is_sent() {
    let run = hammer("http://192.0.2.1/payments")
        .args(PAYMENT)
        .run()
        .await;
    assert_eq!(run.code, 2, "{run:?}");
    run.complains("nothing was sent");
    run.complains("--i-own-this-service");
    // The effects are under the same guard, and it is passed before anything leaves.
    let service = Served::start(|_| StatusCode::CREATED).await;
    let run = hammer(&service.url)
        .args(PAYMENT)
        .args(["--effects-url", "http://192.0.2.1/payments"])
        .run()
        .await;
    assert_eq!(run.code, 2, "{run:?}");
    run.complains("192.0.2.1");
    assert_eq!(service.requests(), 0);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_said_to_be_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/payments", listener.local_addr().unwrap());
    drop(listener);
    let run = hammer(&url).args(PAYMENT).run().await;
    assert_eq!(run.code, 2, "{run:?}");
    run.complains("does not answer");
    run.complains(&url);
}

#[tokio::test]
async fn a_template_that_is_refused_is_shown_with_what_to_do() {
    let payments = Example::start("payments").await;
    let run = hammer(&payments.url).args(PAYMENT).run().await;
    assert_eq!(run.code, 2, "{run:?}");
    run.complains("401 Unauthorized");
    run.complains("send Authorization: Bearer NAME");
    run.complains("-H 'Authorization");
}

#[tokio::test]
async fn effects_that_do_not_move_are_no_effects() {
    let service = Served::start(|_| (StatusCode::CREATED, "7")).await;
    let run = hammer(&service.url)
        .args(PAYMENT)
        .args(["--effects-url", &service.url])
        .run()
        .await;
    assert_eq!(run.code, 2, "{run:?}");
    run.complains("from 7 to 7");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Served::start(|_| StatusCode::CREATED).await;
    let place = elsewhere.url.clone();
    let service = Served::start(move |_| Redirect::temporary(&place)).await;
    let run = hammer(&service.url).args(PAYMENT).run().await;
    assert_eq!(run.code, 2, "{run:?}");
    run.complains(&elsewhere.url);
    assert_eq!((service.requests(), elsewhere.requests()), (1, 0));
}

#[tokio::test]
async fn no_proxy_is_taken_from_the_environment() {
    let proxy = Served::start(|_| StatusCode::CREATED).await;
    let service = Served::start(|_| StatusCode::CREATED).await;
    let run = hammer(&service.url)
        .args(PAYMENT)
        .args(["--rounds", "1", "--duplicates", "2"])
        .env("http_proxy", &proxy.url)
        .env("ALL_PROXY", &proxy.url)
        .run()
        .await;
    assert_ne!(run.code, 2, "{run:?}");
    assert_eq!(proxy.requests(), 0);
}

#[tokio::test]
async fn no_more_requests_are_sent_than_max_requests_says() {
    let service = Served::start(|number| (StatusCode::CREATED, number.to_string())).await;
    let run = hammer(&service.url)
        .args(PAYMENT)
        .args(["--max-requests", "60", "--duplicates", "20"])
        .report()
        .await;
    let stop = run.report["stopped_early"].as_str().unwrap();
    assert!(stop.contains("--max-requests 60"), "{stop}");
    assert_eq!(run.verdict("executed-once"), "violated");
    assert_eq!(run.verdict("slow-client-safe"), "not_seen");
    let sent = run.report["requests"].as_u64().unwrap();
    assert!(sent <= 60, "{sent}");
    assert!(service.requests() <= 60, "{}", service.requests());
}

#[tokio::test]
async fn max_requests_below_the_probe_is_an_error() {
    let service = Served::start(|_| StatusCode::CREATED).await;
    let run = hammer(&service.url)
        .args(["--max-requests", "0"])
        .run()
        .await;
    assert_eq!(run.code, 2, "{run:?}");
    run.complains("--max-requests 0");
    assert_eq!(service.requests(), 0);
}

#[tokio::test]
async fn the_run_ends_when_max_time_is_over() {
    // It answers the probe and nothing else.
    let service = Served::start_async(|number, _| async move {
        if number > 0 {
            std::future::pending::<()>().await;
        }
        StatusCode::CREATED.into_response()
    })
    .await;
    let run = hammer(&service.url)
        .args(PAYMENT)
        .args(["--max-time", "2s"])
        .report()
        .await;
    assert_eq!(run.code, 0, "{run:?}");
    let stop = run.report["stopped_early"].as_str().unwrap();
    assert!(stop.contains("--max-time 2s"), "{stop}");
    assert_eq!(run.verdict("executed-once"), "not_seen");
}

#[tokio::test]
async fn a_service_that_fails_under_load_is_no_service_that_holds() {
    let service = Served::start(|number| match number {
        0 => StatusCode::CREATED,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    })
    .await;
    let run = hammer(&service.url)
        .args(PAYMENT)
        .args(["--rounds", "2", "--duplicates", "3"])
        .run()
        .await;
    assert_eq!(run.code, 1, "{run:?}");
    run.says("inconclusive  executed-once");
    run.says("503 Service Unavailable");
}

#[tokio::test]
async fn duplicates_that_are_told_to_come_back_are_seen() {
    const DUPLICATES: usize = 5;
    // The first of each key ends only when all others have been told; the probe has no others.
    let told = Arc::new(Told::default());
    let service = {
        let told = Arc::clone(&told);
        Served::start_async(move |number, headers| {
            let told = Arc::clone(&told);
            async move { told.answer(number, &headers, DUPLICATES - 1).await }
        })
        .await
    };
    let others = [
        "changed-payload-refused",
        "key-required",
        "bad-key-refused",
        "disconnect-safe",
        "slow-client-safe",
        "isolated-by-user",
    ];
    let run = hammer(&service.url)
        .args(PAYMENT)
        .args(["--rounds", "2", "--duplicates", &DUPLICATES.to_string()])
        .args(others.iter().flat_map(|rule| ["--skip", rule]))
        .report()
        .await;
    assert_eq!(run.code, 0, "{run:?}");
    for rule in [
        "executed-once",
        "same-answer",
        "replay-marked",
        "conflict-while-running",
    ] {
        assert_eq!(run.verdict(rule), "holds", "{rule}: {run:?}");
    }
    let detail = run.rule("conflict-while-running")["detail"]
        .as_str()
        .unwrap();
    assert!(detail.starts_with("8 duplicates"), "{detail}");
    for rule in others {
        assert_eq!(run.verdict(rule), "skipped");
    }
}

#[tokio::test]
async fn a_body_is_the_files_and_every_request_is_as_the_user_says() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order.json");
    std::fs::write(&file, r#"{"amount":5}"#).unwrap();
    let wrong = Arc::new(AtomicUsize::new(0));
    let service = {
        let wrong = Arc::clone(&wrong);
        Served::start_async(move |_, headers| {
            let is_right =
                headers["x-tenant"] == "t" && headers[header::CONTENT_TYPE] == "application/json";
            wrong.fetch_add(usize::from(!is_right), Ordering::Relaxed);
            async { StatusCode::CREATED.into_response() }
        })
        .await
    };
    let run = hammer(&service.url)
        .args([
            "--data",
            &format!("@{}", file.display()),
            "-H",
            "X-Tenant: t",
        ])
        .args([
            "--key-header",
            "X-Key",
            "--rounds",
            "1",
            "--duplicates",
            "2",
        ])
        .run()
        .await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(service.requests() > 10);
    assert_eq!(wrong.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn tls_is_verified_against_the_authority_that_the_environment_names() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("authority.pem");
    std::fs::write(&authority, key.cert.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], key.signing_key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    let served = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                // The head of a request without a body comes in one piece.
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let small = ["--rounds", "1", "--duplicates", "2"];
    let run = hammer(&url)
        .args(small)
        .env("SSL_CERT_FILE", authority.to_str().unwrap())
        .report();
    let run = timeout(PATIENCE, run).await.unwrap();
    assert_eq!(run.verdict("key-required"), "violated", "{run:?}");
    let run = timeout(PATIENCE, hammer(&url).args(small).run())
        .await
        .unwrap();
    assert_eq!(run.code, 2, "{run:?}");
    run.complains("no TLS");
    served.abort();
}
