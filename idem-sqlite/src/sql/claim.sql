-- ?1 slot  ?2 fingerprint  ?3 owner  ?4 lease  ?5 retention  ?6 refuse to take over  ?7 refuse to be taken over
-- The claim that was won, or no row.
INSERT INTO {slots} AS s
    (slot, fingerprint, owner, fence, attempt, state, refuse, taken_over, retention, until, delete_at, steps)
VALUES (?1, ?2, ?3, 1, 1, 1, ?7, 0, ?5, {now} + ?4, CASE WHEN NOT ?7 THEN {now} + ?4 + ?5 END, '[]')
ON CONFLICT (slot) DO UPDATE SET
    fingerprint = excluded.fingerprint,
    owner = excluded.owner,
    fence = CASE WHEN s.delete_at <= {now} THEN 1 WHEN s.state = 1 AND s.owner = ?3 THEN s.fence ELSE s.fence + 1 END,
    attempt = CASE
        WHEN s.delete_at <= {now} THEN 1
        WHEN s.state = 1 AND s.owner = ?3 THEN s.attempt
        ELSE min(s.attempt, 4294967294) + 1 END,
    taken_over = CASE
        WHEN s.delete_at <= {now} THEN 0
        WHEN s.state = 1 AND s.owner = ?3 THEN s.taken_over
        ELSE s.state = 1 END,
    steps = CASE WHEN s.delete_at <= {now} THEN '[]' ELSE s.steps END,
    state = 1,
    refuse = excluded.refuse,
    retention = excluded.retention,
    until = excluded.until,
    delete_at = excluded.delete_at,
    record = NULL
WHERE s.delete_at <= {now}
   OR s.fingerprint = ?2 AND (
       (s.state = 1 AND s.owner = ?3)
       OR (s.state = 1 AND s.until <= {now} AND NOT s.refuse AND NOT ?6)
       OR (s.state = 3 AND s.owner <> ?3)
   )
RETURNING fence, attempt, taken_over, steps
