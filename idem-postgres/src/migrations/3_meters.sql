-- One row for each scope whose stored bytes are limited.
CREATE TABLE {meters} (
    tag        bytea       PRIMARY KEY,
    total      bigint      NOT NULL,
    started_at timestamptz NOT NULL,
    -- when the row is as good as absent
    ends_at    timestamptz NOT NULL
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1
);
