-- $1 slot  $2 owner  $3 fence  $4 ttl in µs  $5 grace in µs  $6 null, or what idem.claim must say  $7 record
-- Once more, for a reply that was lost: it is done, and the first record stays.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now,
           $4::bigint * interval '1 microsecond' AS ttl,
           $5::bigint * interval '1 microsecond' AS grace
)
UPDATE {slots} SET
    state = 2,
    record = CASE state WHEN 1 THEN $7 ELSE record END,
    until = CASE state WHEN 1 THEN now + ttl ELSE until END,
    delete_at = CASE state WHEN 1 THEN now + ttl + grace ELSE delete_at END,
    reap_at = CASE state WHEN 1 THEN greatest(reap_at, now + ttl + grace) ELSE reap_at END,
    step_names = '{}',
    step_values = '{}'
FROM clock
WHERE slot = $1 AND owner = $2 AND fence = $3 AND state IN (1, 2) AND (delete_at IS NULL OR delete_at > now)
  AND ($6::text IS NULL OR $6 = current_setting('idem.claim', true))
