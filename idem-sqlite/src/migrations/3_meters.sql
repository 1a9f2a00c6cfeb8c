-- One row for each scope whose stored bytes are limited.
CREATE TABLE {meters} (
    tag        BLOB    PRIMARY KEY,
    total      INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    -- when the row is as good as absent
    ends_at    INTEGER NOT NULL
) STRICT;
