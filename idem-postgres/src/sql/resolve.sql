-- $1 slot  $2 fence  $3 operator  $4 record, or null to release  $5 ttl in µs  $6 grace in µs
-- One row: whether it is resolved now, and the slot as it was; none when it is absent.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now,
           $5::bigint * interval '1 microsecond' AS ttl,
           $6::bigint * interval '1 microsecond' AS grace
), seen AS MATERIALIZED (
    SELECT s.* FROM {slots} s, clock WHERE s.slot = $1 AND (s.delete_at IS NULL OR s.delete_at > now)
), done AS (
    UPDATE {slots} s SET
        owner = $3,
        fence = s.fence + 1,
        state = CASE WHEN $4::bytea IS NULL THEN 3 ELSE 2 END,
        record = $4,
        until = now + ttl,
        delete_at = now + ttl + grace,
        reap_at = now + ttl + grace,
        step_names = CASE WHEN $4 IS NULL THEN s.step_names ELSE '{}' END,
        step_values = CASE WHEN $4 IS NULL THEN s.step_values ELSE '{}' END
    FROM clock
    WHERE s.slot = $1 AND s.fence = $2 AND (s.delete_at IS NULL OR s.delete_at > now)
      AND (s.state = 3 OR s.state = 1 AND s.until <= now)
    RETURNING s.slot
)
SELECT EXISTS (SELECT FROM done) AS done, {columns} FROM seen, clock
