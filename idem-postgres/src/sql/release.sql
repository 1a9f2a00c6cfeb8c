-- $1 slot  $2 owner  $3 fence  $4 ttl in µs
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now, $4::bigint * interval '1 microsecond' AS ttl
)
UPDATE {slots} SET
    state = 3,
    until = CASE state WHEN 1 THEN now ELSE until END,
    delete_at = CASE state WHEN 1 THEN now + ttl ELSE delete_at END,
    reap_at = CASE state WHEN 1 THEN now + ttl ELSE reap_at END
FROM clock
WHERE slot = $1 AND owner = $2 AND fence = $3 AND state IN (1, 3) AND (delete_at IS NULL OR delete_at > now)
