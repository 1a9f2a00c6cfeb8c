-- One row for each slot. Times are the server's.
CREATE TABLE {slots} (
    slot        bytea       PRIMARY KEY,
    fingerprint bytea       NOT NULL,
    owner       bytea       NOT NULL,
    fence       bigint      NOT NULL,
    attempt     integer     NOT NULL,
    -- 1 in flight, 2 completed, 3 released
    state       smallint    NOT NULL,
    -- nobody takes over when the lease has lapsed
    refuse      boolean     NOT NULL,
    taken_over  boolean     NOT NULL,
    -- of a record, for as long as it is in flight
    retention   interval    NOT NULL,
    -- in flight: when the lease lapses; completed: when the record expires
    until       timestamptz NOT NULL,
    -- when the row is as good as absent; null: never
    delete_at   timestamptz,
    -- when the reaper looks at it: delete_at or later. A claim sets it so that completing the slot
    -- need not change it, and the update touches no index.
    reap_at     timestamptz NOT NULL,
    step_names  text[]      NOT NULL DEFAULT '{}',
    step_values bytea[]     NOT NULL DEFAULT '{}',
    record      bytea
) WITH (fillfactor = 80);

CREATE INDEX {table}_reap ON {slots} (reap_at);
