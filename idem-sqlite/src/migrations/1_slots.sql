-- One row for each slot. Times are milliseconds since 1970, by the machine's clock.
CREATE TABLE {slots} (
    slot        BLOB    PRIMARY KEY,
    fingerprint BLOB    NOT NULL,
    owner       BLOB    NOT NULL,
    fence       INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    -- 1 in flight, 2 completed, 3 released
    state       INTEGER NOT NULL,
    -- nobody takes over when the lease has lapsed
    refuse      INTEGER NOT NULL,
    taken_over  INTEGER NOT NULL,
    -- of a record, for as long as it is in flight
    retention   INTEGER NOT NULL,
    -- in flight: when the lease lapses; completed: when the record expires
    until       INTEGER NOT NULL,
    -- when the row is as good as absent; null: never
    delete_at   INTEGER,
    -- [name, value in hexadecimal] of each finished step
    steps       TEXT    NOT NULL,
    record      BLOB
) STRICT;
