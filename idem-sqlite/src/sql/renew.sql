-- ?1 slot  ?2 owner  ?3 fence  ?4 lease
UPDATE {slots} SET
    until = {now} + ?4,
    delete_at = CASE WHEN NOT refuse THEN {now} + ?4 + retention END
WHERE slot = ?1 AND owner = ?2 AND fence = ?3 AND state = 1 AND (delete_at IS NULL OR delete_at > {now})
