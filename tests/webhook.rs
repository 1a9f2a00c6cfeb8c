//! The receiver of webhooks, against a sender that delivers at least once and others that are not it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{Method, StatusCode};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use common::{Answer, Call, Lab};
use futures_util::future::join_all;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OTHER_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PAYLOAD: &str = r#"{"account":"ana","amount":1250}"#;
const OTHER_PAYLOAD: &str = r#"{"account":"ana","amount":9999}"#;

/// Written from the specification, and not the receiver's.
fn sign(secret: &str, id: &str, timestamp: u64, body: &str) -> String {
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap());
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key.unwrap()).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// The receiver, and how much it has credited.
struct Receiver(Lab);

impl Receiver {
    async fn start() -> Self {
        Self(Lab::start_example("webhook", &[("WEBHOOK_SECRET", SECRET)]).await)
    }

    fn signed_by(&self, id: &str, timestamp: u64, signature: &str, body: &str) -> Call<'_> {
        self.0
            .call(Method::POST, "")
            .header("webhook-id", id.as_bytes())
            .header("webhook-timestamp", timestamp.to_string().as_bytes())
            .header("webhook-signature", signature.as_bytes())
            .body(body.to_owned())
    }

    /// As the sender does it at that time.
    fn delivery_at(&self, timestamp: u64, id: &str, body: &str) -> Call<'_> {
        self.signed_by(id, timestamp, &sign(SECRET, id, timestamp, body), body)
    }

    fn delivery(&self, id: &str, body: &str) -> Call<'_> {
        self.delivery_at(now(), id, body)
    }

    async fn credited(&self) -> Value {
        self.0.call(Method::GET, "").send().await.json()
    }

    /// A delivery that is not believed leaves nothing behind: not even the key is taken by it.
    async fn refuses(&self, delivery: Call<'_>, because: &str) {
        let before = self.credited().await;
        let answer = delivery.send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
        assert_eq!(answer.body, format!("{because}\n"));
        assert_eq!(self.credited().await, before);
    }
}

fn ran(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(!answer.is_replay());
}

#[test]
fn the_tests_sign_as_the_reference_implementation_does() {
    // From the tests of the `standardwebhooks` crate.
    let body = r#"{"email":"test@example.com","username":"test_user"}"#;
    assert_eq!(
        sign(
            SECRET,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            body
        ),
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
    );
}

#[tokio::test]
async fn a_delivery_that_comes_again_with_a_new_signature_has_one_effect_and_one_answer() {
    let receiver = Receiver::start().await;
    let first = receiver.delivery_at(now() - 60, "m", PAYLOAD).send().await;
    ran(&first);
    // The same payload, written otherwise: it is signed anew, too.
    let spaced = r#"{ "amount": 1250, "account": "ana" }"#;
    for body in [PAYLOAD, spaced] {
        let again = receiver.delivery("m", body).send().await;
        assert_eq!((again.status, again.is_replay()), (StatusCode::OK, true));
        assert_eq!(again.body, first.body);
    }
    ran(&receiver.delivery("another", PAYLOAD).send().await);
    let deposit = json!({"account": "ana", "amount": 1250});
    assert_eq!(receiver.credited().await, json!([deposit, deposit]));
}

#[tokio::test]
async fn what_the_sender_has_not_signed_is_refused_and_burns_no_key() {
    let receiver = Receiver::start().await;
    let time = now();
    let genuine = sign(SECRET, "m", time, PAYLOAD);
    let forged = "no signature fits";
    let forge = |id, time, signature: &str, body| receiver.signed_by(id, time, signature, body);
    // Signed under another secret; for another payload, id or time; another version; cut; none at all.
    let foreign = sign(OTHER_SECRET, "m", time, PAYLOAD);
    receiver
        .refuses(forge("m", time, &foreign, PAYLOAD), forged)
        .await;
    receiver
        .refuses(forge("m", time, &genuine, OTHER_PAYLOAD), forged)
        .await;
    receiver
        .refuses(forge("n", time, &genuine, PAYLOAD), forged)
        .await;
    receiver
        .refuses(forge("m", time - 1, &genuine, PAYLOAD), forged)
        .await;
    let version = genuine.replace("v1,", "v2,");
    receiver
        .refuses(forge("m", time, &version, PAYLOAD), forged)
        .await;
    receiver
        .refuses(forge("m", time, "v1,", PAYLOAD), forged)
        .await;
    let cut = &genuine[..genuine.len() - 4];
    receiver
        .refuses(forge("m", time, cut, PAYLOAD), forged)
        .await;
    receiver
        .refuses(forge("m", time, "", PAYLOAD), forged)
        .await;

    ran(&receiver.delivery("m", PAYLOAD).send().await);
    ran(&receiver.delivery("n", OTHER_PAYLOAD).send().await);
}

#[tokio::test]
async fn a_delivery_that_lacks_a_header_is_refused_and_burns_no_key() {
    let receiver = Receiver::start().await;
    let time = now().to_string();
    let signature = sign(SECRET, "m", now(), PAYLOAD);
    let headers = [
        ("webhook-id", "m"),
        ("webhook-timestamp", &time),
        ("webhook-signature", &signature),
    ];
    for (missing, _) in headers {
        let mut delivery = receiver.0.call(Method::POST, "").body(PAYLOAD);
        for (name, value) in headers.iter().filter(|(name, _)| *name != missing) {
            delivery = delivery.header(name, value.as_bytes());
        }
        let because = format!("the header `{missing}` is missing or malformed");
        receiver.refuses(delivery, &because).await;
    }
    for malformed in ["", "soon", "-9223372036854775808", "99999999999999999999"] {
        let delivery = receiver.0.call(Method::POST, "").body(PAYLOAD);
        let delivery = delivery
            .header("webhook-id", b"m")
            .header("webhook-timestamp", malformed.as_bytes())
            .header("webhook-signature", signature.as_bytes());
        let because = "the header `webhook-timestamp` is missing or malformed";
        receiver.refuses(delivery, because).await;
    }
    ran(&receiver.delivery("m", PAYLOAD).send().await);
}

#[tokio::test]
async fn a_delivery_too_long_ago_or_ahead_is_refused_and_burns_no_key() {
    let receiver = Receiver::start().await;
    // A minute on either side, for a slow machine.
    let stale = "the timestamp is more than five minutes away from now";
    for time in [0, now() - 6 * 60, now() + 6 * 60, u64::MAX] {
        receiver
            .refuses(receiver.delivery_at(time, "m", PAYLOAD), stale)
            .await;
    }
    ran(&receiver
        .delivery_at(now() - 4 * 60, "m", PAYLOAD)
        .send()
        .await);
    ran(&receiver
        .delivery_at(now() + 4 * 60, "n", PAYLOAD)
        .send()
        .await);
}

#[tokio::test]
async fn another_payload_under_a_known_id_is_refused_although_it_is_signed() {
    let receiver = Receiver::start().await;
    ran(&receiver.delivery("m", PAYLOAD).send().await);
    let other = receiver.delivery("m", OTHER_PAYLOAD).send().await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    assert_eq!(other.problem(), "key-reused");
    let deposit = json!({"account": "ana", "amount": 1250});
    assert_eq!(receiver.credited().await, json!([deposit]));
    assert!(receiver.delivery("m", PAYLOAD).send().await.is_replay());
}

#[tokio::test]
async fn an_event_that_is_not_understood_can_come_again_when_it_is() {
    let receiver = Receiver::start().await;
    let answer = receiver.delivery("m", r#"{"account":"ana"}"#).send().await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    ran(&receiver.delivery("m", PAYLOAD).send().await);
}

#[tokio::test]
async fn fifty_deliveries_at_once_have_one_effect_and_one_answer() {
    let receiver = Receiver::start().await;
    // Each has a time of its own, and so a signature of its own.
    let time = now();
    let calls = (0..50).map(|age| receiver.delivery_at(time - age, "m", PAYLOAD).send());
    let answers = join_all(calls).await;
    assert_eq!(
        answers.iter().filter(|answer| !answer.is_replay()).count(),
        1
    );
    for answer in &answers {
        assert_eq!(
            (answer.status, &answer.body),
            (StatusCode::OK, &answers[0].body)
        );
    }
    let deposit = json!({"account": "ana", "amount": 1250});
    assert_eq!(receiver.credited().await, json!([deposit]));
}

#[tokio::test]
async fn one_signature_of_several_is_enough_while_the_secret_changes() {
    let receiver = Receiver::start().await;
    let time = now();
    for (id, secrets) in [
        ("new-first", [OTHER_SECRET, SECRET]),
        ("old-first", [SECRET, OTHER_SECRET]),
    ] {
        let signatures = secrets
            .map(|secret| sign(secret, id, time, PAYLOAD))
            .join(" ");
        ran(&receiver
            .signed_by(id, time, &signatures, PAYLOAD)
            .send()
            .await);
    }
    let none = sign(OTHER_SECRET, "m", time, PAYLOAD);
    let none = format!("{none} v1a,{none} {none}");
    receiver
        .refuses(
            receiver.signed_by("m", time, &none, PAYLOAD),
            "no signature fits",
        )
        .await;
}
