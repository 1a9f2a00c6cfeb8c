//! A claim by two names. Their rows have no key in common, so it is made under
//! advisory locks of both together, and by a statement whose snapshot is younger than
//! the locks: hence a transaction, and its level.
//!
//! ```text
//! BEGIN; locks          one round trip
//! look at both          one round trip
//! claim one             one round trip
//! COMMIT                one round trip
//! ```

use std::time::Duration;

use idem_core::{Alias, Claim, ClaimRequest, OnCrash, StoreError, Under};
use idem_sql::{SlotRow, slot_of};
use sqlx::{AssertSqlSafe, PgConnection, Row, raw_sql};

use crate::{
    error::of_statement,
    locks::Locks,
    row,
    store::{Inner, TRIES, claim_in, query},
};

impl Inner {
    pub(crate) async fn claim_either(
        &self,
        request: &ClaimRequest,
        alias: &Alias,
    ) -> Result<Claim, StoreError> {
        let locks = Locks::of_both(request, alias, self.names.slots());
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; \
             SELECT pg_advisory_xact_lock({}); SELECT pg_advisory_xact_lock({})",
            locks.request, locks.slot
        );
        // Dropped on the way, the connection is closed, and everything rolled back.
        let mut connection = self.connection().await?;
        raw_sql(AssertSqlSafe(begin))
            .execute(&mut *connection)
            .await
            .map_err(of_statement)?;
        let claim = self.claim_in(&mut connection, request, alias).await?;
        raw_sql("COMMIT")
            .execute(&mut *connection)
            .await
            .map_err(of_statement)?;
        connection.done();
        Ok(claim)
    }

    async fn claim_in(
        &self,
        connection: &mut PgConnection,
        request: &ClaimRequest,
        alias: &Alias,
    ) -> Result<Claim, StoreError> {
        for _ in 0..TRIES {
            let (under, met) = self.look_by(connection, request, alias).await?;
            if let Some(claim) = met {
                return Ok(claim);
            }
            let request = request.under(under);
            let refuse = request.on_crash == OnCrash::Refuse;
            let asked = claim_in(&self.statements.claim, &request, refuse, None);
            // None, or not won: somebody was quicker who knows of one name only.
            let row = asked.fetch_optional(&mut *connection).await;
            if let Some(row) = row.map_err(of_statement)?
                && row.try_get("won").map_err(of_statement)?
            {
                let claimed = row::claimed(request.slot, &row)?;
                return Ok(Claim::Claimed(claimed).found_under(under));
            }
        }
        Ok(Claim::InFlight {
            lease_left: Duration::ZERO,
        })
    }

    /// Under which name a claim is answered, and what it meets there.
    pub(crate) async fn look(
        &self,
        request: &ClaimRequest,
        alias: &Alias,
    ) -> Result<(Under, Option<Claim>), StoreError> {
        let mut connection = self.connection().await?;
        let looked = self.look_by(&mut connection, request, alias).await?;
        connection.done();
        Ok(looked)
    }

    async fn look_by(
        &self,
        connection: &mut PgConnection,
        request: &ClaimRequest,
        alias: &Alias,
    ) -> Result<(Under, Option<Claim>), StoreError> {
        let rows = query(&self.statements.inspect_either)
            .bind(request.slot.as_bytes().to_vec())
            .bind(alias.slot.as_bytes().to_vec())
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
