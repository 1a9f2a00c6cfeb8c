//! What every contestant is sent and answers: about 1 KiB of JSON.

use serde::{Deserialize, Serialize};

const LINES: u32 = 18;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) customer: String,
    pub(crate) currency: String,
    pub(crate) note: Option<String>,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) price: i64,
}

/// Orders with different ids are different payloads.
pub(crate) fn order(id: i64) -> Order {
    Order {
        id,
        customer: "c_8f14e45fceea167a".to_owned(),
        currency: "EUR".to_owned(),
        note: None,
        lines: (0..LINES)
            .map(|line| Line {
                sku: format!("sku-{line:08}"),
                quantity: 1 + line,
                price: 1999 * i64::from(line),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_about_a_kibibyte_and_comes_back_the_same() {
        let json = serde_json::to_string(&order(4711)).unwrap();
        assert!((900..1200).contains(&json.len()), "{} B", json.len());
        let read: Order = serde_json::from_str(&json).unwrap();
        assert_eq!(read, order(4711));
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}
