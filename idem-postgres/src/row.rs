//! A row of the server's as a slot.

use bytes::Bytes;
use idem_core::{Checkpoint, Claimed, Slot, StoreError};
use idem_sql::SlotRow;
use sqlx::{Row, postgres::PgRow};

use crate::error::of_statement;

pub(crate) fn slot(row: &PgRow) -> Result<SlotRow, StoreError> {
    read(row).map_err(of_statement)
}

fn read(row: &PgRow) -> Result<SlotRow, sqlx::Error> {
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
pub(crate) fn claimed(slot: Slot, row: &PgRow) -> Result<Claimed, StoreError> {
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

fn steps(row: &PgRow) -> Result<Vec<Checkpoint>, sqlx::Error> {
    let names: Vec<String> = row.try_get("step_names")?;
    let values: Vec<Vec<u8>> = row.try_get("step_values")?;
    if names.len() != values.len() {
        // One that is left out here would run a second time.
        let (names, values) = (names.len(), values.len());
        let what = format!("{names} steps have {values} results");
        return Err(sqlx::Error::Decode(what.into()));
    }
    let steps = names.into_iter().zip(values);
    Ok(steps
        .map(|(name, value)| Checkpoint {
            name,
            value: Bytes::from(value),
        })
        .collect())
}
