//! The claim of a slot that may be stored under another name: both are looked at in
//! the writer's turn in which one of them is claimed.

use std::time::Duration;

use idem_core::{Alias, Claim, ClaimRequest, OnCrash, StoreError, Under};
use idem_sql::{SlotRow, slot_of};
use sqlx::{Row, SqliteConnection, raw_sql};

use crate::{
    error::of_statement,
    row,
    store::{Inner, claim, leased},
};

impl Inner {
    pub(crate) async fn claim_either(
        &self,
        request: &ClaimRequest,
        alias: &Alias,
    ) -> Result<Claim, StoreError> {
        if let Some(claim) = self.running.meets(request) {
            return Ok(claim);
        }
        // A replay needs no turn of the writer's.
        let mut reader = leased(&self.readers).await?;
        let (_, met) = self.look(&mut reader, request, alias).await?;
        reader.done();
        if let Some(claim) = met {
            return Ok(claim);
        }
        let mut writer = leased(&self.writer).await?;
        // Dropped on the way, the connection is closed, and everything rolled back.
        raw_sql("BEGIN IMMEDIATE")
            .execute(&mut *writer)
            .await
            .map_err(of_statement)?;
        let claim = self.claim_in(&mut writer, request, alias).await?;
        raw_sql("COMMIT")
            .execute(&mut *writer)
            .await
            .map_err(of_statement)?;
        writer.done();
        Ok(claim)
    }

    async fn claim_in(
        &self,
        writer: &mut SqliteConnection,
        request: &ClaimRequest,
        alias: &Alias,
    ) -> Result<Claim, StoreError> {
        let (under, met) = self.look(writer, request, alias).await?;
        if let Some(claim) = met {
            return Ok(claim);
        }
        let request = request.under(under);
        let refuse = request.on_crash == OnCrash::Refuse;
        let asked = claim(&self.statements.claim, &request, refuse);
        let row = asked.fetch_optional(writer).await.map_err(of_statement)?;
        Ok(match row {
            Some(row) => Claim::Claimed(row::claimed(request.slot, &row)?).found_under(under),
            // Nobody else writes meanwhile, but time passes.
            None => Claim::InFlight {
                lease_left: Duration::ZERO,
            },
        })
    }

    /// Under which name a claim is answered, and what it meets there.
    pub(crate) async fn look(
        &self,
        connection: &mut SqliteConnection,
        request: &ClaimRequest,
        alias: &Alias,
    ) -> Result<(Under, Option<Claim>), StoreError> {
        let rows = sqlx::query(self.statements.inspect_either.sql())
            .bind(&request.slot.as_bytes()[..])
            .bind(&alias.slot.as_bytes()[..])
            .fetch_all(connection)
            .await
            .map_err(of_statement)?;
        let named = rows.iter().map(|row| {
            let slot = slot_of(row.try_get("slot").map_err(of_statement)?)?;
            Ok((slot, row::slot(row)?))
        });
        SlotRow::either(request, named.collect::<Result<Vec<_>, StoreError>>()?)
    }
}
