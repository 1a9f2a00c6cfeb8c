//! Another payload than the template's, one that the service will probably accept too.

use serde_json::Value;

/// Copies of `json` with one leaf changed: first those with another number, then those with another
/// text. A number is likelier to be accepted than a text that may be a currency or a date.
pub(crate) fn changes(json: &Value) -> Vec<Value> {
    let mut pointers = Vec::new();
    leaves(json, String::new(), &mut pointers);
    let (numbers, texts): (Vec<_>, Vec<_>) = pointers
        .into_iter()
        .partition(|pointer| json.pointer(pointer).is_some_and(Value::is_number));
    numbers
        .iter()
        .chain(&texts)
        .filter_map(|pointer| {
            let mut copy = json.clone();
            let leaf = copy.pointer_mut(pointer)?;
            *leaf = other(leaf)?;
            Some(copy)
        })
        .collect()
}

fn leaves(json: &Value, at: String, found: &mut Vec<String>) {
    match json {
        Value::Number(_) | Value::String(_) => found.push(at),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                // RFC 6901.
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(field, format!("{at}/{name}"), found);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn other(leaf: &Value) -> Option<Value> {
    match leaf {
        Value::String(text) => Some(format!("{text}x").into()),
        Value::Number(number) => {
            let bigger = number
                .as_u64()
                .and_then(|n| n.checked_add(1))
                .map(Value::from);
            let bigger = bigger.or_else(|| number.as_i64()?.checked_add(1).map(Value::from));
            let smaller = || number.as_u64()?.checked_sub(1).map(Value::from);
            // Twice, so that it is another number whatever its size.
            let twice = || {
                let float = number.as_f64()?;
                let twice = if float == 0.0 { 1.0 } else { float * 2.0 };
                serde_json::Number::from_f64(twice).map(Value::from)
            };
            bigger.or_else(smaller).or_else(twice)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_come_before_texts_and_each_leaf_is_tried() {
        let payload = json!({"currency": "EUR", "items": [{"amount": 5}], "ok": true});
        let expected = [
            json!({"currency": "EUR", "items": [{"amount": 6}], "ok": true}),
            json!({"currency": "EURx", "items": [{"amount": 5}], "ok": true}),
        ];
        assert_eq!(changes(&payload), expected);
    }

    #[test]
    fn every_number_becomes_another() {
        let numbers = [
            json!(0),
            json!(-1),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(0.0),
            json!(0.1),
            json!(1e300),
        ];
        for number in numbers {
            let changed = changes(&number);
            assert_eq!(changed.len(), 1, "{number}");
            assert_ne!(changed[0], number);
        }
    }

    #[test]
    fn a_name_with_a_slash_is_found_again() {
        assert_eq!(changes(&json!({"a/b~c": 1})), [json!({"a/b~c": 2})]);
    }

    #[test]
    fn what_has_no_number_and_no_text_cannot_be_changed() {
        assert!(changes(&json!({"ok": true, "none": null, "list": []})).is_empty());
    }
}
