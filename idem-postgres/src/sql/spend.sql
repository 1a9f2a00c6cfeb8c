-- $1 tag  $2 bytes  $3 window in µs
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now, $3::bigint * interval '1 microsecond' AS length
), spent AS (
    INSERT INTO {meters} AS m (tag, total, started_at, ends_at)
    SELECT $1, $2, now, now + length FROM clock
    ON CONFLICT (tag) DO UPDATE SET
        total = CASE WHEN m.ends_at > excluded.started_at THEN m.total ELSE 0 END + excluded.total,
        started_at = CASE WHEN m.ends_at > excluded.started_at THEN m.started_at ELSE excluded.started_at END,
        ends_at = CASE
            WHEN m.ends_at > excluded.started_at
            THEN greatest(m.ends_at, m.started_at + (excluded.ends_at - excluded.started_at))
            ELSE excluded.ends_at
        END
    RETURNING total, ends_at
)
SELECT total, (extract(epoch FROM ends_at - now) * 1000000)::bigint AS resets_in FROM spent, clock
