//! Lists for operators. Redis has no order of keys, and a scan may show a key
//! twice, so each page reads all headers and keeps the smallest slots after the
//! cursor: exact, and a thing for operators, not for requests.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use idem_core::{Cursor, ListQuery, Page, Slot, Store, StoreError};
use redis::{Cmd, FromRedisValue, Pipeline, Value};

use crate::{
    RedisStore,
    connect::{CallError, Master},
    error::{Trouble, corrupt, maybe_applied, not_applied},
    layout::{LONGEST_HEADER, Stored, hex, number, slot_of},
};

/// How many keys a server looks at before it serves others again.
const KEYS_AT_A_TIME: usize = 500;

pub(crate) async fn page(store: &RedisStore, query: ListQuery) -> Result<Page, StoreError> {
    let mut found = Found {
        after: query.after.as_ref().map(read_cursor).transpose()?,
        limit: query.limit.max(1),
        slots: BTreeSet::new(),
        more: false,
    };
    let masters = store.commands.topology.masters().await;
    if masters.is_empty() {
        return Err(not_applied(Trouble::NobodyKeepsIt));
    }
    for master in &masters {
        scan(store, master, &query, &mut found).await?;
    }
    let last = found.slots.last().filter(|_| found.more);
    let next = last.map(|slot| Cursor(Bytes::copy_from_slice(slot.as_bytes())));
    let mut slots = Vec::with_capacity(found.slots.len());
    for slot in found.slots {
        // What has changed since its header was read is shown as it is now, if at all.
        if let Some(view) = store.inspect(slot).await?
            && query.state.is_none_or(|state| state == view.state.kind())
        {
            slots.push(view);
        }
    }
    Ok(Page { slots, next })
}

/// The smallest slots after the cursor, as many as a page has.
struct Found {
    after: Option<Slot>,
    limit: usize,
    slots: BTreeSet<Slot>,
    /// Whether there may be slots for another page.
    more: bool,
}

impl Found {
    /// Whether the slot belongs on the page, by what is known so far.
    fn wants(&mut self, slot: &Slot) -> bool {
        if self.after.is_some_and(|after| *slot <= after) || self.slots.contains(slot) {
            return false;
        }
        let full = self.slots.len() >= self.limit;
        let wanted = !full || self.slots.last().is_some_and(|largest| slot < largest);
        self.more |= !wanted;
        wanted
    }

    fn add(&mut self, slot: Slot) {
        self.slots.insert(slot);
        if self.slots.len() > self.limit {
            self.slots.pop_last();
            self.more = true;
        }
    }
}

async fn scan(
    store: &RedisStore,
    master: &Arc<Master>,
    query: &ListQuery,
    found: &mut Found,
) -> Result<(), StoreError> {
    let prefix = &store.commands.prefix;
    let mut cursor = String::from("0");
    loop {
        let mut command = Cmd::new();
        command.arg("SCAN").arg(&cursor);
        command.arg("MATCH").arg(format!("{prefix}*"));
        command.arg("COUNT").arg(KEYS_AT_A_TIME);
        let mut scan = Pipeline::new();
        scan.add_command(command);
        let reply = ask(store, master, &scan).await?.pop();
        let (next, keys): (String, Vec<Vec<u8>>) = read(master, reply)?;
        let slots = keys.iter().filter_map(|key| slot_of(key, prefix));
        let wanted: Vec<Slot> = slots.filter(|slot| found.wants(slot)).collect();
        if !wanted.is_empty() {
            look_at(store, master, query, &wanted, found).await?;
        }
        if next == "0" {
            return Ok(());
        }
        // A scan that stands still, or goes on from what is no cursor, would never end.
        if next == cursor || number(&next).is_none() {
            let server = master.name.clone();
            let what = format!("{next:.100?} after the cursor {cursor}");
            return Err(maybe_applied(Trouble::Strange { server, what }));
        }
        cursor = next;
    }
}

/// Keeps those that are in the state that is asked for.
async fn look_at(
    store: &RedisStore,
    master: &Arc<Master>,
    query: &ListQuery,
    wanted: &[Slot],
    found: &mut Found,
) -> Result<(), StoreError> {
    let mut headers = Pipeline::with_capacity(2 * wanted.len());
    for slot in wanted {
        let key = store.commands.prefix.clone() + &hex(slot.as_bytes());
        headers.cmd("PTTL").arg(&key);
        headers
            .cmd("GETRANGE")
            .arg(key)
            .arg(0)
            .arg(LONGEST_HEADER - 1);
    }
    let mut replies = ask(store, master, &headers).await?.into_iter();
    for slot in wanted {
        let expiry: i64 = read(master, replies.next())?;
        let value: Vec<u8> = read(master, replies.next())?;
        if value.is_empty() {
            // It has gone meanwhile.
            continue;
        }
        let stored = Stored::read(&value.into(), expiry).map_err(|error| corrupt(*slot, error))?;
        if query.state.is_none_or(|state| state == stored.kind()) {
            found.add(*slot);
        }
    }
    Ok(())
}

async fn ask(
    store: &RedisStore,
    master: &Arc<Master>,
    pipeline: &Pipeline,
) -> Result<Vec<Value>, StoreError> {
    let deadline = store.commands.deadline;
    match tokio::time::timeout(deadline, master.pool.call_all(pipeline)).await {
        Ok(replies) => replies.map_err(|error| store.commands.failed(master, error)),
        Err(_) => Err(StoreError::TimedOut(deadline)),
    }
}

pub(crate) fn read<T: FromRedisValue>(
    master: &Master,
    reply: Option<Value>,
) -> Result<T, StoreError> {
    let strange = |what: String| {
        let server = master.name.clone();
        maybe_applied(Trouble::Strange { server, what })
    };
    let reply = reply.ok_or_else(|| strange("nothing".to_owned()))?;
    if let Value::ServerError(error) = reply {
        return Err(crate::error::failed(&master.name, CallError::Server(error)));
    }
    T::from_redis_value(reply).map_err(|error| strange(error.to_string()))
}

fn read_cursor(cursor: &Cursor) -> Result<Slot, StoreError> {
    match <[u8; 32]>::try_from(cursor.0.as_ref()) {
        Ok(bytes) => Ok(Slot::from_bytes(bytes)),
        Err(_) => Err(StoreError::Refused {
            reason: "the cursor is not one of this store; start the list anew".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u8) -> Slot {
        Slot::from_bytes([number; 32])
    }

    fn found(limit: usize, slots: &[u8]) -> Found {
        let mut found = Found {
            after: Some(slot(1)),
            limit,
            slots: BTreeSet::new(),
            more: false,
        };
        for number in slots {
            if found.wants(&slot(*number)) {
                found.add(slot(*number));
            }
        }
        found
    }

    #[test]
    fn a_page_has_the_smallest_slots_after_the_cursor_and_says_whether_there_are_more() {
        for (slots, page, more) in [
            (&[3, 2][..], &[2, 3][..], false),
            (&[3, 2, 3, 2], &[2, 3], false),
            (&[1, 0, 3, 2], &[2, 3], false),
            (&[2, 3, 4], &[2, 3], true),
            (&[4, 3, 2], &[2, 3], true),
            (&[5, 2, 9, 3, 9], &[2, 3], true),
            (&[2], &[2], false),
        ] {
            let found = found(2, slots);
            let page: BTreeSet<Slot> = page.iter().map(|number| slot(*number)).collect();
            assert_eq!(found.slots, page, "{slots:?}");
            assert_eq!(found.more, more, "{slots:?}");
        }
    }
}
