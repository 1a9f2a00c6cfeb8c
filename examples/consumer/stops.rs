//! Where a consumer waits, for whoever wants to kill it there (idem's own tests do).
//!
//! `CONSUMER_STOPS` names a point: `started` (its work has begun, the mail is not sent), `sent` (the
//! mail is sent, and nothing recorded) or `recorded` (recorded, and not acknowledged). There it says
//! `stopped at POINT` and waits: go on with `kill -USR1`, or see what `kill -9` leaves.

use std::env;

use tokio::signal::unix::{SignalKind, signal};

pub(crate) async fn stop_at(point: &str) {
    if env::var_os("CONSUMER_STOPS").is_none_or(|stop| stop != point) {
        return;
    }
    match signal(SignalKind::user_defined1()) {
        Ok(mut go_on) => {
            println!("stopped at {point}");
            go_on.recv().await;
        }
        Err(error) => eprintln!("no stop at {point}: {error}"),
    }
}
