//! What a sender would send, ready to be pasted.

use crate::signature::{Secret, now};

/// Used unless there is another; nobody prints deliveries under a secret that matters.
pub(crate) const SECRET: &str = "whsec_ZGVtbyBzZWNyZXQsIG5vdCBmb3IgeW91cnM=";

pub(crate) fn print(url: &str, secret: &Secret) {
    let time = now();
    let id = format!("msg_{time}");
    let event = r#"{"account":"ana","amount":1250}"#;
    let other = r#"{"account":"eve","amount":9999}"#;
    let deliver = |time: u64, signed: &str, sent: &str| {
        let signature = secret.sign(&id, time, signed.as_bytes());
        let headers = format!("-H 'webhook-id: {id}' -H 'webhook-timestamp: {time}'");
        println!("  curl -i {url} {headers} -H 'webhook-signature: {signature}' --json '{sent}'");
    };
    println!("\nWithin five minutes: deliver an event, deliver it again with a newer signature");
    println!(
        "(credited once), forge it (401), sign another payload as the same event (409), look:"
    );
    deliver(time, event, event);
    deliver(time + 1, event, event);
    deliver(time, event, other);
    deliver(time, other, other);
    println!("  curl {url}");
}
