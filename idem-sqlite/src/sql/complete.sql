-- ?1 slot  ?2 owner  ?3 fence  ?4 record  ?5 ttl  ?6 grace
-- Once more, for a reply that was lost: it is done, and the first record stays.
UPDATE {slots} SET
    state = 2,
    record = CASE state WHEN 1 THEN ?4 ELSE record END,
    until = CASE state WHEN 1 THEN {now} + ?5 ELSE until END,
    delete_at = CASE state WHEN 1 THEN {now} + ?5 + ?6 ELSE delete_at END,
    steps = '[]'
WHERE slot = ?1 AND owner = ?2 AND fence = ?3 AND state IN (1, 2) AND (delete_at IS NULL OR delete_at > {now})
