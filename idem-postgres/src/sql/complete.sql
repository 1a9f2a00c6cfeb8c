-- $1 slot  $2 owner  $3 fence  $4 ttl in µs  $5 grace in µs  $6 null, or what idem.claim must say  $7 record
-- Once more, for a reply that was lost: it is done, and the first record stays.
-- The statement's own time is when the server got it: a row to wait for makes it no later.
UPDATE {slots} SET
    state = 2,
    record = CASE state WHEN 1 THEN $7 ELSE record END,
    until = CASE state
        WHEN 1 THEN statement_timestamp() + $4::bigint * interval '1 microsecond'
        ELSE until END,
    delete_at = CASE state
        WHEN 1 THEN statement_timestamp() + ($4::bigint + $5::bigint) * interval '1 microsecond'
        ELSE delete_at END,
    reap_at = CASE state
        WHEN 1 THEN greatest(reap_at, statement_timestamp() + ($4::bigint + $5::bigint) * interval '1 microsecond')
        ELSE reap_at END,
    step_names = '{}',
    step_values = '{}'
WHERE slot = $1 AND owner = $2 AND fence = $3 AND state IN (1, 2)
  AND (delete_at IS NULL OR delete_at > statement_timestamp())
  AND ($6::text IS NULL OR $6 = current_setting('idem.claim', true))
