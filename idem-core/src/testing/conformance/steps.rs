//! Checkpoints.

use bytes::Bytes;

use super::{Subject, case::Case, completion::samples};
use crate::{Store, Written};

/// Steps come back in the order in which they were first finished. A name
/// that is written again, by a lost reply or a re-run, replaces its value.
pub async fn steps_keep_their_order_and_a_name_is_replaced<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    for (name, value) in [("reserve", "1"), ("charge", "2"), ("a mail ✓", "3")] {
        let written = case.checkpoint(grant, name, Bytes::from(value)).await;
        assert_eq!(written, Written::Done);
    }
    let again = case.checkpoint(grant, "charge", Bytes::from("2b")).await;
    assert_eq!(again, Written::Done);
    let names = ["reserve", "charge", "a mail ✓"];
    let view = case.view().await.expect("the slot should be there");
    assert_eq!(view.checkpoints, names);
    let _ = case.release(grant).await;
    let (_, claimed) = case.win(case.request()).await;
    let steps: Vec<_> = claimed
        .checkpoints
        .iter()
        .map(|step| (step.name.as_str(), &step.value[..]))
        .collect();
    assert_eq!(
        steps,
        [
            (names[0], &b"1"[..]),
            (names[1], &b"2b"[..]),
            (names[2], &b"3"[..])
        ]
    );
}

/// Empty, binary, large: the bytes that went in come out.
pub async fn steps_of_every_size_come_back_to_the_byte<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    let samples = samples(64 << 10);
    for (index, sample) in samples.iter().enumerate() {
        let name = format!("step {index}");
        let written = case.checkpoint(grant, &name, sample.clone()).await;
        assert_eq!(written, Written::Done);
    }
    let _ = case.release(grant).await;
    let (_, claimed) = case.win(case.request()).await;
    assert_eq!(claimed.checkpoints.len(), samples.len());
    for (step, sample) in claimed.checkpoints.iter().zip(&samples) {
        assert!(
            step.value == *sample,
            "a step of {} bytes came back changed",
            sample.len()
        );
    }
}
