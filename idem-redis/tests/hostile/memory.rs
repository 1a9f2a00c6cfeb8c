//! What a peer announces is not reserved, and what it sends without end is not read without end.

use std::time::Duration;

use bytes::Bytes;
use idem_core::Store;
use tokio::time::timeout;

use super::{
    common::request,
    liar::{Liar, Lie},
};

const MIB: u64 = 1 << 20;

/// Most bytes in use at once on this thread, on which all of it runs.
fn most_bytes(work: impl Future) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let info = allocation_counter::measure(|| {
        runtime.block_on(work);
    });
    info.bytes_max
}

async fn claim_fails(lie: &Lie) {
    let liar = Liar::start().await;
    let store = liar.store_within(Duration::from_millis(50)).await;
    liar.says(lie.clone());
    let claim = timeout(Duration::from_secs(10), store.claim(request())).await;
    claim.expect("in time").expect_err("no claim");
}

#[test]
fn what_is_announced_is_not_reserved() {
    let quiet = most_bytes(claim_fails(&Lie::bytes("+OK\r\n")));
    let announced = |what: &str, end: &str| {
        // As deep as replies are read, each level announcing as much.
        let nested = what.repeat(90);
        [format!("{what}{end}"), format!("{nested}{end}")]
    };
    let lies = [
        announced("*1000000000\r\n", ":1\r\n"),
        announced("%1000000000\r\n", ":1\r\n"),
        announced("~9223372036854775807\r\n", ""),
        announced(">1000000000\r\n", "+x\r\n"),
        announced("|1000000000\r\n", ":1\r\n"),
        announced("*1\r\n", "$4000000000\r\nx"),
        announced("*1\r\n", "=4000000000\r\nx"),
    ];
    for lie in lies.concat() {
        let most = most_bytes(claim_fails(&Lie::bytes(lie.clone())));
        assert!(most < quiet + 64 * MIB, "{most} bytes for {lie:.40}");
    }
}

#[test]
fn what_never_ends_is_read_no_longer_than_a_deadline() {
    let chunk = |text: &[u8]| Bytes::from(text.repeat((64 << 10) / text.len()));
    let endless = [
        ("+", chunk(b"x")),
        ("$4000000000\r\n", chunk(b"x")),
        ("*1000000000\r\n", chunk(b":1\r\n")),
        ("", chunk(b":1\r\n")),
        ("", chunk(b"+OK\r\n")),
        ("", chunk(b">2\r\n+x\r\n+y\r\n")),
    ];
    for (first, more) in endless {
        let mut sent = 0;
        let most = most_bytes(async {
            let liar = Liar::start().await;
            let store = liar.store().await;
            liar.says(Lie::Endless(Bytes::from(first), more.clone()));
            let claim = timeout(Duration::from_secs(10), store.claim(request())).await;
            let _ = claim.expect("in time");
            // Nobody asks any more: it must not go on by itself.
            drop(store);
            liar.until_hung_up().await;
            sent = liar.sent() as u64;
        });
        eprintln!(
            "{first:?} {more:.12?}: {} MiB sent, {} MiB held",
            sent / MIB,
            most / MIB
        );
    }
}
