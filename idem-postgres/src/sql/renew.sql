-- $1 slot  $2 owner  $3 fence  $4 lease in µs
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now, $4::bigint * interval '1 microsecond' AS lease
)
UPDATE {slots} s SET
    until = now + lease,
    delete_at = CASE WHEN NOT refuse THEN now + lease + retention END,
    reap_at = now + lease + retention
FROM clock
WHERE slot = $1 AND owner = $2 AND fence = $3 AND state = 1 AND (delete_at IS NULL OR delete_at > now)
