-- $1 slot  $2 fingerprint  $3 owner  $4 lease in µs  $5 retention in µs  $6 refuse to take over
-- $7 refuse to be taken over  $8 null, or what idem.claim must say
-- One row, unless somebody else was quicker: the claim that was won, or the slot as it is.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now,
           $4::bigint * interval '1 microsecond' AS lease,
           $5::bigint * interval '1 microsecond' AS retention
), seen AS MATERIALIZED (
    SELECT s.*,
           s.fingerprint = $2 AND (
               (s.state = 1 AND s.owner = $3)
               OR (s.state = 1 AND s.until <= now AND NOT s.refuse AND NOT $6)
               OR (s.state = 3 AND s.owner <> $3)
           ) AS claimable
    FROM {slots} s, clock
    WHERE s.slot = $1 AND (s.delete_at IS NULL OR s.delete_at > now)
), won AS (
    INSERT INTO {slots} AS s
        (slot, fingerprint, owner, fence, attempt, state, refuse, taken_over, retention, until, delete_at, reap_at)
    SELECT $1, $2, $3, 1, 1, 1, $7, false, retention, now + lease,
           CASE WHEN NOT $7 THEN now + lease + retention END, now + lease + retention
    FROM clock
    WHERE NOT EXISTS (SELECT FROM seen WHERE NOT claimable)
      AND ($8::text IS NULL OR $8 = current_setting('idem.claim', true))
    ON CONFLICT (slot) DO UPDATE SET
        fingerprint = excluded.fingerprint,
        owner = excluded.owner,
        fence = CASE
            WHEN s.delete_at <= (SELECT now FROM clock) THEN 1
            WHEN s.state = 1 AND s.owner = $3 THEN s.fence
            ELSE s.fence + 1 END,
        attempt = CASE
            WHEN s.delete_at <= (SELECT now FROM clock) THEN 1
            WHEN s.state = 1 AND s.owner = $3 THEN s.attempt
            ELSE least(s.attempt, 2147483646) + 1 END,
        taken_over = CASE
            WHEN s.delete_at <= (SELECT now FROM clock) THEN false
            WHEN s.state = 1 AND s.owner = $3 THEN s.taken_over
            ELSE s.state = 1 END,
        step_names = CASE WHEN s.delete_at <= (SELECT now FROM clock) THEN '{}' ELSE s.step_names END,
        step_values = CASE WHEN s.delete_at <= (SELECT now FROM clock) THEN '{}' ELSE s.step_values END,
        state = 1,
        refuse = excluded.refuse,
        retention = excluded.retention,
        until = excluded.until,
        delete_at = excluded.delete_at,
        reap_at = excluded.reap_at,
        record = NULL
    WHERE s.delete_at <= (SELECT now FROM clock)
       OR s.fingerprint = $2 AND (
           (s.state = 1 AND s.owner = $3)
           OR (s.state = 1 AND s.until <= (SELECT now FROM clock) AND NOT s.refuse AND NOT $6)
           OR (s.state = 3 AND s.owner <> $3)
       )
    RETURNING *
)
SELECT true AS won, current_setting('idem.claim', true) AS lock, {columns} FROM won, clock
UNION ALL
SELECT false, current_setting('idem.claim', true), {columns} FROM seen, clock
WHERE NOT EXISTS (SELECT FROM won)
