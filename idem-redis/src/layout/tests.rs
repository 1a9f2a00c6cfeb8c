//! The layout's words, byte for byte, and everything that is none of them.

use idem_core::StateKind;
use proptest::prelude::*;

use super::*;

const OWNER: &str = "0123456789abcdef0123456789abcdef";
const PRINT: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn value(text: &str) -> Bytes {
    let text = text.replace("OWNER", OWNER).replace("PRINT", PRINT);
    Bytes::from(text)
}

fn slot() -> Slot {
    Slot::from_bytes([7; 32])
}

fn view(text: &str, expiry: i64) -> SlotView {
    let stored = Stored::read(&value(text), expiry).unwrap();
    stored.view(slot()).unwrap()
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn each_state_is_read() {
    let in_flight = "idem1 in-flight 3 2 t OWNER PRINT 9000\n6 4\nchargech_1\n4 0\nmail\n";
    let shown = view(in_flight, 10_000);
    let lease_left = 1000 * MS;
    assert_eq!(shown.state, SlotState::InFlight { lease_left });
    assert_eq!((shown.fence.get(), shown.attempt), (3, 2));
    assert_eq!(hex(shown.fingerprint.as_bytes()), PRINT);
    assert_eq!(shown.checkpoints, ["charge", "mail"]);
    assert_eq!(shown.deleted_in, Some(10_000 * MS));
    // A lease is over in the very instant in which it ends.
    assert_eq!(view(in_flight, 9000).state, SlotState::Lapsed);

    let refused = view("idem1 in-flight 1 1 r OWNER PRINT 9000\n", 9000);
    assert_eq!(
        (refused.state, refused.deleted_in),
        (SlotState::Unknown, None)
    );

    let completed = "idem1 completed 1 1 - OWNER PRINT 9000\nany\nthing";
    let record = Bytes::from("any\nthing");
    let answered = |expiry| Stored::read(&value(completed), expiry).unwrap().completed();
    let promised = Completed {
        record: record.clone(),
        expired: false,
        remaining: MS,
        under: Under::Slot,
    };
    assert_eq!(answered(9001), Some(promised));
    let expired = Completed {
        record,
        expired: true,
        remaining: 9000 * MS,
        under: Under::Slot,
    };
    assert_eq!(answered(9000), Some(expired));

    let released = view("idem1 released 1 1 - OWNER PRINT 0\n", 1000);
    assert_eq!(released.state, SlotState::Released);
    assert_eq!(released.deleted_in, Some(1000 * MS));
}

#[test]
fn the_kind_is_that_of_the_view() {
    for (text, expiry, kind) in [
        (
            "idem1 in-flight 1 1 - OWNER PRINT 9\n",
            10,
            StateKind::InFlight,
        ),
        (
            "idem1 in-flight 1 1 - OWNER PRINT 9\n",
            9,
            StateKind::Lapsed,
        ),
        (
            "idem1 in-flight 1 1 tr OWNER PRINT 9\n",
            9,
            StateKind::Unknown,
        ),
        (
            "idem1 completed 1 1 - OWNER PRINT 9\n",
            9,
            StateKind::Completed,
        ),
        (
            "idem1 released 1 1 - OWNER PRINT 0\n",
            9,
            StateKind::Released,
        ),
    ] {
        let stored = Stored::read(&value(text), expiry).unwrap();
        assert_eq!(stored.kind(), kind);
        assert_eq!(view(text, expiry).state.kind(), kind);
    }
}

#[test]
fn another_version_is_named_and_anything_else_is_foreign() {
    let newer = value("idem2 whatever it says\n");
    assert_eq!(Stored::read(&newer, 1), Err(LayoutError::Version(2)));
    for foreign in [
        "",
        "idem",
        "idem1",
        "{\"status\":\"paid\"}",
        "idem1 paused 1 1 - OWNER PRINT 9\n",
        "idem1 completed -1 1 - OWNER PRINT 9\n",
        "idem1 completed 1 1 - OWNER PRINT +9\n",
        "idem1 completed 1 1 - OWNER  9\n",
        "idem1 completed 0 1 - OWNER PRINT 9\n",
        "idem1 completed 1 1 - short PRINT 9\n",
        "idem1 completed 1 1 - OWNER PRINT 9",
        "idem1 completed 1 1 - OWNER PRINT 9 more\n",
    ] {
        let read = Stored::read(&value(foreign), 1);
        assert!(
            matches!(read, Err(LayoutError::Foreign { .. })),
            "{foreign:?}: {read:?}"
        );
    }
}

#[test]
fn a_slot_whose_expiry_was_taken_away_is_refused() {
    let completed = value("idem1 completed 1 1 - OWNER PRINT 9\n");
    assert_eq!(Stored::read(&completed, -1), Err(LayoutError::NoExpiry));
}

#[test]
fn steps_that_are_cut_short_are_not_guessed_at() {
    let whole = Bytes::from("6 4\nchargech_1\n");
    assert_eq!(steps(&whole).unwrap().len(), 1);
    for cut in 1..whole.len() {
        assert!(steps(&whole.slice(..cut)).is_err(), "{cut}");
    }
    assert!(steps(&Bytes::from("99999999999999999999 1\n")).is_err());
    assert!(steps(&Bytes::from("18446744073709551615 1\nx")).is_err());
}

#[test]
fn durations_are_never_shorter_than_asked_for_and_always_fit() {
    assert_eq!(millis(Duration::ZERO), 0);
    assert_eq!(millis(Duration::from_nanos(1)), 1);
    assert_eq!(millis(Duration::from_micros(1500)), 2);
    assert_eq!(millis(Duration::MAX), FOR_EVER);
}

#[test]
fn only_keys_of_the_namespace_name_slots() {
    let key = format!("shop:{}", hex(slot().as_bytes()));
    assert_eq!(slot_of(key.as_bytes(), "shop:"), Some(slot()));
    for other in [&key[..40], &key.to_uppercase(), "shop:probe", "idem:x"] {
        assert_eq!(slot_of(other.as_bytes(), "shop:"), None);
    }
}

proptest! {
    #[test]
    fn whatever_is_in_a_key_reading_it_does_not_panic(
        bytes: Vec<u8>,
        expiry: i64,
        body: Vec<u8>,
    ) {
        let _ = Stored::read(&bytes.into(), expiry);
        let mut valid = value("idem1 in-flight 1 1 - OWNER PRINT 9\n").to_vec();
        valid.extend(body);
        let _ = Stored::read(&valid.into(), expiry).map(|stored| stored.view(slot()));
    }

    #[test]
    fn hexadecimal_comes_back(bytes: [u8; 32]) {
        prop_assert_eq!(unhex::<32>(&hex(&bytes)), Some(bytes));
    }
}
