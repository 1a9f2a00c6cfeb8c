//! A thread that has seen a kind of value before allocates nothing for it, and never much.

use allocation_counter::AllocationInfo;
use idem_core::fingerprint::FingerprintBuilder;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

#[derive(Serialize)]
struct Order {
    id: u64,
    customer: String,
    note: Option<&'static str>,
    lines: Vec<Line>,
    address: Address,
    state: State,
    total: f64,
}

#[derive(Serialize)]
struct Line {
    sku: String,
    quantity: u32,
    price: i64,
    discount: Option<u8>,
}

#[derive(Serialize)]
struct Address {
    street: &'static str,
    city: &'static str,
}

#[derive(Serialize)]
enum State {
    New,
    Paid { at: u64, by: &'static str },
    Sent(u8, char),
}

fn order(lines: usize, state: State) -> Order {
    let line = |line: usize| Line {
        sku: format!("sku-{line:08}"),
        quantity: line as u32,
        price: -1999 * line as i64,
        discount: line.is_multiple_of(3).then_some(5),
    };
    Order {
        id: 4711,
        customer: "c_8f14e45fceea167a".to_owned(),
        note: None,
        lines: (0..lines).map(line).collect(),
        address: Address {
            street: "a street with a name that is longer than most",
            city: "Town",
        },
        state,
        total: 12.5,
    }
}

fn allocated<T: Serialize>(value: &T) -> AllocationInfo {
    allocation_counter::measure(|| {
        let mut builder = FingerprintBuilder::request("POST", "/orders", None);
        assert!(builder.typed(value).is_ok());
        std::hint::black_box(builder.finish());
    })
}

fn allocations<T: Serialize>(value: &T) -> u64 {
    allocated(value).count_total
}

/// One of many structs that have nothing in common.
struct Kind([&'static str; 4]);

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct(self.0[0], 3)?;
        for name in &self.0[1..] {
            fields.serialize_field(name, &1)?;
        }
        fields.end()
    }
}

fn kinds(count: usize) -> Vec<Kind> {
    let leaked = |kind, name| &*String::leak(format!("{name}_{kind}"));
    let kind = |kind| Kind(["kind", "b", "a", "c"].map(|name| leaked(kind, name)));
    (0..count).map(kind).collect()
}

#[test]
fn values_without_maps_allocate_nothing_once_the_thread_is_warm() {
    let paid = State::Paid { at: 1, by: "x" };
    let orders = [
        order(0, State::New),
        order(18, paid),
        order(5, State::Sent(1, 'é')),
    ];
    // These grow beyond what is kept as it is.
    let long = [order(1000, State::New), order(3000, State::New)];
    let texts = ["x".repeat(100), "x".repeat(5000), "x".repeat(200_000)];
    for _ in 0..2 {
        orders.iter().chain(&long).for_each(|order| {
            allocations(order);
        });
        allocations(&texts);
    }
    for order in orders.iter().chain(&long) {
        assert_eq!(allocations(order), 0, "{} lines", order.lines.len());
    }
    assert_eq!(allocations(&texts), 0);
}

#[test]
fn fields_that_are_left_out_by_turns_are_remembered_each_way() {
    #[derive(Clone, Copy, Serialize)]
    struct Patch {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        email: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        phone: Option<&'static str>,
    }
    let some = |field| [None, Some("x")][field];
    let patch = |number: usize| Patch {
        name: some(number & 1),
        email: some(number >> 1 & 1),
        phone: some(number >> 2),
    };
    let patches: Vec<Patch> = (0..8).map(patch).collect();
    let many = vec![patches; 1000];
    allocations(&many);
    assert_eq!(allocations(&many), 0);
}

#[test]
fn a_large_value_is_not_held_in_memory() {
    let large = order(100_000, State::New);
    assert!(serde_json::to_vec(&large).is_ok_and(|json| json.len() > 5_000_000));
    // For the first time on this thread.
    let peak = allocated(&large).bytes_max;
    assert!(peak < 20_000, "{peak} bytes at once");
}

#[test]
fn what_is_remembered_of_structs_is_bounded() {
    let kinds = kinds(10_000);
    let mut kept = 0;
    for kind in &kinds {
        kept += allocated(kind).bytes_current;
    }
    assert!(kept < 300_000, "{kept} bytes are kept");
    let kept = allocated(&kinds).bytes_current;
    assert!(kept < 300_000, "{kept} bytes more are kept");
}

#[test]
fn what_comes_after_too_many_structs_is_remembered_again() {
    allocations(&kinds(1000));
    let order = order(18, State::New);
    allocations(&order);
    assert_eq!(allocations(&order), 0);
}
