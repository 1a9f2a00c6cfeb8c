-- ?1 slot  ?2 owner  ?3 fence  ?4 ttl
UPDATE {slots} SET
    state = 3,
    until = CASE state WHEN 1 THEN {now} ELSE until END,
    delete_at = CASE state WHEN 1 THEN {now} + ?4 ELSE delete_at END
WHERE slot = ?1 AND owner = ?2 AND fence = ?3 AND state IN (1, 3) AND (delete_at IS NULL OR delete_at > {now})
