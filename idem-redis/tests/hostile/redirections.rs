//! Redirections that lead nowhere end.

use std::time::Duration;

use idem_core::{Store, StoreError};
use tokio::time::timeout;

use super::{
    common::{request, told},
    liar::{Liar, Lie},
};

#[tokio::test]
async fn who_is_sent_in_a_circle_comes_out_of_it() {
    let liar = Liar::start().await;
    let store = liar.cluster().await;
    for how in ["MOVED", "ASK"] {
        liar.says(Lie::bytes(format!("-{how} 1 {}\r\n", liar.address())));
        let before = liar.asked();
        let claim = timeout(Duration::from_secs(10), store.claim(request())).await;
        let error = claim.expect("in time").unwrap_err();
        assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
        assert!(told(&error).contains("circle"), "{}", told(&error));
        assert!(liar.asked() - before <= 10, "{}", liar.asked() - before);
    }
}

#[tokio::test]
async fn two_that_send_us_to_one_another_are_left() {
    let (one, other) = (Liar::start().await, Liar::start().await);
    let store = one.cluster().await;
    one.says(Lie::bytes(format!("-MOVED 1 {}\r\n", other.address())));
    other.says(Lie::bytes(format!("-MOVED 1 {}\r\n", one.address())));
    let claim = timeout(Duration::from_secs(10), store.claim(request())).await;
    let error = claim.expect("in time").unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    // Whoever keeps it after all is found.
    one.says(Lie::bytes(":1\r\n"));
    let claim = super::common::insist(|| store.claim(request())).await;
    super::common::won(&claim.unwrap());
}

#[tokio::test]
async fn redirections_to_nowhere_are_errors() {
    let liar = Liar::start().await;
    let store = liar.cluster().await;
    let nowhere = [
        "",
        "1",
        "1 ",
        "1 :",
        "1 host:99999",
        "1 :0",
        "x y z",
        "1 [::1:0",
        "1 127.0.0.1:1",
    ];
    for to in nowhere {
        liar.says(Lie::bytes(format!("-MOVED {to}\r\n")));
        let claim = timeout(Duration::from_secs(10), store.claim(request())).await;
        claim.expect("in time").unwrap_err();
    }
}
