//! A row of the table as a slot.

use bytes::Bytes;
use idem_core::{Checkpoint, Claimed, Slot, StoreError};
use idem_sql::SlotRow;
use sqlx::{Row, sqlite::SqliteRow};

use crate::error::of_statement;

pub(crate) fn slot(row: &SqliteRow) -> Result<SlotRow, StoreError> {
    read(row).map_err(of_statement)
}

fn read(row: &SqliteRow) -> Result<SlotRow, sqlx::Error> {
    Ok(SlotRow {
        fingerprint: row.try_get("fingerprint")?,
        owner: row.try_get("owner")?,
        fence: row.try_get("fence")?,
        attempt: row.try_get("attempt")?,
        state: row.try_get("state")?,
        refuse: row.try_get("refuse")?,
        until: row.try_get("until")?,
        deleted_in: row.try_get("deleted_in")?,
        steps: steps(row)?,
        record: row
            .try_get::<Option<Vec<u8>>, _>("record")?
            .map(Bytes::from),
    })
}

/// A claim that was won.
pub(crate) fn claimed(slot: Slot, row: &SqliteRow) -> Result<Claimed, StoreError> {
    let read = || {
        Ok::<_, sqlx::Error>((
            row.try_get("fence")?,
            row.try_get("attempt")?,
            row.try_get("taken_over")?,
            steps(row)?,
        ))
    };
    let (fence, attempt, taken_over, steps) = read().map_err(of_statement)?;
    SlotRow::claimed(slot, fence, attempt, taken_over, steps)
}

fn steps(row: &SqliteRow) -> Result<Vec<Checkpoint>, sqlx::Error> {
    let undecodable = |what: String| sqlx::Error::Decode(what.into());
    let text: &str = row.try_get("steps")?;
    if text == "[]" {
        return Ok(Vec::new());
    }
    let steps: Vec<(String, String)> =
        serde_json::from_str(text).map_err(|error| undecodable(error.to_string()))?;
    steps
        .into_iter()
        .map(|(name, value)| match from_hex(&value) {
            Some(value) => Ok(Checkpoint { name, value }),
            None => Err(undecodable(format!("the value of step {name:?}"))),
        })
        .collect()
}

/// Bytes as JSON can hold them.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Bytes> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_their_digits() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&all)).as_deref(), Some(&all[..]));
        for bad in ["a", "xy", "+1", "ä"] {
            assert_eq!(from_hex(bad).filter(|_| bad != "+1"), None, "{bad}");
        }
    }
}
